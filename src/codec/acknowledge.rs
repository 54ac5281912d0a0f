//! PUBACK, PUBREC, PUBREL, PUBCOMP: one shape, four names.

use super::properties::Place;
use super::wire::{Reader, write_varint};
use super::{DecodeError, Properties, ReasonCode, Version};

/// The variable header shared by the four acknowledgement packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acknowledge<'a> {
    /// Packet Identifier, never 0.
    pub packet_id: u16,
    /// Reason Code; `Success` before 5.0.
    pub reason: ReasonCode,
    /// Properties (5.0).
    pub properties: Properties<'a>,
}

/// Which of the four; the value is the packet type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AcknowledgeKind {
    /// QoS 1 acknowledgement.
    Puback = 4,
    /// QoS 2, part 1.
    Pubrec = 5,
    /// QoS 2, part 2.
    Pubrel = 6,
    /// QoS 2, part 3.
    Pubcomp = 7,
}

/// Writes an acknowledgement without properties: 4 bytes on success and before 5.0, else 5.
#[inline]
pub fn encode_acknowledge(
    kind: AcknowledgeKind,
    packet_id: u16,
    reason: ReasonCode,
    version: Version,
    out: &mut Vec<u8>,
) {
    let [high, low] = packet_id.to_be_bytes();
    let first = kind.first_byte();
    if version != Version::V5 || reason == ReasonCode::Success {
        out.extend_from_slice(&[first, 2, high, low]);
    } else {
        out.extend_from_slice(&[first, 3, high, low, reason.as_byte()]);
    }
}

impl AcknowledgeKind {
    /// Byte 1 of the fixed header: PUBREL's flags are 0010 `[MQTT-3.6.1-1]`.
    const fn first_byte(self) -> u8 {
        let flags = if matches!(self, Self::Pubrel) { 0b0010 } else { 0 };
        (self as u8) << 4 | flags
    }

    const fn place(self) -> Place {
        match self {
            Self::Puback => Place::Puback,
            Self::Pubrec => Place::Pubrec,
            Self::Pubrel => Place::Pubrel,
            Self::Pubcomp => Place::Pubcomp,
        }
    }
}

impl<'a> Acknowledge<'a> {
    pub(super) fn decode(
        kind: AcknowledgeKind,
        body: &'a [u8],
        version: Version,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let mut reason = ReasonCode::Success;
        let mut properties = Properties::EMPTY;
        // Reason Code and Property Length may be left out.
        if version == Version::V5 && !reader.is_empty() {
            reason = ReasonCode::read(&mut reader, kind.place())?;
            if !reader.is_empty() {
                properties = Properties::read(&mut reader, version, kind.place())?;
            }
        }
        reader.end()?;
        Ok(Self { packet_id, reason, properties })
    }

    pub(super) fn encode(&self, kind: AcknowledgeKind, version: Version, out: &mut Vec<u8>) {
        if version != Version::V5 || self.properties.is_empty() {
            return encode_acknowledge(kind, self.packet_id, self.reason, version, out);
        }
        out.push(kind.first_byte());
        write_varint(out, 3 + self.properties.wire_len(version));
        out.extend_from_slice(&self.packet_id.to_be_bytes());
        out.push(self.reason.as_byte());
        self.properties.write(version, out);
    }
}
