//! A session in the journal: what outlives a restart of it, apart from its messages.

use super::wire::{Reader, put_bytes, put_content, put_varint, qos_of};
use crate::codec::{RetainHandling, SubscriptionOptions, Version};
use crate::session::{ArmedWill, Mid, Run, Subscription};

/// A session without its subscriptions and messages.
#[derive(Debug)]
pub struct SessionState<'a> {
    /// Client Identifier.
    pub client_id: &'a str,
    /// User Name of the last CONNECT.
    pub username: Option<&'a str>,
    /// Version of the last CONNECT.
    pub version: Version,
    /// Session Expiry Interval in force, seconds.
    pub expiry_interval_secs: u32,
    /// When it began, milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When the last connection began, milliseconds since 1970.
    pub connected_unix_ms: u64,
    /// When the last connection ended, milliseconds since 1970; `None` while there is one.
    pub disconnected_unix_ms: Option<u64>,
    /// The Will that may still be published.
    pub will: Option<Armed<'a>>,
}

/// A Will, borrowed or read back.
#[derive(Debug)]
pub enum Armed<'a> {
    /// The session's.
    Lent(&'a ArmedWill),
    /// From a record.
    Read(Box<ArmedWill>),
}

impl Armed<'_> {
    fn will(&self) -> &ArmedWill {
        match self {
            Self::Lent(will) => will,
            Self::Read(will) => will,
        }
    }
}

const USERNAME: u8 = 1;
const AWAY: u8 = 1 << 1;
const WILL: u8 = 1 << 2;
const WILL_RETAIN: u8 = 1 << 2;
const WILL_EXPIRES: u8 = 1 << 3;

impl<'a> SessionState<'a> {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        out.push(
            flag(self.username.is_some(), USERNAME)
                | flag(self.disconnected_unix_ms.is_some(), AWAY)
                | flag(self.will.is_some(), WILL),
        );
        put_bytes(out, self.client_id.as_bytes());
        if let Some(username) = self.username {
            put_bytes(out, username.as_bytes());
        }
        out.push(level(self.version));
        put_varint(out, u64::from(self.expiry_interval_secs));
        put_varint(out, self.created_unix_ms);
        put_varint(out, self.connected_unix_ms);
        if let Some(disconnected_unix_ms) = self.disconnected_unix_ms {
            put_varint(out, disconnected_unix_ms);
        }
        if let Some(will) = self.will.as_ref().map(Armed::will) {
            let content = will.content(0);
            let expiry_secs = will.expiry_secs();
            out.push(
                will.qos().as_bits()
                    | flag(will.retain, WILL_RETAIN)
                    | flag(expiry_secs.is_some(), WILL_EXPIRES),
            );
            put_varint(out, u64::from(will.delay_secs));
            if let Some(expiry_secs) = expiry_secs {
                put_varint(out, u64::from(expiry_secs));
            }
            put_content(out, &content);
        }
    }

    /// Reads it; `None` when it is damaged.
    #[must_use]
    pub fn open(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let flags = reader.u8()?;
        let client_id = reader.text()?;
        let username = if flags & USERNAME == 0 { None } else { Some(reader.text()?) };
        let version = version_of(reader.u8()?)?;
        let expiry_interval_secs = reader.number()?;
        let created_unix_ms = reader.varint()?;
        let connected_unix_ms = reader.varint()?;
        let disconnected_unix_ms = if flags & AWAY == 0 { None } else { Some(reader.varint()?) };
        let will = if flags & WILL == 0 { None } else { Some(read_will(reader)?) };
        Some(Self {
            client_id,
            username,
            version,
            expiry_interval_secs,
            created_unix_ms,
            connected_unix_ms,
            disconnected_unix_ms,
            will: will.map(|will| Armed::Read(Box::new(will))),
        })
    }
}

const fn level(version: Version) -> u8 {
    match version {
        Version::V31 => 3,
        Version::V311 => 4,
        Version::V5 => 5,
    }
}

const fn version_of(level: u8) -> Option<Version> {
    match level {
        3 => Some(Version::V31),
        4 => Some(Version::V311),
        5 => Some(Version::V5),
        _ => None,
    }
}

fn read_will(mut reader: Reader<'_>) -> Option<ArmedWill> {
    let flags = reader.u8()?;
    let delay_secs = reader.number()?;
    let expiry_secs = if flags & WILL_EXPIRES == 0 { None } else { Some(reader.number()?) };
    let content = reader.content(None)?;
    let (qos, retain) = (qos_of(flags)?, flags & WILL_RETAIN != 0);
    Some(ArmedWill::restored(&content, qos, retain, (delay_secs, expiry_secs)))
}

/// What a session is done with: every message up to the cursor, and some above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Messages with this name or a smaller one are done with.
    pub cursor: u64,
    /// Messages above the cursor that are done with too, in order.
    pub above: Vec<Run>,
    /// The Packet Identifier that is given out next.
    pub next_packet_id: u16,
}

