//! The naive model: what must be true, in lists that are searched from one end to the other.
//!
//! It stands at the broker's door. It is told what the broker takes in, in the order in which it
//! takes it, and judges what the broker says. So it needs no guesses about the network: for each
//! PUBLISH taken in it knows who must hear of it. Each such delivery is a [`Due`]; it is paid when
//! the broker says it, and what is said without a due is a failure. What is left to the broker
//! (which member of a group, when exactly a timer comes within its slack) is allowed in every form.
//!
//! `door` holds what packets of clients do, `ear` judges what the broker says, `after` what time
//! does, `checks` compares the broker's own pictures. Dishonest clients are not modelled: their
//! messages carry no [`MARK`], and nothing they do may change what is due to others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mqttd::broker::{Limits, Now};
use mqttd::codec::{Properties, Property, QoS, SubscriptionOptions, Version};

use crate::history::History;
use crate::naive;
use crate::record::Tally;

/// Payloads of honest clients begin so.
pub(crate) const MARK: &[u8] = b"!msg ";
/// Timers may be late by this much: two turns of their wheel, and a step.
pub(crate) const SLACK_MS: u64 = 600;
/// Messages beyond this do not fit a client that named a maximum; the others do.
pub(crate) const LARGE_BYTES: usize = 300;

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) limits: Limits,
    /// Whether limits are so tight that messages may be dropped.
    pub(crate) tight: bool,
    pub(crate) now: Now,
    /// Every time it was told, in `ticks_ms`.
    pub(crate) moments: BTreeSet<u64>,
    pub(crate) connections: BTreeMap<usize, Connection>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) messages: Vec<Message>,
    /// Retained messages, in the order they came.
    pub(crate) retained: Vec<usize>,
    pub(crate) shared: Vec<SharedDue>,
    pub(crate) sessions_begun: usize,
    /// Counts what happened, for [`History`].
    pub(crate) op: u64,
    /// Sessions that ended, and may be in the store still.
    pub(crate) ghosts: Vec<Session>,
    /// When the newest session of a client began of those it was told of.
    pub(crate) newest_told: BTreeMap<String, u64>,
    /// What was retained of a topic, and when it was not: messages and empty ones.
    pub(crate) retained_log: BTreeMap<String, Vec<usize>>,
    /// Messages that were found in the store after a crash.
    pub(crate) found: Vec<usize>,
    /// Messages that came by a group, or beside it.
    pub(crate) mistakable: Vec<usize>,
    /// Since when the broker runs.
    pub(crate) began_ms: u64,
    pub(crate) tally: Tally,
}

/// A connection of an honest client.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Serial of the session.
    pub(crate) session: usize,
    pub(crate) version: Version,
    /// Which connection of its session, from 1.
    pub(crate) number: usize,
    pub(crate) ended: bool,
    /// What the broker must answer, in this order.
    pub(crate) answers: VecDeque<Owed>,
    pub(crate) aliases_in: Vec<(u16, String)>,
    pub(crate) aliases_out: Vec<(u16, String)>,
    pub(crate) alias_maximum: u16,
    pub(crate) receive_maximum: u16,
    pub(crate) packet_bytes_max: usize,
    pub(crate) keep_alive_secs: u16,
    /// When the last bytes came.
    pub(crate) heard_ms: u64,
    /// Packet Identifiers of QoS 1 and 2 messages said here and not acknowledged.
    pub(crate) on_the_way: Vec<u16>,
    /// Packet Identifiers to be said again, in this order, before anything new.
    pub(crate) resend: VecDeque<u16>,
    /// The same for PUBREL.
    pub(crate) release: VecDeque<u16>,
}

/// An answer with what it promises.
#[derive(Debug)]
pub(crate) struct Owed {
    pub(crate) answer: Answer,
    /// Everything up to here.
    pub(crate) op: u64,
    /// And this message.
    pub(crate) message: Option<usize>,
}

