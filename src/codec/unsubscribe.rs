//! UNSUBSCRIBE and UNSUBACK.

use super::properties::Place;
use super::wire::{Reader, write_binary, write_varint};
use super::{DecodeError, Properties, ReasonCode, Version};

/// An UNSUBSCRIBE packet; the payload is checked and read by iterating.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsubscribe<'a> {
    /// Packet Identifier, never 0.
    pub packet_id: u16,
    /// Properties (5.0).
    pub properties: Properties<'a>,
    /// The checked payload: Topic Filters, at least one.
    pub(super) payload: &'a [u8],
}

/// An UNSUBACK packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsuback<'a> {
    /// Packet Identifier of the UNSUBSCRIBE.
    pub packet_id: u16,
    /// Properties (5.0).
    pub properties: Properties<'a>,
    /// One Reason Code a Topic Filter, as wire bytes; empty before 5.0.
    pub reasons: &'a [u8],
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let properties = Properties::read(&mut reader, version, Place::Unsubscribe)?;
        let payload = reader.rest();
        // At least one Topic Filter `[MQTT-3.10.3-2]`.
        if reader.is_empty() {
            return Err(DecodeError::PayloadEmpty);
        }
        while !reader.is_empty() {
            reader.string()?;
        }
        Ok(Self { packet_id, properties, payload })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let properties_len = self.properties.wire_len(version);
        out.push(0xa2);
        write_varint(out, 2 + properties_len + self.payload.len());
        out.extend_from_slice(&self.packet_id.to_be_bytes());
        self.properties.write(version, out);
        out.extend_from_slice(self.payload);
    }

    /// A packet for sending; `payload` comes from [`Self::write_filter`], at least once.
    #[must_use]
    pub const fn new(packet_id: u16, properties: Properties<'a>, payload: &'a [u8]) -> Self {
        Self { packet_id, properties, payload }
    }

    /// Appends a Topic Filter to the payload of an UNSUBSCRIBE.
    pub fn write_filter(filter: &str, payload: &mut Vec<u8>) {
        write_binary(payload, filter.as_bytes());
    }

    /// The Topic Filters, in order.
    pub fn filters(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.payload);
        std::iter::from_fn(move || if reader.is_empty() { None } else { reader.string().ok() })
    }
}

impl<'a> Unsuback<'a> {
    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let properties = Properties::read(&mut reader, version, Place::Unsuback)?;
        let reasons = match version {
            Version::V5 => ReasonCode::read_list(reader.rest(), Place::Unsuback)?,
            Version::V31 | Version::V311 => {
                reader.end()?;
                &[]
            }
        };
        Ok(Self { packet_id, properties, reasons })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let reasons = match version {
            Version::V5 => self.reasons,
            Version::V31 | Version::V311 => &[],
        };
        out.push(0xb0);
        write_varint(out, 2 + self.properties.wire_len(version) + reasons.len());
        out.extend_from_slice(&self.packet_id.to_be_bytes());
        self.properties.write(version, out);
        out.extend_from_slice(reasons);
    }
}
