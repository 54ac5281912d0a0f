//! The Will Message, from CONNECT until it is published or discarded.

use super::{Content, Message};
use crate::codec::{QoS, Will};

/// A Will as the session keeps it.
#[derive(Debug)]
pub struct ArmedWill {
    message: Message,
    /// Will Retain.
    pub retain: bool,
    /// Will Delay Interval, seconds.
    pub delay_secs: u32,
    /// Message Expiry Interval, seconds, counted from the publication.
    expiry_secs: Option<u32>,
}

impl ArmedWill {
    /// Keeps the Will of a CONNECT, its User Properties in their order `[MQTT-3.1.3-10]`.
    #[must_use]
    pub fn new(will: &Will<'_>) -> Self {
        let mut forwarded = Vec::new();
        let content = Content {
            topic: will.topic,
            properties: will.properties.forwardable(&mut forwarded),
            payload: will.payload,
            expires_ms: None,
        };
        Self {
            message: Message::new(&content, will.qos, will.retain),
            retain: will.retain,
            delay_secs: will.properties.will_delay_interval().unwrap_or(0),
            expiry_secs: will.properties.message_expiry_interval(),
        }
    }

    /// A Will as it was before a restart: `delay_expiry_secs` are its Will Delay Interval and its
    /// Message Expiry Interval.
    #[must_use]
    pub fn restored(
        content: &Content<'_>,
        qos: QoS,
        retain: bool,
        (delay_secs, expiry_secs): (u32, Option<u32>),
    ) -> Self {
        Self { message: Message::new(content, qos, retain), retain, delay_secs, expiry_secs }
    }

    /// Message Expiry Interval, seconds, counted from the publication.
    #[must_use]
    pub const fn expiry_secs(&self) -> Option<u32> {
        self.expiry_secs
    }

    /// Will QoS.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.message.qos()
    }

    /// The message as published at `ticks_ms`.
    #[must_use]
    pub fn content(&self, ticks_ms: u64) -> Content<'_> {
        let expires_ms = self.expiry_secs.map(|secs| ticks_ms + u64::from(secs) * 1000);
        Content { expires_ms, ..self.message.content() }
    }
}
