//! MQTT Control Packets ↔ bytes, for the versions 3.1, 3.1.1 and 5.0.
//!
//! This module is the only door: [`Frame`] cuts a byte stream into whole packets, [`decode`] reads
//! one, [`encode`] writes one. Decoded packets borrow from the read buffer; nothing is allocated
//! for a PUBLISH. Versions are values, never modules. To be understood nobody needs more than the
//! standard `[MQTT3-7.0.0-2]`.
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

pub use acknowledge::{Acknowledge, AcknowledgeKind, encode_acknowledge};
pub use connack::Connack;
pub use connect::{Connect, Will};
pub use disconnect::{Auth, Disconnect};
pub use error::DecodeError;
pub use frame::{Frame, PACKET_BYTES_MAX};
pub use properties::{Properties, PropertiesBuf, Property, PropertyId};
pub use publish::Publish;
pub use reason::ReasonCode;
pub use subscribe::{
    RetainHandling, Suback, Subscribe, SubscriptionOptions, SubscriptionRequest, reasons_packet_len,
};
pub use unsubscribe::{Unsuback, Unsubscribe};
pub use wire::STRING_BYTES_MAX;

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

impl QoS {
    /// The QoS of two bits; 3 is none.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// The two bits on the wire.
    #[must_use]
    pub const fn as_bits(self) -> u8 {
        self as u8
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V31 => "3.1",
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        })
    }
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

impl<'a> Packet<'a> {
    /// The packet with other properties, where a server's answers have some; other packets stay
    /// as they are.
    #[must_use]
    pub fn with_properties(&self, properties: Properties<'a>) -> Self {
        match self {
            Self::Connack(packet) => Self::Connack(Connack { properties, ..*packet }),
            Self::Puback(packet) => Self::Puback(Acknowledge { properties, ..*packet }),
            Self::Pubrec(packet) => Self::Pubrec(Acknowledge { properties, ..*packet }),
            Self::Pubrel(packet) => Self::Pubrel(Acknowledge { properties, ..*packet }),
            Self::Pubcomp(packet) => Self::Pubcomp(Acknowledge { properties, ..*packet }),
            Self::Suback(packet) => Self::Suback(Suback { properties, ..*packet }),
            Self::Unsuback(packet) => Self::Unsuback(Unsuback { properties, ..*packet }),
            Self::Disconnect(packet) => Self::Disconnect(Disconnect { properties, ..*packet }),
            Self::Auth(packet) => Self::Auth(Auth { properties, ..*packet }),
            Self::Connect(_)
            | Self::Publish(_)
            | Self::Subscribe(_)
            | Self::Unsubscribe(_)
            | Self::Pingreq
            | Self::Pingresp => self.clone(),
        }
    }
}

/// Reads one packet. `version` is that of the connection; CONNECT tells its own.
///
/// # Errors
/// The first thing in the packet that breaks the standard.
#[inline]
pub fn decode(frame: Frame<'_>, version: Version) -> Result<Packet<'_>, DecodeError> {
    if frame.packet_type() == 3 {
        Publish::decode(frame, version).map(Packet::Publish)
    } else {
        decode_other(frame, version)
    }
}

fn decode_other(frame: Frame<'_>, version: Version) -> Result<Packet<'_>, DecodeError> {
    use AcknowledgeKind::{Puback, Pubcomp, Pubrec, Pubrel};
    let (packet_type, body) = (frame.packet_type(), frame.body);
    check_flags(frame, version)?;
    Ok(match packet_type {
        1 => Packet::Connect(Box::new(Connect::decode(body)?)),
        2 => Packet::Connack(Connack::decode(body, version)?),
        4 => Packet::Puback(Acknowledge::decode(Puback, body, version)?),
        5 => Packet::Pubrec(Acknowledge::decode(Pubrec, body, version)?),
        6 => Packet::Pubrel(Acknowledge::decode(Pubrel, body, version)?),
        7 => Packet::Pubcomp(Acknowledge::decode(Pubcomp, body, version)?),
        8 => Packet::Subscribe(Subscribe::decode(body, version)?),
        9 => Packet::Suback(Suback::decode(body, version)?),
        10 => Packet::Unsubscribe(Unsubscribe::decode(body, version)?),
        11 => Packet::Unsuback(Unsuback::decode(body, version)?),
        12 => empty(body, Packet::Pingreq)?,
        13 => empty(body, Packet::Pingresp)?,
        14 => Packet::Disconnect(Disconnect::decode(body, version)?),
        15 if version == Version::V5 => Packet::Auth(Auth::decode(body)?),
        _ => return Err(DecodeError::PacketTypeReserved { packet_type }),
    })
}

/// PUBREL, SUBSCRIBE and UNSUBSCRIBE have the flags 0010, all others 0000 `[MQTT-2.1.3-1]`. In
/// 3.1 those three may be repeated with DUP `[MQTT31-10]`.
fn check_flags(frame: Frame<'_>, version: Version) -> Result<(), DecodeError> {
    let (expected, optional) = match frame.packet_type() {
        6 | 8 | 10 if version == Version::V31 => (0b0010, 0b1000),
        6 | 8 | 10 => (0b0010, 0),
        _ => (0, 0),
    };
    if frame.flags() & !optional == expected {
        Ok(())
    } else {
        Err(DecodeError::FlagsReserved { first: frame.first })
    }
}

fn empty<'a>(body: &[u8], packet: Packet<'a>) -> Result<Packet<'a>, DecodeError> {
    if body.is_empty() { Ok(packet) } else { Err(DecodeError::TrailingBytes) }
}

/// Writes one packet at the end of `out`. CONNECT is written in its own version; before 5.0
/// properties are left out and Reason Codes too, except for CONNACK's.
///
/// The wire cannot express a string or data above [`STRING_BYTES_MAX`] or a packet above
/// [`PACKET_BYTES_MAX`]. What was decoded fits; who builds a packet from other sources checks.
pub fn encode(packet: &Packet<'_>, version: Version, out: &mut Vec<u8>) {
    use AcknowledgeKind::{Puback, Pubcomp, Pubrec, Pubrel};
    match packet {
        Packet::Connect(connect) => connect.encode(out),
        Packet::Connack(connack) => connack.encode(version, out),
        Packet::Publish(publish) => publish.encode(version, out),
        Packet::Puback(ack) => ack.encode(Puback, version, out),
        Packet::Pubrec(ack) => ack.encode(Pubrec, version, out),
        Packet::Pubrel(ack) => ack.encode(Pubrel, version, out),
        Packet::Pubcomp(ack) => ack.encode(Pubcomp, version, out),
        Packet::Subscribe(subscribe) => subscribe.encode(version, out),
        Packet::Suback(suback) => suback.encode(version, out),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.encode(version, out),
        Packet::Unsuback(unsuback) => unsuback.encode(version, out),
        Packet::Pingreq => out.extend_from_slice(&[0xc0, 0]),
        Packet::Pingresp => out.extend_from_slice(&[0xd0, 0]),
        Packet::Disconnect(disconnect) => disconnect.encode(version, out),
        Packet::Auth(auth) => auth.encode(out),
    }
}

#[cfg(test)]
mod tests;
