//! Who plays: publishers and subscribers of every kind, each a line of what it does by chance.

/// A client's part.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) v5: bool,
    /// Session Expiry Intervals to choose from at each CONNECT, the usual one first. 0: the session
    /// ends with the connection. In 3.1.1 all but 0 means for ever.
    pub(crate) expiry_secs: &'static [u32],
    /// It wants a new session once in so many times; 0: never.
    pub(crate) clean_start_once_in: u64,
    /// How long it stays, and is away: from, to.
    pub(crate) stays_ms: (u64, u64),
    pub(crate) away_ms: (u64, u64),
    /// Every second time it is away this long; 0: it is not.
    pub(crate) long_away_ms: u64,
    /// Subscriptions for ever, and those that come and go.
    pub(crate) keeps: &'static [(&'static str, u8)],
    pub(crate) changes: &'static [(&'static str, u8)],
    /// What it publishes where, how often.
    pub(crate) writes: &'static [&'static str],
    pub(crate) qos: &'static [u8],
    pub(crate) per_sec: u64,
    pub(crate) retains: bool,
    /// It acknowledges late more often than not.
    pub(crate) slow: bool,
    /// Topic, QoS, Will Delay Interval.
    pub(crate) will: Option<(&'static str, u8, u32)>,
    /// It reads what is retained after each restart, and does nothing else.
    pub(crate) reads: bool,
}

const EVER: u32 = u32::MAX;

const PART: Part = Part {
    name: "",
    v5: true,
    expiry_secs: &[3600],
    clean_start_once_in: 0,
    stays_ms: (1 << 40, 1 << 41),
    away_ms: (1, 30),
    long_away_ms: 0,
    keeps: &[],
    changes: &[],
    writes: &[],
    qos: &[1, 2],
    per_sec: 100,
    retains: false,
    slow: false,
    will: None,
    reads: false,
};

const OLD: Part = Part { v5: false, expiry_secs: &[EVER], ..PART };

pub(crate) static TOPICS: &[&str] = &[
    "t/0", "t/1", "t/2", "t/3", "r/0", "r/1", "r/2", "r/3", "r/4", "r/5", "r/6", "r/7", "w/now",
    "w/later",
];

const T: &[&str] = &["t/0", "t/1", "t/2", "t/3"];

/// Everybody.
pub(crate) static CAST: &[Part] = &[
    // Publishers, for ever and for one connection.
    Part { name: "p-both", writes: T, per_sec: 120, ..PART },
    Part { name: "p-old-1", writes: &["t/0", "t/1"], qos: &[1], per_sec: 120, ..OLD },
    Part { name: "p-old-2", writes: &["t/2", "t/3"], qos: &[2], slow: true, ..OLD },
    Part { name: "p-clean-1", expiry_secs: &[0], writes: T, qos: &[1], per_sec: 60, ..PART },
    Part { name: "p-clean-2", expiry_secs: &[0], writes: T, slow: true, per_sec: 60, ..PART },
    Part {
        name: "p-restless",
        stays_ms: (30, 600),
        away_ms: (1, 100),
        writes: &["t/1", "t/2"],
        slow: true,
        per_sec: 60,
        ..PART
    },
    // Publishers of retained messages; two share some topics.
    Part {
        name: "r-first",
        writes: &["r/0", "r/1", "r/2", "r/3", "r/4", "r/5"],
        retains: true,
        per_sec: 40,
        ..PART
    },
    Part {
        name: "r-second",
        writes: &["r/4", "r/5", "r/6", "r/7"],
        retains: true,
        slow: true,
        per_sec: 40,
        ..OLD
    },
    // Subscribers, always there.
    Part { name: "s-all-2", keeps: &[("t/#", 2)], ..OLD },
    Part { name: "s-all-1", keeps: &[("t/+", 1)], slow: true, ..PART },
    Part { name: "s-slow-2", keeps: &[("t/#", 2)], slow: true, ..PART },
    Part { name: "s-retained", keeps: &[("r/#", 2)], slow: true, ..PART },
    Part { name: "s-wills", keeps: &[("w/#", 2)], ..PART },
    Part { name: "s-clean", expiry_secs: &[0], keeps: &[("t/#", 2)], ..PART },
    // Coming and going.
    Part {
        name: "s-restless-1",
        stays_ms: (20, 400),
        away_ms: (10, 600),
        keeps: &[("t/0", 1), ("t/+", 1)],
        slow: true,
        ..OLD
    },
    Part {
        name: "s-restless-2",
        stays_ms: (20, 400),
        away_ms: (10, 600),
        keeps: &[("t/2", 2), ("t/#", 2)],
        slow: true,
        ..PART
    },
    Part {
        name: "s-away-1",
        stays_ms: (10, 80),
        away_ms: (800, 4000),
        keeps: &[("t/#", 1)],
        ..OLD
    },
    Part {
        name: "s-away-2",
        stays_ms: (10, 80),
        away_ms: (800, 4000),
        keeps: &[("t/#", 2)],
        ..PART
    },
    // Whose subscriptions, sessions and expiry change.
    Part {
        name: "s-changing-1",
        changes: &[("t/0", 1), ("t/1", 1), ("t/+", 1), ("u/#", 1)],
        keeps: &[("t/3", 1)],
        ..OLD
    },
    Part {
        name: "s-changing-2",
        stays_ms: (100, 900),
        away_ms: (10, 300),
        changes: &[("t/0", 2), ("t/1", 2), ("t/2", 2), ("+/3", 2)],
        ..PART
    },
    Part {
        name: "s-anew",
        stays_ms: (100, 600),
        clean_start_once_in: 2,
        keeps: &[("t/1", 2), ("t/2", 1)],
        ..PART
    },
    Part {
        name: "s-expiring",
        stays_ms: (50, 400),
        away_ms: (50, 300),
        long_away_ms: 4500,
        expiry_secs: &[3600, 1, 0],
        keeps: &[("t/3", 2)],
        ..PART
    },
    // A Shared Subscription.
    Part { name: "g-one", keeps: &[("$share/g/t/#", 2)], slow: true, ..PART },
    Part {
        name: "g-two",
        stays_ms: (50, 500),
        away_ms: (10, 500),
        keeps: &[("$share/g/t/#", 2)],
        ..PART
    },
    Part {
        name: "g-three",
        stays_ms: (50, 500),
        away_ms: (10, 500),
        keeps: &[("$share/g/t/#", 1)],
        ..PART
    },
    // Wills.
    Part {
        name: "w-now",
        stays_ms: (100, 1500),
        away_ms: (50, 300),
        will: Some(("w/now", 2, 0)),
        ..OLD
    },
    Part {
        name: "w-later",
        stays_ms: (100, 1500),
        away_ms: (50, 300),
        long_away_ms: 4000,
        will: Some(("w/later", 1, 2)),
        ..PART
    },
    Part { name: "reader", expiry_secs: &[0], away_ms: (0, 0), reads: true, ..PART },
];
