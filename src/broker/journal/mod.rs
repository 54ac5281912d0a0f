//! What a shard leaves for the disk, so that what it acknowledges is there: records in the order
//! of its steps.
//!
//! Each record has a *ticket*: the shard's count of records. The server carries the tray to the
//! journal's thread, which commits all that is there at once and reports "durable up to ticket n"
//! ([`super::Shard::durable`]); the shard then sends the acknowledgements that waited.
//!
//! A message is one record, whatever its fan-out: its name ([`Mid`]), who gets it ([`Recipient`]),
//! then its content. What a recipient is done with is said by [`Record::Done`] at once, which only
//! frees the record in the end, and by [`Record::Position`] now and then, which is what a restart
//! goes by. Records are plain bytes: the store keeps them and understands none but their names.

mod message;
mod session;
mod wire;

pub use message::{Accepted, Addressed, Envelope, Recipient, StoredMessage};
pub use session::{Armed, Position, SessionState, read_subscription};

use super::SessionId;
use crate::codec::QoS;
use crate::session::{Identifiers, Mid, Sid, Subscription};

/// How long a message lasts once it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// As long as the process: nothing is written.
    Memory,
    /// As long as the operating system: it is written, and nobody waits for the disk.
    Os,
    /// As long as the disk: nothing is acknowledged before `fdatasync` has returned.
    #[default]
    Disk,
}

/// One record, as the store sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A message for `recipients` sessions, and to be retained.
    Message {
        /// Its name; larger than those of messages accepted before, not always in this order.
        mid: Mid,
        /// How many times [`Record::Done`] will be said of it.
        recipients: u32,
        /// Whether it is the retained message of its topic from now on.
        retained: bool,
        /// Who gets it: an [`Envelope`].
        envelope: &'a [u8],
        /// What they get: a [`StoredMessage`].
        body: &'a [u8],
    },
    /// One recipient has no use for a message any more. It need not last.
    Done {
        /// Which.
        mid: Mid,
    },
    /// The retained message of a topic is gone, unless its name is larger.
    RetainedGone {
        /// When, in the order of messages.
        mid: Mid,
        /// Of which topic.
        topic: &'a str,
    },
    /// A session began or changed.
    Session {
        /// Which.
        sid: Sid,
        /// A [`SessionState`].
        state: &'a [u8],
    },
    /// A session is over, with all that is said of it.
    SessionEnded {
        /// Which.
        sid: Sid,
    },
    /// A session has a subscription, or another one for that filter.
    Subscribed {
        /// Which session.
        sid: Sid,
        /// Topic Filter, `$share/…` included.
        filter: &'a str,
        /// Its options.
        options: &'a [u8],
    },
    /// A subscription ended.
    Unsubscribed {
        /// Of which session.
        sid: Sid,
        /// Topic Filter.
        filter: &'a str,
    },
    /// PUBLISH of QoS 2 came from the client.
    Received {
        /// Whose.
        sid: Sid,
        /// Packet Identifier.
        packet_id: u16,
    },
    /// PUBREL for it came.
    Released {
        /// Whose.
        sid: Sid,
        /// Packet Identifier.
        packet_id: u16,
    },
    /// A message of QoS 2 goes to the client under this identifier; `released`: its PUBREC came.
    Sent {
        /// To whom.
        sid: Sid,
        /// Which message.
        mid: Mid,
        /// Packet Identifier.
        packet_id: u16,
        /// Whether PUBREL goes out.
        released: bool,
    },
    /// What a session is done with. What is said by `Sent` of messages up to its cursor is of no
    /// use any more. It need not last.
    Position {
        /// Which session.
        sid: Sid,
        /// [`Position::cursor`].
        cursor: u64,
        /// A [`Position`].
        position: &'a [u8],
    },
}

/// A record; its bytes lie behind those of the one before.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Message { mid: Mid, recipients: u32, retained: bool, envelope_len: usize, body_len: usize },
    Done { mid: Mid },
    RetainedGone { mid: Mid, topic_len: usize },
    Session { sid: Sid, len: usize },
    SessionEnded { sid: Sid },
    Subscribed { sid: Sid, filter_len: usize, len: usize },
    Unsubscribed { sid: Sid, filter_len: usize },
    Received { sid: Sid, packet_id: u16 },
    Released { sid: Sid, packet_id: u16 },
    Sent { sid: Sid, mid: Mid, packet_id: u16, released: bool },
    Position { sid: Sid, cursor: u64, len: usize },
}

/// The records of some steps of one shard, in order.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Ticket of the last one.
    ticket: u64,
    /// Ticket of the last one that somebody waits for.
    urgent_ticket: u64,
    urgent: Option<Class>,
    /// The lowest and the highest name of a message.
    messages: Option<(Mid, Mid)>,
}

