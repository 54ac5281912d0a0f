//! MQTT Control Packets ↔ bytes, for the versions 3.1, 3.1.1 and 5.0.
//!
//! This module is the only door: [`Frame`] cuts a byte stream into whole packets, [`decode`] reads
//! one, [`encode`] writes one. Decoded packets borrow from the read buffer; nothing is allocated
//! for a PUBLISH. Versions are values, never modules.
//!
//! What it deliberately does not do: know who calls it, keep state between packets (topic aliases,
//! packet identifiers in use), or decide what an error means for the connection.

mod acknowledge;
mod connack;
mod connect;
mod disconnect;
mod error;
mod frame;
mod properties;
mod publish;
mod reason;
mod subscribe;
mod unsubscribe;
mod wire;

pub use acknowledge::Acknowledge;
pub use connack::Connack;
pub use connect::{Connect, Will};
pub use disconnect::{Auth, Disconnect};
pub use error::DecodeError;
pub use frame::{Frame, PACKET_BYTES_MAX};
pub use properties::{Properties, PropertiesBuf, Property, PropertyId};
pub use publish::Publish;
pub use reason::ReasonCode;
pub use subscribe::{RetainHandling, Suback, Subscribe, SubscriptionOptions, SubscriptionRequest};
pub use unsubscribe::{Unsuback, Unsubscribe};

/// The protocol version a Client chose in CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3.
    V31,
    /// MQTT 3.1.1: protocol name `MQTT`, level 4.
    V311,
    /// MQTT 5.0: protocol name `MQTT`, level 5.
    V5,
}

/// Quality of Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// At most once.
    AtMostOnce = 0,
    /// At least once.
    AtLeastOnce = 1,
    /// Exactly once.
    ExactlyOnce = 2,
}

/// One MQTT Control Packet, borrowing from the buffer it was read from.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet<'a> {
    /// Client asks to connect.
    Connect(Box<Connect<'a>>),
    /// Server answers CONNECT.
    Connack(Connack<'a>),
    /// An Application Message.
    Publish(Publish<'a>),
    /// QoS 1 acknowledgement.
    Puback(Acknowledge<'a>),
    /// QoS 2, part 1.
    Pubrec(Acknowledge<'a>),
    /// QoS 2, part 2.
    Pubrel(Acknowledge<'a>),
    /// QoS 2, part 3.
    Pubcomp(Acknowledge<'a>),
    /// Client subscribes.
    Subscribe(Subscribe<'a>),
    /// Server answers SUBSCRIBE.
    Suback(Suback<'a>),
    /// Client unsubscribes.
    Unsubscribe(Unsubscribe<'a>),
    /// Server answers UNSUBSCRIBE.
    Unsuback(Unsuback<'a>),
    /// Client is alive.
    Pingreq,
    /// Server answers PINGREQ.
    Pingresp,
    /// One side ends the connection.
    Disconnect(Disconnect<'a>),
    /// Enhanced authentication (5.0 only).
    Auth(Auth<'a>),
}
