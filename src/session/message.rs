//! An Application Message, stored once and shared by all who wait for it.

use std::num::NonZeroU64;
use std::sync::Arc;

use crate::codec::{Properties, QoS};

/// The name of a message in the journal: grows, and is never used twice.
pub type Mid = NonZeroU64;

/// The name of a session in the journal: the same.
pub type Sid = NonZeroU64;

/// What a receiver gets of a message, borrowed from wherever it lies.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// Topic Name.
    pub topic: &'a str,
    /// The properties a server passes on unaltered, in order.
    pub properties: Properties<'a>,
    /// Payload.
    pub payload: &'a [u8],
    /// When the message expires, on the clock of `ticks_ms`.
    pub expires_ms: Option<u64>,
}

impl Content<'_> {
    /// Bytes this takes when stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.topic.len() + self.properties.as_bytes().len() + self.payload.len()
    }

    /// Whether there is neither topic, property nor payload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A stored Application Message. One allocation holds topic, properties and payload.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    bytes: Box<[u8]>,
    topic_len: usize,
    properties_len: usize,
    expires_ms: Option<u64>,
    accepted_unix_ms: u64,
    qos: QoS,
    retain: bool,
}

impl Message {
    /// Bytes of bookkeeping a stored message costs beside its content: the shared header, two
    /// allocations, and one entry of a queue.
    pub const OVERHEAD_BYTES: u64 = 128;

    /// Stores a message; `qos` and `retain` are the publisher's.
    #[must_use]
    pub fn new(content: &Content<'_>, qos: QoS, retain: bool) -> Self {
        let properties = content.properties.as_bytes();
        let mut bytes = Vec::with_capacity(content.len());
        bytes.extend_from_slice(content.topic.as_bytes());
        bytes.extend_from_slice(properties);
        bytes.extend_from_slice(content.payload);
        Self {
            bytes: bytes.into_boxed_slice(),
            topic_len: content.topic.len(),
            properties_len: properties.len(),
            expires_ms: content.expires_ms,
            accepted_unix_ms: 0,
            qos,
            retain,
        }
    }

    /// The same, accepted at that time.
    #[must_use]
    pub fn accepted(self, unix_ms: u64) -> Self {
        Self { accepted_unix_ms: unix_ms, ..self }
    }

    /// When the broker accepted it, milliseconds since 1970; 0 where nobody noted it.
    #[must_use]
    pub const fn accepted_unix_ms(&self) -> u64 {
        self.accepted_unix_ms
    }

    /// The QoS it was published with.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// The RETAIN flag it was published with.
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.retain
    }

    /// Topic Name.
    #[must_use]
    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.topic_len]).expect("stored from a &str")
    }

    /// Payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.topic_len + self.properties_len..]
    }

    /// When it expires, on the clock of `ticks_ms`.
    #[must_use]
    pub const fn expires_ms(&self) -> Option<u64> {
        self.expires_ms
    }

    /// Whether it has expired `[MQTT-3.3.2-5]`.
    #[must_use]
    pub fn has_expired(&self, ticks_ms: u64) -> bool {
        self.expires_ms.is_some_and(|at_ms| at_ms <= ticks_ms)
    }

    /// All of it.
    #[must_use]
    pub fn content(&self) -> Content<'_> {
        let properties = &self.bytes[self.topic_len..self.topic_len + self.properties_len];
        Content {
            topic: self.topic(),
            properties: Properties::from_checked(properties),
            payload: self.payload(),
            expires_ms: self.expires_ms,
        }
    }

    /// Bytes to count for it in a queue.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.bytes.len() as u64 + Self::OVERHEAD_BYTES
    }
}

/// A message on its way to its receivers: borrowed as long as everybody can be served at once,
/// stored (once) as soon as somebody has to wait.
#[derive(Debug)]
pub struct Parcel<'a> {
    content: Content<'a>,
    qos: QoS,
    retain: bool,
    accepted_unix_ms: u64,
    /// Its publisher would have been told that a session is full, and was not.
    is_promised: bool,
    stored: Option<Arc<Message>>,
}

impl<'a> Parcel<'a> {
    /// A message that lies in a buffer; `qos` and `retain` are the publisher's.
    #[must_use]
    pub const fn borrowed(content: Content<'a>, qos: QoS, retain: bool) -> Self {
        let (accepted_unix_ms, is_promised) = (0, false);
        Self { content, qos, retain, accepted_unix_ms, is_promised, stored: None }
    }

    /// The same, accepted at that time.
    #[must_use]
    pub fn accepted(self, unix_ms: u64) -> Self {
        Self { accepted_unix_ms: unix_ms, ..self }
    }

    /// The same; `is_promised`: its publisher would have been told that a session is full, and was
    /// not, so that each takes it in.
    #[must_use]
    pub fn promised(self, is_promised: bool) -> Self {
        Self { is_promised, ..self }
    }

    /// A message that is stored already.
    #[must_use]
    pub fn stored(message: &'a Arc<Message>) -> Self {
        let (content, qos, retain) = (message.content(), message.qos, message.retain);
        let accepted_unix_ms = message.accepted_unix_ms;
        let stored = Some(Arc::clone(message));
        Self { content, qos, retain, accepted_unix_ms, is_promised: false, stored }
    }

    /// What the receivers get.
    #[must_use]
    pub const fn content(&self) -> &Content<'a> {
        &self.content
    }

    /// The QoS it was published with.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// When the broker accepted it, milliseconds since 1970; 0 where nobody noted it.
    #[must_use]
    pub const fn accepted_unix_ms(&self) -> u64 {
        self.accepted_unix_ms
    }

    /// The RETAIN flag it was published with.
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.retain
    }

    /// Whether sessions take it in though they are full.
    #[must_use]
    pub const fn is_promised(&self) -> bool {
        self.is_promised
    }

    /// The stored form, made at the first call.
    pub fn message(&mut self) -> Arc<Message> {
        let store = || {
            let message = Message::new(&self.content, self.qos, self.retain);
            Arc::new(message.accepted(self.accepted_unix_ms))
        };
        Arc::clone(self.stored.get_or_insert_with(store))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gives_back_what_it_was_made_of_and_is_stored_once() {
        let content = Content {
            topic: "a/ü",
            properties: Properties::EMPTY,
            payload: b"\x00\xff",
            expires_ms: Some(7),
        };
        let mut parcel = Parcel::borrowed(content, QoS::AtLeastOnce, true).accepted(11);
        let message = parcel.message();
        assert_eq!(message.accepted_unix_ms(), 11);
        assert!(Arc::ptr_eq(&message, &parcel.message()));
        assert_eq!(message.topic(), "a/ü");
        assert_eq!(message.payload(), b"\x00\xff");
        assert_eq!(message.expires_ms(), Some(7));
        assert_eq!((message.qos(), message.retain()), (QoS::AtLeastOnce, true));
    }
}