impl Records {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes they take in memory.
    #[must_use]
    pub const fn weight(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    /// The ticket of the last one.
    #[must_use]
    pub const fn ticket(&self) -> u64 {
        self.ticket
    }

    /// The ticket of the last one that somebody waits for.
    #[must_use]
    pub const fn urgent_ticket(&self) -> u64 {
        self.urgent_ticket
    }

    /// What somebody waits for; `None` when all of them may be written whenever it suits.
    #[must_use]
    pub const fn urgent(&self) -> Option<Class> {
        self.urgent
    }

    /// The lowest and the highest name of the messages; `None` when there is none.
    #[must_use]
    pub const fn messages(&self) -> Option<(Mid, Mid)> {
        self.messages
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        let mut bytes = &self.bytes[..];
        self.entries.iter().map(move |entry| entry.open(&mut bytes))
    }

    /// Leaves nothing but the buffers; tickets go on.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.urgent = None;
        self.messages = None;
    }

    /// Takes all records out, and puts the buffers of `spare` in their place; tickets go on.
    #[must_use]
    pub fn take(&mut self, mut spare: Self) -> Self {
        spare.clear();
        (spare.ticket, spare.urgent_ticket) = (self.ticket, self.urgent_ticket);
        std::mem::replace(self, spare)
    }

    /// A message, and who gets it.
    pub fn message<'r>(
        &mut self,
        accepted: &Accepted<'_>,
        recipients: impl Iterator<Item = Recipient<'r>>,
        class: Class,
    ) {
        let start = self.bytes.len();
        let recipients = accepted.put_envelope(recipients, &mut self.bytes);
        let envelope_len = self.bytes.len() - start;
        accepted.put_body(&mut self.bytes);
        let body_len = self.bytes.len() - start - envelope_len;
        let (mid, retained) = (accepted.mid, accepted.retained);
        let (lowest, highest) = self.messages.unwrap_or((mid, mid));
        self.messages = Some((lowest.min(mid), highest.max(mid)));
        let entry = Entry::Message { mid, recipients, retained, envelope_len, body_len };
        // A retained message of QoS 0 is not acknowledged: nobody waits for it.
        self.put(entry, (accepted.qos != QoS::AtMostOnce).then_some(class));
    }

    /// A recipient is done with a message.
    pub fn done(&mut self, mid: Mid) {
        self.put(Entry::Done { mid }, None);
    }

    /// The retained message of a topic is gone.
    pub fn retained_gone(&mut self, mid: Mid, topic: &str, urgent: Option<Class>) {
        self.bytes.extend_from_slice(topic.as_bytes());
        self.put(Entry::RetainedGone { mid, topic_len: topic.len() }, urgent);
    }

    /// A session began or changed; `urgent`: somebody waits for it.
    pub fn session(&mut self, sid: Sid, state: &SessionState<'_>, urgent: bool) {
        let start = self.bytes.len();
        state.put(&mut self.bytes);
        let len = self.bytes.len() - start;
        self.put(Entry::Session { sid, len }, urgent.then_some(Class::Disk));
    }

    /// A session is over.
    pub fn session_ended(&mut self, sid: Sid) {
        self.put(Entry::SessionEnded { sid }, Some(Class::Disk));
    }

    /// A session has a subscription.
    pub fn subscribed(&mut self, sid: Sid, filter: &str, subscription: &Subscription) {
        self.bytes.extend_from_slice(filter.as_bytes());
        let start = self.bytes.len();
        session::put_subscription(&mut self.bytes, subscription);
        let len = self.bytes.len() - start;
        self.put(Entry::Subscribed { sid, filter_len: filter.len(), len }, Some(Class::Disk));
    }

    /// A subscription ended.
    pub fn unsubscribed(&mut self, sid: Sid, filter: &str) {
        self.bytes.extend_from_slice(filter.as_bytes());
        self.put(Entry::Unsubscribed { sid, filter_len: filter.len() }, Some(Class::Disk));
    }

    /// PUBLISH of QoS 2 came.
    pub fn received(&mut self, sid: Sid, packet_id: u16) {
        self.put(Entry::Received { sid, packet_id }, Some(Class::Disk));
    }

    /// PUBREL for it came.
    pub fn released(&mut self, sid: Sid, packet_id: u16) {
        self.put(Entry::Released { sid, packet_id }, Some(Class::Disk));
    }

    /// A message of QoS 2 goes out, or PUBREL for it.
    pub fn sent(&mut self, sid: Sid, mid: Mid, packet_id: u16, released: bool) {
        self.put(Entry::Sent { sid, mid, packet_id, released }, Some(Class::Disk));
    }

    /// What a session is done with.
    pub fn position(&mut self, sid: Sid, position: &Position) {
        let start = self.bytes.len();
        position.put(&mut self.bytes);
        let len = self.bytes.len() - start;
        self.put(Entry::Position { sid, cursor: position.cursor, len }, None);
    }

    fn put(&mut self, entry: Entry, urgent: Option<Class>) {
        self.entries.push(entry);
        self.ticket += 1;
        if urgent.is_some() {
            self.urgent_ticket = self.ticket;
            self.urgent = self.urgent.max(urgent);
        }
    }
}