impl Position {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, u64::from(self.next_packet_id));
        let mut last = self.cursor;
        for run in &self.above {
            put_varint(out, run.first.get().saturating_sub(last));
            put_varint(out, run.last.get() - run.first.get());
            last = run.last.get();
        }
    }

    /// Whether the session is done with a message.
    #[must_use]
    pub fn is_done(&self, mid: Mid) -> bool {
        let next = self.above.partition_point(|run| run.last < mid);
        mid.get() <= self.cursor || self.above.get(next).is_some_and(|run| run.first <= mid)
    }

    /// Reads it; `None` when it is damaged.
    #[must_use]
    pub fn open(cursor: u64, bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let next_packet_id = reader.number()?;
        let mut above = Vec::new();
        let mut last = cursor;
        while !reader.is_empty() {
            let first = last.checked_add(reader.varint()?)?;
            last = first.checked_add(reader.varint()?)?;
            above.push(Run { first: Mid::new(first)?, last: Mid::new(last)? });
        }
        Some(Self { cursor, above, next_packet_id })
    }
}

const NO_LOCAL: u8 = 1 << 2;
const RETAIN_AS_PUBLISHED: u8 = 1 << 3;

pub(super) fn put_subscription(out: &mut Vec<u8>, subscription: &Subscription) {
    let SubscriptionOptions { qos, no_local, retain_as_published, retain_handling } =
        subscription.options;
    let handling = match retain_handling {
        RetainHandling::Send => 0,
        RetainHandling::SendIfNew => 1,
        RetainHandling::DoNotSend => 2,
    };
    let no_local = if no_local { NO_LOCAL } else { 0 };
    let as_published = if retain_as_published { RETAIN_AS_PUBLISHED } else { 0 };
    out.push(qos.as_bits() | no_local | as_published | handling << 4);
    put_varint(out, u64::from(subscription.identifier.unwrap_or(0)));
}

/// Reads the options of a subscription; `None` when they are damaged.
#[must_use]
pub fn read_subscription(bytes: &[u8]) -> Option<Subscription> {
    let mut reader = Reader(bytes);
    let flags = reader.u8()?;
    let options = SubscriptionOptions {
        qos: qos_of(flags)?,
        no_local: flags & NO_LOCAL != 0,
        retain_as_published: flags & RETAIN_AS_PUBLISHED != 0,
        retain_handling: match flags >> 4 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return None,
        },
    };
    let identifier = reader.number()?;
    Some(Subscription { options, identifier: (identifier > 0).then_some(identifier) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Properties, QoS};
    use crate::session::Content;

    #[test]
    fn a_session_comes_back_as_it_was() {
        let content = Content {
            topic: "w",
            properties: Properties::EMPTY,
            payload: b"gone",
            expires_ms: None,
        };
        let will = ArmedWill::restored(&content, QoS::AtLeastOnce, true, (30, Some(60)));
        let state = SessionState {
            client_id: "c",
            username: Some("u"),
            version: Version::V5,
            expiry_interval_secs: u32::MAX,
            created_unix_ms: 1,
            connected_unix_ms: 2,
            disconnected_unix_ms: Some(3),
            will: Some(Armed::Lent(&will)),
        };
        let mut bytes = Vec::new();
        state.put(&mut bytes);
        let read = SessionState::open(&bytes).unwrap();
        assert_eq!((read.client_id, read.username), ("c", Some("u")));
        assert_eq!((read.version, read.expiry_interval_secs), (Version::V5, u32::MAX));
        assert_eq!(read.disconnected_unix_ms, Some(3));
        let Some(Armed::Read(read)) = read.will else { panic!("the Will is there") };
        assert_eq!(read.content(0).payload, b"gone");
        assert_eq!((read.qos(), read.retain, read.delay_secs), (QoS::AtLeastOnce, true, 30));
        assert_eq!(read.expiry_secs(), Some(60));
        for cut in 0..bytes.len() - 4 {
            let _ = SessionState::open(&bytes[..cut]);
        }
    }

    #[test]
    fn a_position_comes_back_as_it_was() {
        let mid = |number| Mid::new(number).unwrap();
        let above = vec![Run::of(mid(12)), Run { first: mid(900), last: mid(1000) }];
        let position = Position { cursor: 10, above, next_packet_id: 65_535 };
        for (number, is_done) in [(10, true), (11, false), (12, true), (13, false), (899, false)] {
            assert_eq!(position.is_done(mid(number)), is_done, "{number}");
        }
        for (number, is_done) in [(900, true), (950, true), (1000, true), (1001, false)] {
            assert_eq!(position.is_done(mid(number)), is_done, "{number}");
        }
        let mut bytes = Vec::new();
        position.put(&mut bytes);
        assert_eq!(Position::open(10, &bytes), Some(position));
    }
}
