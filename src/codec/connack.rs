//! CONNACK.

use super::properties::Place;
use super::wire::{Reader, write_varint};
use super::{DecodeError, Properties, ReasonCode, Version};

/// A CONNACK packet. Before 5.0 the reason is written as the nearest return code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connack<'a> {
    /// Session Present. (3.1 has none: the byte is reserved there, and written as 0.)
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
        if flags > 1 && version != Version::V31 {
            return Err(DecodeError::ConnackFlagsReserved);
        }
        let reason = match version {
            Version::V5 => ReasonCode::read(&mut reader, Place::Connack)?,
            Version::V31 | Version::V311 => {
                let byte = reader.u8()?;
                ReasonCode::from_return_code(byte).ok_or(DecodeError::ReasonCodeInvalid { byte })?
            }
        };
        let properties = Properties::read(&mut reader, version, Place::Connack)?;
        reader.end()?;
        Ok(Self { session_present: flags == 1 && version != Version::V31, reason, properties })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let reason = match version {
            Version::V5 => self.reason.as_byte(),
            Version::V31 | Version::V311 => self.reason.return_code(),
        };
        out.push(0x20);
        write_varint(out, 2 + self.properties.wire_len(version));
        // Bits 7 to 1 are reserved `[MQTT-3.2.2-1]`, and in 3.1 the last too `[MQTT31-1]`.
        out.push(u8::from(self.session_present && version != Version::V31));
        out.push(reason);
        self.properties.write(version, out);
    }
}
