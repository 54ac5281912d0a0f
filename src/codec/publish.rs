//! PUBLISH: an Application Message on the wire.

use super::properties::Place;
use super::wire::{Reader, varint_len, write_binary, write_varint};
use super::{DecodeError, Frame, Properties, QoS, Version};

/// A PUBLISH packet; topic and payload are slices of the read buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Publish<'a> {
    /// This may be a re-delivery.
    pub dup: bool,
    /// Quality of Service.
    pub qos: QoS,
    /// Retain flag.
    pub retain: bool,
    /// Topic Name; empty only when a Topic Alias stands in (5.0). UTF-8 is checked by the codec,
    /// absence of wildcards by `topic::TopicName`.
    pub topic: &'a str,
    /// Packet Identifier, 0 with QoS 0.
    pub packet_id: u16,
    /// Properties (5.0), checked.
    pub properties: Properties<'a>,
    /// Application payload: any bytes, or none `[MQTT31-13]`.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    /// Reads a frame that is a PUBLISH; allocates nothing.
    ///
    /// # Errors
    /// The first thing in the packet that breaks the standard.
    #[inline]
    pub fn decode(frame: Frame<'a>, version: Version) -> Result<Self, DecodeError> {
        let flags = frame.flags();
        // `[MQTT-3.3.1-4]`
        let qos = QoS::from_bits(flags >> 1 & 0b11).ok_or(DecodeError::QoSInvalid)?;
        let dup = flags & 0b1000 != 0;
        // `[MQTT-3.3.1-2]`
        if dup && qos == QoS::AtMostOnce {
            return Err(DecodeError::DupWithQoS0);
        }
        let mut reader = Reader::new(frame.body);
        let topic = reader.string()?;
        // `[MQTT-2.2.1-2]`
        let packet_id = if qos == QoS::AtMostOnce { 0 } else { reader.packet_id()? };
        let properties = Properties::read(&mut reader, version, Place::Publish)?;
        if topic.is_empty() && properties.topic_alias().is_none() {
            return Err(DecodeError::TopicNameEmpty);
        }
        let (retain, payload) = (flags & 1 != 0, reader.rest());
        Ok(Self { dup, qos, retain, topic, packet_id, properties, payload })
    }

    /// Writes the packet.
    #[inline]
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        self.encode_with(Properties::EMPTY, version, out);
    }

    /// Writes the packet with more properties in front of its own: those the server adds for one
    /// receiver. Before 5.0 there are none. The Topic Name comes first `[MQTT-3.3.2-1]`; with QoS 0
    /// there is no Packet Identifier `[MQTT-2.2.1-2]`.
    pub fn encode_with(&self, extra: Properties<'_>, version: Version, out: &mut Vec<u8>) {
        let packet_id_len = if self.qos == QoS::AtMostOnce { 0 } else { 2 };
        let list_len = extra.as_bytes().len() + self.properties.as_bytes().len();
        let properties_len = match version {
            Version::V5 => varint_len(list_len) + list_len,
            Version::V31 | Version::V311 => 0,
        };
        let remaining = 2 + self.topic.len() + packet_id_len + properties_len + self.payload.len();
        out.reserve(5 + remaining);
        let qos = self.qos as u8;
        out.push(0x30 | u8::from(self.dup) << 3 | qos << 1 | u8::from(self.retain));
        write_varint(out, remaining);
        write_binary(out, self.topic.as_bytes());
        if self.qos != QoS::AtMostOnce {
            out.extend_from_slice(&self.packet_id.to_be_bytes());
        }
        if version == Version::V5 {
            write_varint(out, list_len);
            out.extend_from_slice(extra.as_bytes());
            out.extend_from_slice(self.properties.as_bytes());
        }
        out.extend_from_slice(self.payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], version: Version) -> Result<Publish<'_>, DecodeError> {
        Publish::decode(Frame::split(bytes, 1000).unwrap().unwrap(), version)
    }

    #[test]
    fn the_wire_form_of_3_1_1_and_5() {
        let publish = Publish {
            dup: true,
            qos: QoS::AtLeastOnce,
            retain: true,
            topic: "a/b",
            packet_id: 10,
            properties: Properties::EMPTY,
            payload: b"hi",
        };
        for (version, hex) in [
            (Version::V311, &[0x3b, 9, 0, 3, b'a', b'/', b'b', 0, 10, b'h', b'i'][..]),
            (Version::V5, &[0x3b, 10, 0, 3, b'a', b'/', b'b', 0, 10, 0, b'h', b'i']),
        ] {
            let mut out = Vec::new();
            publish.encode(version, &mut out);
            assert_eq!(out, hex);
            assert_eq!(decode(hex, version), Ok(publish));
        }
    }

    #[test]
    fn flags_and_identifiers_that_cannot_be() {
        for (bytes, error) in [
            (&[0x36, 3, 0, 1, b'a'][..], DecodeError::QoSInvalid),
            (&[0x38, 3, 0, 1, b'a'], DecodeError::DupWithQoS0),
            (&[0x32, 5, 0, 1, b'a', 0, 0], DecodeError::PacketIdentifierZero),
            (&[0x30, 2, 0, 0], DecodeError::TopicNameEmpty),
            (&[0x32, 3, 0, 1, b'a'], DecodeError::Truncated),
        ] {
            assert_eq!(decode(bytes, Version::V311), Err(error), "{bytes:x?}");
        }
    }

    #[test]
    fn an_alias_may_stand_for_the_topic_in_5_only() {
        let bytes = [0x30, 6, 0, 0, 3, 0x23, 0, 1];
        assert_eq!(decode(&bytes, Version::V5).unwrap().properties.topic_alias(), Some(1));
        assert_eq!(decode(&bytes, Version::V311), Err(DecodeError::TopicNameEmpty));
    }
}
