//! CONNACK.

use super::properties::Place;
use super::wire::{Reader, write_varint};
use super::{DecodeError, Properties, ReasonCode, Version};

/// A CONNACK packet. Before 5.0 the reason is written as the nearest return code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connack<'a> {
    /// Session Present.
    pub session_present: bool,
    /// Connect Reason Code.
    pub reason: ReasonCode,
    /// Properties (5.0).
    pub properties: Properties<'a>,
}

impl<'a> Connack<'a> {
    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let flags = reader.u8()?;
        if flags > 1 {
            return Err(DecodeError::ReservedFlags);
        }
        let (reason, properties) = match version {
            Version::V5 => (
                ReasonCode::read(&mut reader, Place::Connack)?,
                Properties::read(&mut reader, Place::Connack)?,
            ),
            Version::V31 | Version::V311 => {
                let code = reader.u8()?;
                let reason = ReasonCode::from_return_code(code);
                (reason.ok_or(DecodeError::ReasonCodeInvalid)?, Properties::EMPTY)
            }
        };
        reader.end()?;
        Ok(Self { session_present: flags == 1, reason, properties })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let present = u8::from(self.session_present);
        if version != Version::V5 {
            return out.extend_from_slice(&[0x20, 2, present, self.reason.return_code()]);
        }
        out.push(0x20);
        write_varint(out, 2 + Properties::written_len(Properties::EMPTY, self.properties));
        out.extend_from_slice(&[present, self.reason.as_byte()]);
        Properties::write(Properties::EMPTY, self.properties, out);
    }
}
