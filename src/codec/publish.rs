//! PUBLISH: an Application Message on the wire.

use super::{Properties, QoS};

/// A PUBLISH packet; topic and payload are slices of the read buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Publish<'a> {
    /// This may be a re-delivery.
    pub dup: bool,
    /// Quality of Service.
    pub qos: QoS,
    /// Retain flag.
    pub retain: bool,
    /// Topic Name; empty only when a Topic Alias stands in (5.0). UTF-8 is checked by the codec,
    /// absence of wildcards by `topic::TopicName`.
    pub topic: &'a str,
    /// Packet Identifier, 0 with QoS 0.
    pub packet_id: u16,
    /// Properties (5.0), checked.
    pub properties: Properties<'a>,
    /// Application payload.
    pub payload: &'a [u8],
}