impl Entry {
    /// Takes this record's bytes off the front of `bytes`.
    fn open<'b>(&self, bytes: &mut &'b [u8]) -> Record<'b> {
        let mut take = |len: usize| {
            let (head, tail) = bytes.split_at(len);
            *bytes = tail;
            head
        };
        let text = |bytes| std::str::from_utf8(bytes).expect("put in as a &str");
        match *self {
            Self::Message { mid, recipients, retained, envelope_len, body_len } => {
                let (envelope, body) = (take(envelope_len), take(body_len));
                Record::Message { mid, recipients, retained, envelope, body }
            }
            Self::Done { mid } => Record::Done { mid },
            Self::RetainedGone { mid, topic_len } => {
                Record::RetainedGone { mid, topic: text(take(topic_len)) }
            }
            Self::Session { sid, len } => Record::Session { sid, state: take(len) },
            Self::SessionEnded { sid } => Record::SessionEnded { sid },
            Self::Subscribed { sid, filter_len, len } => {
                let filter = text(take(filter_len));
                Record::Subscribed { sid, filter, options: take(len) }
            }
            Self::Unsubscribed { sid, filter_len } => {
                Record::Unsubscribed { sid, filter: text(take(filter_len)) }
            }
            Self::Received { sid, packet_id } => Record::Received { sid, packet_id },
            Self::Released { sid, packet_id } => Record::Released { sid, packet_id },
            Self::Sent { sid, mid, packet_id, released } => {
                Record::Sent { sid, mid, packet_id, released }
            }
            Self::Position { sid, cursor, len } => {
                Record::Position { sid, cursor, position: take(len) }
            }
        }
    }
}

/// Messages that a session needs from the disk, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Who needs them.
    pub session: SessionId,
    /// Its name in the journal.
    pub sid: Sid,
    /// Which.
    pub mids: Vec<Mid>,
}

/// The answer to a [`Load`].
#[derive(Debug)]
pub struct Loaded {
    /// Who needed them.
    pub session: SessionId,
    /// Each message asked for, in order, with the session's Subscription Identifiers; `None` where
    /// its record is gone or damaged.
    pub messages: Vec<(Mid, Option<(StoredMessage, Identifiers)>)>,
}

/// A record that is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record is damaged")]
pub struct Damaged;

/// What a restart found of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Sessions that are not done with it: how many times [`Record::Done`] will be said of it.
    pub recipients: u32,
    /// Whether its body is to be handed to [`Restore::body`].
    pub wants_body: bool,
}

/// Takes in what the store kept; the order is that of the methods here.
pub trait Restore {
    /// A session, by [`Record::Session`].
    ///
    /// # Errors
    /// It cannot be read.
    fn session(&mut self, sid: Sid, state: &[u8]) -> Result<(), Damaged>;

    /// One of its subscriptions. As everything below, it is left out when the session is unknown.
    ///
    /// # Errors
    /// It cannot be read.
    fn subscription(&mut self, sid: Sid, filter: &str, options: &[u8]) -> Result<(), Damaged>;

    /// What it is done with.
    ///
    /// # Errors
    /// It cannot be read.
    fn position(&mut self, sid: Sid, cursor: u64, position: &[u8]) -> Result<(), Damaged>;

    /// An identifier between PUBLISH and PUBREL.
    fn received(&mut self, sid: Sid, packet_id: u16);

    /// A QoS 2 message under way to the client.
    fn sent(&mut self, sid: Sid, mid: Mid, packet_id: u16, released: bool);

    /// The retained message of a topic, by its body; one with a larger name takes its place.
    ///
    /// # Errors
    /// It cannot be read.
    fn retained(&mut self, mid: Mid, body: &[u8]) -> Result<(), Damaged>;

    /// A message, by its envelope; names grow from one to the next.
    ///
    /// # Errors
    /// It cannot be read.
    fn message(&mut self, mid: Mid, envelope: &[u8]) -> Result<Waiting, Damaged>;

    /// Its body, where it was wanted.
    ///
    /// # Errors
    /// It cannot be read.
    fn body(&mut self, mid: Mid, body: &[u8]) -> Result<(), Damaged>;
}
