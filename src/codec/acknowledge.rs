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

impl<'a> Acknowledge<'a> {
    pub(super) fn decode(
        body: &'a [u8],
        place: Place,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let mut reason = ReasonCode::Success;
        let mut properties = Properties::EMPTY;
        // Reason Code and Property Length may be left out.
        if version == Version::V5 && !reader.is_empty() {
            reason = ReasonCode::read(&mut reader, place)?;
            if !reader.is_empty() {
                properties = Properties::read(&mut reader, place)?;
            }
        }
        reader.end()?;
        Ok(Self { packet_id, reason, properties })
    }

    pub(super) fn encode(&self, first: u8, version: Version, out: &mut Vec<u8>) {
        let short = self.reason == ReasonCode::Success && self.properties.is_empty();
        let [high, low] = self.packet_id.to_be_bytes();
        if version != Version::V5 || short {
            return out.extend_from_slice(&[first, 2, high, low]);
        }
        if self.properties.is_empty() {
            return out.extend_from_slice(&[first, 3, high, low, self.reason.as_byte()]);
        }
        out.push(first);
        write_varint(out, 3 + Properties::written_len(Properties::EMPTY, self.properties));
        out.extend_from_slice(&[high, low, self.reason.as_byte()]);
        Properties::write(Properties::EMPTY, self.properties, out);
    }
}
