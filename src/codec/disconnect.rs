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
        return out.extend_from_slice(&[first, 1, reason.as_byte()]);
    }
    out.push(first);
    write_varint(out, 1 + properties.wire_len(Version::V5));
    out.push(reason.as_byte());
    properties.write(Version::V5, out);
}