/// An answer that the broker owes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Connack {
        present: bool,
    },
    /// And whether somebody is known to get the message.
    Puback(u16, bool),
    Pubrec(u16, bool),
    Pubrel(u16),
    /// And whether the identifier was in use.
    Pubcomp(u16, bool),
    Suback(u16, Vec<u8>),
    Unsuback(u16, Vec<u8>),
    Pingresp,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) serial: usize,
    pub(crate) client_id: String,
    pub(crate) line: Option<usize>,
    /// Connections so far.
    pub(crate) connections: usize,
    pub(crate) away_since_ms: u64,
    pub(crate) expiry_secs: u32,
    pub(crate) will: Option<Will>,
    pub(crate) subscriptions: Vec<Subscription>,
    /// QoS 2 messages of the client between PUBLISH and PUBREL.
    pub(crate) received: Vec<(u16, usize)>,
    /// Between PUBREL and PUBCOMP.
    pub(crate) releasing: Vec<(u16, usize)>,
    pub(crate) dues: Vec<Due>,
    /// Deliveries that were acknowledged, which the store may not know.
    pub(crate) acknowledged: Vec<Due>,
    /// When it began, milliseconds since 1970.
    pub(crate) created_unix_ms: u64,
    /// What its client was told last.
    pub(crate) told: u64,
    pub(crate) past: Past,
    pub(crate) out: Vec<Out>,
    /// Deliveries that were overtaken, and so must have been dropped at a limit.
    pub(crate) dropped: u64,
    /// Whether a connection of it had a Maximum Packet Size.
    pub(crate) small: bool,
}

/// What was so since the client was last told something, and may be so after a crash.
#[derive(Debug)]
pub(crate) struct Past {
    /// 0 = the session is not there.
    pub(crate) expiry_secs: History<u32>,
    pub(crate) will: History<Option<Will>>,
    /// `None` while it is connected.
    pub(crate) away_since_ms: History<Option<u64>>,
    pub(crate) subscriptions: BTreeMap<String, History<Option<Subscription>>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    pub(crate) options: SubscriptionOptions,
    pub(crate) identifier: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) message: Message,
    pub(crate) retain: bool,
    pub(crate) delay_secs: u32,
    pub(crate) expiry_secs: Option<u32>,
}

/// A message as published.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Client Identifier of the publisher.
    pub(crate) from: String,
    pub(crate) topic: String,
    pub(crate) qos: QoS,
    pub(crate) payload: Vec<u8>,
    pub(crate) properties: Vec<String>,
    pub(crate) expires_ms: Option<u64>,
    pub(crate) expiry_secs: Option<u32>,
    /// Its publisher was told that it is safe.
    pub(crate) told: bool,
}

/// A delivery the broker owes a session.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) message: usize,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Sorted.
    pub(crate) identifiers: Vec<u32>,
    /// Not to be told from another due by what is said: it may come in any order.
    pub(crate) any_order: bool,
    /// It goes to one of a group.
    pub(crate) shared: bool,
    /// It may have been refused at a limit before it was due.
    pub(crate) optional: bool,
    /// QoS 0 for somebody who is away: it comes only if a letter is slower than the client.
    pub(crate) chancy: bool,
    /// The first connection that can hear of it; DUP is possible in later ones alone.
    pub(crate) born: usize,
    /// Its session outlives the broker, and it with it.
    pub(crate) lasts: bool,
}

/// A delivery on its way: said, and not acknowledged.
#[derive(Debug)]
pub(crate) struct Out {
    pub(crate) packet_id: u16,
    /// PUBREC came.
    pub(crate) released: bool,
    /// PUBREL went.
    pub(crate) release_told: bool,
    /// It is in the store.
    pub(crate) lasts: bool,
    pub(crate) qos: QoS,
    /// The message; `None` for one of a dishonest client.
    pub(crate) due: Option<Due>,
}

/// A delivery the broker owes one of several sessions.
#[derive(Debug)]
pub(crate) struct SharedDue {
    pub(crate) share: String,
    pub(crate) filter: String,
    /// RETAIN as it was published with.
    pub(crate) retain: bool,
    /// Session and the due as it would be its own.
    pub(crate) candidates: Vec<(usize, Due)>,
    /// Who got it, and how.
    pub(crate) taken: Option<(usize, Due)>,
    /// A candidate left, or may have lost it in a way of its own: need not come any more.
    pub(crate) optional: bool,
}

impl Model {
    pub(crate) fn new(limits: Limits, tight: bool, now: Now) -> Self {
        Self {
            limits,
            tight,
            now,
            moments: BTreeSet::new(),
            connections: BTreeMap::new(),
            sessions: Vec::new(),
            messages: Vec::new(),
            retained: Vec::new(),
            shared: Vec::new(),
            sessions_begun: 0,
            op: 0,
            ghosts: Vec::new(),
            newest_told: BTreeMap::new(),
            retained_log: BTreeMap::new(),
            began_ms: 0,
            found: Vec::new(),
            mistakable: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn session(&mut self, serial: usize) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.serial == serial)
    }

