//! What shards say to each other: one letter a batch and shard.
//!
//! A letter copies what it carries, so that nobody keeps a slice of a read buffer; its buffers are
//! used again for the next one.

use super::redeliver::Recall;
use super::share::Attempts;
use super::{Now, SessionId, Shard};
use crate::codec::{Properties, QoS};
use crate::session::{Content, Identifiers, Mid, Parcel, ShareId};

/// Messages of one batch for sessions of one shard.
#[derive(Debug, Default)]
pub struct Letter {
    bytes: Vec<u8>,
    enclosures: Vec<Enclosure>,
    addressees: Vec<Addressee>,
    /// Sessions that are to give back what they keep of a group while they are away.
    recalls: Vec<Recall>,
}

/// One message; its bytes lie behind those of the one before.
#[derive(Debug)]
struct Enclosure {
    topic_len: usize,
    properties_len: usize,
    payload_len: usize,
    expires_ms: Option<u64>,
    accepted_unix_ms: u64,
    qos: QoS,
    retain: bool,
    /// [`Parcel::is_promised`].
    is_promised: bool,
    addressees: usize,
}

/// Who gets it, and how.
#[derive(Clone, Debug)]
pub(super) struct Addressee {
    pub(super) session: SessionId,
    /// As a member of this group.
    pub(super) share: Option<ShareId>,
    /// Members of the group that refused it before.
    pub(super) attempts: Attempts,
    /// The member that is away and had it, to be given it back when nobody takes it.
    pub(super) holder: Option<Box<SessionId>>,
    /// The name of the message in the journal, where it is there for this session.
    pub(super) mid: Option<Mid>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) identifiers: Identifiers,
}

impl Addressee {
    /// Whether the message is work to its receiver until it is acknowledged.
    pub(super) fn is_backlog(&self) -> bool {
        self.qos != QoS::AtMostOnce
    }

    /// The message has this name in the journal, and `lasts`: the session outlives its connection.
    pub(super) fn name(&mut self, mid: Option<Mid>, lasts: bool) {
        self.mid = mid.filter(|_| lasts && self.is_backlog());
    }

    /// Whether it is given back to the member that had it.
    pub(super) fn is_return(&self) -> bool {
        self.holder.as_deref() == Some(&self.session)
    }
}

impl Letter {
    /// Nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.enclosures.is_empty() && self.recalls.is_empty()
    }

    /// Bytes it holds, for the mailbox's bound.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes.len()
            + self.enclosures.len() * size_of::<Enclosure>()
            + self.addressees.len() * size_of::<Addressee>()
            + self.recalls.len() * size_of::<Recall>()
    }

    /// Encloses a message; its receivers follow by [`Self::address`].
    pub(super) fn enclose(&mut self, parcel: &Parcel<'_>) {
        let content = parcel.content();
        let properties = content.properties.as_bytes();
        self.bytes.extend_from_slice(content.topic.as_bytes());
        self.bytes.extend_from_slice(properties);
        self.bytes.extend_from_slice(content.payload);
        self.enclosures.push(Enclosure {
            topic_len: content.topic.len(),
            properties_len: properties.len(),
            payload_len: content.payload.len(),
            expires_ms: content.expires_ms,
            accepted_unix_ms: parcel.accepted_unix_ms(),
            qos: parcel.qos(),
            retain: parcel.retain(),
            is_promised: parcel.is_promised(),
            addressees: 0,
        });
    }

    /// One more receiver of the message enclosed last.
    pub(super) fn address(&mut self, addressee: Addressee) {
        if let Some(last) = self.enclosures.last_mut() {
            last.addressees += 1;
            self.addressees.push(addressee);
        }
    }

    pub(super) fn recall(&mut self, recall: Recall) {
        self.recalls.push(recall);
    }

    fn clear(&mut self) {
        self.recalls.clear();
        self.bytes.clear();
        self.enclosures.clear();
        self.addressees.clear();
    }
}

impl Enclosure {
    /// Takes this enclosure's bytes off the front of `bytes`.
    fn open<'b>(&self, bytes: &mut &'b [u8]) -> Content<'b> {
        let mut take = |len: usize| {
            let (head, tail) = bytes.split_at(len);
            *bytes = tail;
            head
        };
        let topic = std::str::from_utf8(take(self.topic_len)).expect("enclosed from a &str");
        let properties = Properties::from_checked(take(self.properties_len));
        let payload = take(self.payload_len);
        Content { topic, properties, payload, expires_ms: self.expires_ms }
    }
}

impl Shard {
    /// Takes in what another shard posted; leaves the letter empty, its buffers to be reused.
    pub fn deliver(&mut self, letter: &mut Letter, now: Now) {
        self.begin(now);
        let mut bytes = &letter.bytes[..];
        let mut addressees = &letter.addressees[..];
        for enclosure in &letter.enclosures {
            let content = enclosure.open(&mut bytes);
            let mut parcel = Parcel::borrowed(content, enclosure.qos, enclosure.retain)
                .accepted(enclosure.accepted_unix_ms)
                .promised(enclosure.is_promised);
            let (receivers, rest) = addressees.split_at(enclosure.addressees);
            addressees = rest;
            for addressee in receivers {
                self.desk.hand_over(addressee, &mut parcel);
                if addressee.share.is_some() && addressee.is_backlog() {
                    self.desk.roster.note_arrived(addressee.session);
                }
            }
        }
        for &recall in &letter.recalls {
            self.desk.leftovers.recall(recall);
        }
        letter.clear();
        self.finish();
    }
}
