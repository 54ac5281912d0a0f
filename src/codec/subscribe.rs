//! SUBSCRIBE and SUBACK.

use super::properties::Place;
use super::wire::{Reader, write_binary, write_varint};
use super::{DecodeError, Properties, QoS, Version};

/// A SUBSCRIBE packet; the payload is checked and read by iterating.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subscribe<'a> {
    /// Packet Identifier, never 0.
    pub packet_id: u16,
    /// Properties (5.0).
    pub properties: Properties<'a>,
    /// The checked payload: pairs of Topic Filter and options, at least one.
    pub(super) payload: &'a [u8],
}

/// One Topic Filter of a SUBSCRIBE with its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionRequest<'a> {
    /// The Topic Filter as sent (UTF-8 checked, not yet parsed as a filter).
    pub filter: &'a str,
    /// Subscription Options.
    pub options: SubscriptionOptions,
}

/// Subscription Options; before 5.0 only the QoS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionOptions {
    /// Maximum QoS.
    pub qos: QoS,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Retain Handling.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// At each subscribe.
    Send = 0,
    /// Only if the subscription is new.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// A SUBACK packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suback<'a> {
    /// Packet Identifier of the SUBSCRIBE.
    pub packet_id: u16,
    /// Properties (5.0).
    pub properties: Properties<'a>,
    /// One Reason Code a Topic Filter, as wire bytes.
    pub reasons: &'a [u8],
}

impl<'a> Subscribe<'a> {
    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let properties = match version {
            Version::V5 => Properties::read(&mut reader, Place::Subscribe)?,
            Version::V31 | Version::V311 => Properties::EMPTY,
        };
        let payload = reader.rest();
        // At least one Topic Filter `[MQTT-3.8.3-2]`.
        if reader.is_empty() {
            return Err(DecodeError::NoTopicFilter);
        }
        while !reader.is_empty() {
            let request = SubscriptionRequest::read(&mut reader)?;
            let bits = request.options.as_byte();
            if version != Version::V5 && bits > 2 {
                return Err(DecodeError::SubscriptionOptionsInvalid);
            }
        }
        Ok(Self { packet_id, properties, payload })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let properties_len = match version {
            Version::V5 => Properties::written_len(Properties::EMPTY, self.properties),
            Version::V31 | Version::V311 => 0,
        };
        out.push(0x82);
        write_varint(out, 2 + properties_len + self.payload.len());
        out.extend_from_slice(&self.packet_id.to_be_bytes());
        if version == Version::V5 {
            Properties::write(Properties::EMPTY, self.properties, out);
        }
        out.extend_from_slice(self.payload);
    }

    /// A packet for sending; `payload` comes from [`SubscriptionRequest::write`].
    #[must_use]
    pub const fn new(packet_id: u16, properties: Properties<'a>, payload: &'a [u8]) -> Self {
        Self { packet_id, properties, payload }
    }

    /// The Topic Filters with their options, in order.
    pub fn requests(&self) -> impl Iterator<Item = SubscriptionRequest<'a>> + use<'a> {
        let mut reader = Reader::new(self.payload);
        std::iter::from_fn(move || {
            if reader.is_empty() { None } else { SubscriptionRequest::read(&mut reader).ok() }
        })
    }
}

impl<'a> SubscriptionRequest<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let filter = reader.string()?;
        let options = SubscriptionOptions::from_byte(reader.u8()?)
            .ok_or(DecodeError::SubscriptionOptionsInvalid)?;
        Ok(Self { filter, options })
    }

    /// Appends it to the payload of a SUBSCRIBE.
    pub fn write(&self, payload: &mut Vec<u8>) {
        write_binary(payload, self.filter.as_bytes());
        payload.push(self.options.as_byte());
    }
}

impl SubscriptionOptions {
    /// The options of a subscription that asks for nothing but a QoS.
    #[must_use]
    pub const fn new(qos: QoS) -> Self {
        let retain_handling = RetainHandling::Send;
        Self { qos, no_local: false, retain_as_published: false, retain_handling }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        let retain_handling = match byte >> 4 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            // Reserved bits, or Retain Handling 3 `[MQTT-3.8.3-5]`.
            _ => return None,
        };
        let Some(qos) = QoS::from_bits(byte & 0b11) else {
            return None;
        };
        let (no_local, retain_as_published) = (byte & 0b100 != 0, byte & 0b1000 != 0);
        Some(Self { qos, no_local, retain_as_published, retain_handling })
    }

    fn as_byte(self) -> u8 {
        (self.retain_handling as u8) << 4
            | u8::from(self.retain_as_published) << 3
            | u8::from(self.no_local) << 2
            | self.qos as u8
    }
}

impl<'a> Suback<'a> {
    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let properties = match version {
            Version::V5 => Properties::read(&mut reader, Place::Suback)?,
            Version::V31 | Version::V311 => Properties::EMPTY,
        };
        Ok(Self { packet_id, properties, reasons: reader.rest() })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let properties_len = match version {
            Version::V5 => Properties::written_len(Properties::EMPTY, self.properties),
            Version::V31 | Version::V311 => 0,
        };
        out.push(0x90);
        write_varint(out, 2 + properties_len + self.reasons.len());
        out.extend_from_slice(&self.packet_id.to_be_bytes());
        if version == Version::V5 {
            Properties::write(Properties::EMPTY, self.properties, out);
        }
        out.extend_from_slice(self.reasons);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_reserved_are_refused() {
        for byte in 0..=u8::MAX {
            let reserved = byte & 0xc0 != 0 || byte & 3 == 3 || byte & 0x30 == 0x30;
            let options = SubscriptionOptions::from_byte(byte);
            assert_eq!(options.is_none(), reserved, "{byte:#x}");
            assert!(options.is_none_or(|options| options.as_byte() == byte));
        }
    }

    #[test]
    fn before_5_there_is_only_the_qos() {
        let body = [0, 1, 0, 1, b'a', 0b100];
        let error = DecodeError::SubscriptionOptionsInvalid;
        assert_eq!(Subscribe::decode(&body, Version::V311), Err(error));
        assert_eq!(Subscribe::decode(&[0, 1], Version::V311), Err(DecodeError::NoTopicFilter));
    }
}