    pub(crate) fn session_of(&mut self, client_id: &str) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.client_id == client_id)
    }

    /// A message is published: by whom, if it is still there, and what follows from it. Says
    /// whether somebody gets it.
    pub(crate) fn publish(&mut self, from: usize, message: Message, retain: bool) -> bool {
        let number = self.messages.len();
        self.messages.push(message.clone());
        if retain {
            self.retained_log.entry(message.topic.clone()).or_default().push(number);
            // With tight limits it may be refused, and the one before stay.
            if !self.tight || message.payload.is_empty() {
                self.retained.retain(|&known| self.messages[known].topic != message.topic);
            }
            if !message.payload.is_empty() {
                self.retained.push(number);
            }
        }
        let mut receivers = false;
        for session in &mut self.sessions {
            let of_itself = session.serial == from;
            let matching: Vec<&Subscription> = session
                .subscriptions
                .iter()
                .filter(|one| {
                    let (share, filter) = naive::share(&one.filter);
                    share.is_none() && naive::matches(filter, &message.topic)
                })
                .collect();
            let wanted: Vec<&Subscription> = matching
                .iter()
                .filter(|one| !(of_itself && one.options.no_local))
                .copied()
                .collect();
            self.tally.not_local += u64::from(wanted.len() < matching.len());
            if let Some(mut due) = due(number, &message, retain, &wanted, session) {
                receivers = true;
                due.optional = self.tight && retain;
                session.owe(due, &message, &self.messages);
            }
        }
        self.publish_shared(number, &message, retain) || receivers
    }
}

/// What is due to a session for these subscriptions, merged.
pub(crate) fn due(
    number: usize,
    message: &Message,
    retain: bool,
    wanted: &[&Subscription],
    session: &Session,
) -> Option<Due> {
    let granted = wanted.iter().map(|one| one.options.qos).max()?;
    let qos = message.qos.min(granted);
    let chancy = qos == QoS::AtMostOnce && session.line.is_none();
    let mut identifiers: Vec<u32> = wanted.iter().filter_map(|one| one.identifier).collect();
    identifiers.sort_unstable();
    Some(Due {
        message: number,
        qos,
        retain: retain && wanted.iter().any(|one| one.options.retain_as_published),
        identifiers,
        any_order: message.payload.is_empty() || chancy,
        shared: false,
        optional: false,
        chancy,
        born: session.next_to_hear(),
        lasts: session.expiry_secs > 0 && qos != QoS::AtMostOnce,
    })
}

impl Message {
    /// Whether it has not expired.
    pub(crate) fn is_live(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|at_ms| at_ms > now_ms)
    }
}

impl Due {
    /// Whether what is said for one may be said for the other, of the same message.
    pub(crate) fn same_terms(&self, other: &Self) -> bool {
        (self.qos, self.retain) == (other.qos, other.retain)
            && self.identifiers == other.identifiers
    }
}

impl Session {
    /// The connection that hears next.
    pub(crate) const fn next_to_hear(&self) -> usize {
        if self.line.is_some() { self.connections } else { self.connections + 1 }
    }

    pub(crate) fn note_subscription(&mut self, op: u64, filter: &str, now: Option<Subscription>) {
        let past = self.past.subscriptions.entry(filter.to_owned());
        past.or_insert_with(|| History::new(None)).note(op, now);
    }

    /// Notes a due; one that looks like another cannot be told from it.
    pub(crate) fn owe(&mut self, mut due: Due, message: &Message, messages: &[Message]) {
        for known in &mut self.dues {
            let same = messages[known.message].payload == message.payload;
            if same && known.qos == due.qos {
                known.any_order = true;
                due.any_order = true;
            }
        }
        self.dues.push(due);
    }
}

/// Whether a message is one of an honest client.
pub(crate) fn is_honest(topic: &str, payload: &[u8]) -> bool {
    let starts = ["t/", "w/", "$x/"].iter().any(|start| topic.starts_with(start));
    payload.starts_with(MARK) || payload.is_empty() && starts
}

/// The properties that pass through a server unaltered, in their order.
pub(crate) fn passed_on(properties: Properties<'_>) -> Vec<String> {
    let own = |property: &Property<'_>| {
        !matches!(
            property,
            Property::TopicAlias(_)
                | Property::SubscriptionIdentifier(_)
                | Property::MessageExpiryInterval(_)
                | Property::WillDelayInterval(_)
        )
    };
    properties.iter().filter(own).map(|property| format!("{property:?}")).collect()
}
