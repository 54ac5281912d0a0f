//! What shards say to each other: one letter a batch and shard.
//!
//! A letter copies what it carries, so that nobody keeps a slice of a read buffer; its buffers are
//! used again for the next one.

use super::{Now, SessionId, Shard};
use crate::codec::{Properties, QoS};
use crate::session::{Content, Identifiers, Parcel};

/// Messages of one batch for sessions of one shard.
#[derive(Debug, Default)]
pub struct Letter {
    bytes: Vec<u8>,
    enclosures: Vec<Enclosure>,
    addressees: Vec<Addressee>,
}

/// One message; its bytes lie behind those of the one before.
#[derive(Debug)]
struct Enclosure {
    topic_len: usize,
    properties_len: usize,
    payload_len: usize,
    expires_ms: Option<u64>,
    qos: QoS,
    addressees: usize,
}

/// Who gets it, and how.
#[derive(Clone, Debug)]
pub(super) struct Addressee {
    pub(super) session: SessionId,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) identifiers: Identifiers,
}

impl Letter {
    /// Nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.enclosures.is_empty()
    }

    /// Bytes it holds, for the mailbox's bound.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes.len()
            + self.enclosures.len() * size_of::<Enclosure>()
            + self.addressees.len() * size_of::<Addressee>()
    }

    /// Encloses a message; its receivers follow by [`Self::address`].
    pub(super) fn enclose(&mut self, content: &Content<'_>, qos: QoS) {
        let properties = content.properties.as_bytes();
        self.bytes.extend_from_slice(content.topic.as_bytes());
        self.bytes.extend_from_slice(properties);
        self.bytes.extend_from_slice(content.payload);
        self.enclosures.push(Enclosure {
            topic_len: content.topic.len(),
            properties_len: properties.len(),
            payload_len: content.payload.len(),
            expires_ms: content.expires_ms,
            qos,
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

    fn clear(&mut self) {
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
            let mut parcel = Parcel::borrowed(enclosure.open(&mut bytes), enclosure.qos);
            let (receivers, rest) = addressees.split_at(enclosure.addressees);
            addressees = rest;
            for addressee in receivers {
                self.desk.hand_over(addressee, &mut parcel);
            }
        }
        letter.clear();
        self.finish();
    }
}
