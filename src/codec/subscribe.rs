//! SUBSCRIBE and SUBACK.

use super::properties::Place;
use super::wire::{Reader, varint_len, write_binary, write_varint};
use super::{DecodeError, Properties, QoS, ReasonCode, Version};

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
        let properties = Properties::read(&mut reader, version, Place::Subscribe)?;
        let payload = reader.rest();
        // At least one Topic Filter `[MQTT-3.8.3-2]`.
        if reader.is_empty() {
            return Err(DecodeError::PayloadEmpty);
        }
        while !reader.is_empty() {
            let request = SubscriptionRequest::read(&mut reader)?;
            if version != Version::V5 && !request.options.is_only_qos() {
                return Err(DecodeError::SubscriptionOptionsReserved);
            }
        }
        Ok(Self { packet_id, properties, payload })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let properties_len = self.properties.wire_len(version);
        out.push(0x82);
        write_varint(out, 2 + properties_len + self.payload.len());
        out.extend_from_slice(&self.packet_id.to_be_bytes());
        self.properties.write(version, out);
        out.extend_from_slice(self.payload);
    }

    /// A packet for sending; `payload` comes from [`SubscriptionRequest::write`], at least once.
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
        let options = SubscriptionOptions::from_byte(reader.u8()?)?;
        Ok(Self { filter, options })
    }

    /// Appends it to the payload of a SUBSCRIBE. Before 5.0 a subscription has only its QoS; the
    /// other options must be those of [`SubscriptionOptions::new`].
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

    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        let retain_handling = match byte >> 4 {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            3 => return Err(DecodeError::RetainHandlingInvalid),
            // `[MQTT-3.8.3-5]`
            _ => return Err(DecodeError::SubscriptionOptionsReserved),
        };
        Ok(Self {
            qos: QoS::from_bits(byte & 0b11).ok_or(DecodeError::SubscriptionQoSInvalid)?,
            no_local: byte & 0b100 != 0,
            retain_as_published: byte & 0b1000 != 0,
            retain_handling,
        })
    }

    fn is_only_qos(self) -> bool {
        self == Self::new(self.qos)
    }

    const fn as_byte(self) -> u8 {
        (self.retain_handling as u8) << 4
            | (self.retain_as_published as u8) << 3
            | (self.no_local as u8) << 2
            | self.qos as u8
    }
}

/// Bytes of a SUBACK or UNSUBACK of 5.0 with so many Reason Codes and no properties.
#[must_use]
pub const fn reasons_packet_len(reasons: usize) -> usize {
    let remaining = 2 + 1 + reasons;
    1 + varint_len(remaining) + remaining
}

impl<'a> Suback<'a> {
    pub(super) fn decode(body: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let properties = Properties::read(&mut reader, version, Place::Suback)?;
        let reasons = ReasonCode::read_list(reader.rest(), Place::Suback)?;
        // Before 5.0 there is one failure.
        let unknown = |byte: &&u8| version != Version::V5 && !matches!(byte, 0..=2 | 0x80);
        if let Some(&byte) = reasons.iter().find(unknown) {
            return Err(DecodeError::ReasonCodeInvalid { byte });
        }
        Ok(Self { packet_id, properties, reasons })
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        out.push(0x90);
        let len = 2 + self.properties.wire_len(version) + self.reasons.len();
        write_varint(out, len);
        out.extend_from_slice(&self.packet_id.to_be_bytes());
        self.properties.write(version, out);
        out.extend_from_slice(self.reasons);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[MQTT-3.8.3-5]`
    #[test]
    fn options_that_are_reserved_are_refused() {
        for byte in 0..=u8::MAX {
            let expected = if byte & 0xc0 != 0 {
                Err(DecodeError::SubscriptionOptionsReserved)
            } else if byte & 0x30 == 0x30 {
                Err(DecodeError::RetainHandlingInvalid)
            } else if byte & 3 == 3 {
                Err(DecodeError::SubscriptionQoSInvalid)
            } else {
                Ok(byte)
            };
            let options = SubscriptionOptions::from_byte(byte);
            assert_eq!(options.map(SubscriptionOptions::as_byte), expected, "{byte:#x}");
        }
    }

    #[test]
    fn the_length_of_an_answer_is_known_before_it_is_written() {
        for reasons in [1, 124, 125, 16_380, 16_381, 100_000] {
            let list = vec![0; reasons];
            let suback = Suback { packet_id: 1, properties: Properties::EMPTY, reasons: &list };
            let mut out = Vec::new();
            suback.encode(Version::V5, &mut out);
            assert_eq!(out.len(), reasons_packet_len(reasons));
        }
    }

    #[test]
    fn before_5_there_is_only_the_qos() {
        let body = [0, 1, 0, 1, b'a', 0b100];
        let error = DecodeError::SubscriptionOptionsReserved;
        assert_eq!(Subscribe::decode(&body, Version::V311), Err(error));
        assert_eq!(Subscribe::decode(&[0, 1], Version::V311), Err(DecodeError::PayloadEmpty));
    }
}
