//! DISCONNECT and AUTH.

use super::properties::Place;
use super::wire::{Reader, write_varint};
use super::{DecodeError, Properties, ReasonCode, Version};

/// A DISCONNECT packet; before 5.0 it has no fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disconnect<'a> {
    /// Disconnect Reason Code.
    pub reason: ReasonCode,
    /// Properties (5.0).
    pub properties: Properties<'a>,
}

/// An AUTH packet (5.0 only).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auth<'a> {
    /// Authenticate Reason Code.
    pub reason: ReasonCode,
    /// Properties.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        if version != Version::V5 {
            Reader::new(body).end()?;
        }
        let (reason, properties) = read(body, Place::Disconnect)?;
        Ok(Self { reason, properties })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if version != Version::V5 {
            return out.extend_from_slice(&[0xe0, 0]);
        }
        write(0xe0, self.reason, self.properties, out);
    }
}

impl<'a> Auth<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let (reason, properties) = read(body, Place::Auth)?;
        Ok(Self { reason, properties })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        write(0xf0, self.reason, self.properties, out);
    }
}

/// Both fields may be left out: 0x00 and no properties.
fn read(body: &[u8], place: Place) -> Result<(ReasonCode, Properties<'_>), DecodeError> {
    let mut reader = Reader::new(body);
    if reader.is_empty() {
        return Ok((ReasonCode::Success, Properties::EMPTY));
    }
    let reason = ReasonCode::read(&mut reader, place)?;
    let properties = if reader.is_empty() {
        Properties::EMPTY
    } else {
        Properties::read(&mut reader, Version::V5, place)?
    };
    reader.end()?;
    Ok((reason, properties))
}

fn write(first: u8, reason: ReasonCode, properties: Properties<'_>, out: &mut Vec<u8>) {
    if properties.is_empty() {
        if reason == ReasonCode::Success {
            return out.extend_from_slice(&[first, 0]);
        }
        // The property length may be left out here too, but not every client knows that: some then
        // wait for it, and never learn the reason.
        return out.extend_from_slice(&[first, 2, reason.as_byte(), 0]);
    }
    out.push(first);
    write_varint(out, 1 + properties.wire_len(Version::V5));
    out.push(reason.as_byte());
    properties.write(Version::V5, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_never_without_a_property_length() {
        let mut out = Vec::new();
        let reason = ReasonCode::SessionTakenOver;
        let disconnect = Disconnect { reason, properties: Properties::EMPTY };
        disconnect.encode(Version::V5, &mut out);
        assert_eq!(out, [0xe0, 2, 0x8e, 0]);
        // Both forms are read `[MQTT-3.14.2-1]`.
        assert_eq!(Disconnect::decode(&[0x8e], Version::V5), Ok(disconnect));
        assert_eq!(Disconnect::decode(&[0x8e, 0], Version::V5), Ok(disconnect));
        // Where all is as it should be, nothing is said.
        out.clear();
        Disconnect { reason: ReasonCode::Success, ..disconnect }.encode(Version::V5, &mut out);
        assert_eq!(out, [0xe0, 0]);
    }
}
