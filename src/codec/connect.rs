//! CONNECT, with its Will.

use super::properties::Place;
use super::wire::{Reader, write_binary, write_varint};
use super::{DecodeError, Frame, Properties, QoS, Version};

/// A CONNECT packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Connect<'a> {
    /// Protocol version, from name and level.
    pub version: Version,
    /// Bridge bit (0x80 of the level), as mosquitto's bridges set it in 3.1 and 3.1.1.
    pub bridge: bool,
    /// Clean Start (5.0) or Clean Session (3.x).
    pub clean_start: bool,
    /// Keep Alive in seconds, 0 = off.
    pub keep_alive_secs: u16,
    /// Properties (5.0).
    pub properties: Properties<'a>,
    /// Client Identifier, may be empty.
    pub client_id: &'a str,
    /// Will, if the flag is set.
    pub will: Option<Will<'a>>,
    /// User Name.
    pub username: Option<&'a str>,
    /// Password.
    pub password: Option<&'a [u8]>,
}

/// The Will of a CONNECT packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Will<'a> {
    /// Will QoS.
    pub qos: QoS,
    /// Will Retain.
    pub retain: bool,
    /// Will Topic.
    pub topic: &'a str,
    /// Will Properties (5.0).
    pub properties: Properties<'a>,
    /// Will Payload.
    pub payload: &'a [u8],
}

const RESERVED: u8 = 0x01;
const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;
/// Set in the Protocol Level by bridges before 5.0.
const BRIDGE: u8 = 0x80;

impl<'a> Connect<'a> {
    /// What does not have the form of section 3.1 is refused `[MQTT-3.1.4-1]`.
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let (version, bridge) = protocol(&mut reader)?;
        let flags = reader.u8()?;
        if flags & RESERVED != 0 {
            // `[MQTT-3.1.2-3]`
            return Err(DecodeError::ConnectFlagReserved);
        }
        if version != Version::V5 && flags & PASSWORD != 0 && flags & USER_NAME == 0 {
            // `[MQTT3-3.1.2-22]`
            return Err(DecodeError::PasswordWithoutUserName);
        }
        let keep_alive_secs = reader.u16()?;
        let properties = Properties::read(&mut reader, version, Place::Connect)?;
        // The fields in their order `[MQTT-3.1.3-1]` `[MQTT-3.1.3-3]`, those the flags announce
        // `[MQTT-3.1.2-16]` `[MQTT-3.1.2-17]` `[MQTT-3.1.2-18]` `[MQTT-3.1.2-19]` and no more.
        let client_id = reader.string()?;
        let will = Will::decode(&mut reader, flags, version)?;
        // In 3.1 a Remaining Length that ends here takes precedence over these two flags
        // `[MQTT31-7]`.
        let may_be_left_out = version == Version::V31;
        let username = if flags & USER_NAME == 0 || may_be_left_out && reader.is_empty() {
            None
        } else {
            Some(reader.string()?)
        };
        let password = if flags & PASSWORD == 0 || may_be_left_out && reader.is_empty() {
            None
        } else {
            Some(reader.binary()?)
        };
        reader.end()?;
        Ok(Self {
            version,
            bridge,
            clean_start: flags & CLEAN_START != 0,
            keep_alive_secs,
            properties,
            client_id,
            will,
            username,
            password,
        })
    }

    /// In which version a Client whose CONNECT cannot be read may be told so by a CONNACK; `None`
    /// when the connection is to be closed without one.
    ///
    /// A level that is not supported is answered as the Client would understand it: return code 1
    /// up to level 4, else 0x84 `[MQTT-3.1.2-2]`. Of the other errors only a 5.0 Client is told;
    /// before 5.0 the Server closes in silence `[MQTT3-3.1.4-1]`.
    #[must_use]
    pub fn refusal_version(frame: Frame<'_>, error: DecodeError) -> Option<Version> {
        if let DecodeError::ProtocolVersionUnsupported { level } = error {
            let before_5 = level & !BRIDGE < 5;
            return Some(if before_5 { Version::V311 } else { Version::V5 });
        }
        match protocol(&mut Reader::new(frame.body)) {
            Ok((Version::V5, _)) => Some(Version::V5),
            Ok((Version::V31 | Version::V311, _)) | Err(_) => None,
        }
    }

    /// Bytes within which Protocol Name and Version stand: `MQIsdp` is the longer one.
    pub const PROTOCOL_BYTES_MAX: usize = 9;

    /// The properties of a CONNECT that cannot be read as a whole, as far as they can: what the
    /// client takes for an answer.
    #[must_use]
    pub fn readable_properties(frame: Frame<'a>) -> Properties<'a> {
        let mut reader = Reader::new(frame.body);
        let read = |reader: &mut Reader<'a>| {
            let (version, _) = protocol(reader)?;
            let (_flags, _keep_alive_secs) = (reader.u8()?, reader.u16()?);
            Properties::read(reader, version, Place::Connect)
        };
        read(&mut reader).unwrap_or_default()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let (name, level) = match self.version {
            Version::V31 => ("MQIsdp", 3),
            Version::V311 => ("MQTT", 4),
            Version::V5 => ("MQTT", 5),
        };
        write_binary(&mut body, name.as_bytes());
        body.push(if self.bridge { level | BRIDGE } else { level });
        body.push(self.flags());
        body.extend_from_slice(&self.keep_alive_secs.to_be_bytes());
        self.properties.write(self.version, &mut body);
        write_binary(&mut body, self.client_id.as_bytes());
        if let Some(will) = &self.will {
            will.properties.write(self.version, &mut body);
            write_binary(&mut body, will.topic.as_bytes());
            write_binary(&mut body, will.payload);
        }
        if let Some(username) = self.username {
            write_binary(&mut body, username.as_bytes());
        }
        if let Some(password) = self.password {
            write_binary(&mut body, password);
        }
        out.push(0x10);
        write_varint(out, body.len());
        out.extend_from_slice(&body);
    }

    fn flags(&self) -> u8 {
        let will = self.will.map_or(0, |will| {
            WILL | (will.qos as u8) << 3 | if will.retain { WILL_RETAIN } else { 0 }
        });
        will | if self.clean_start { CLEAN_START } else { 0 }
            | if self.username.is_some() { USER_NAME } else { 0 }
            | if self.password.is_some() { PASSWORD } else { 0 }
    }
}

/// Protocol Name `[MQTT-3.1.2-1]` and Version `[MQTT-3.1.2-2]`; the bridge bit is known before 5.0
/// only.
fn protocol(reader: &mut Reader<'_>) -> Result<(Version, bool), DecodeError> {
    let name = reader.binary()?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(DecodeError::ProtocolNameInvalid);
    }
    let level = reader.u8()?;
    match (name, level & !BRIDGE, level & BRIDGE != 0) {
        // `[MQTT31-2]`
        (b"MQIsdp", 3, bridge) => Ok((Version::V31, bridge)),
        (b"MQTT", 4, bridge) => Ok((Version::V311, bridge)),
        (b"MQTT", 5, false) => Ok((Version::V5, false)),
        _ => Err(DecodeError::ProtocolVersionUnsupported { level }),
    }
}

impl<'a> Will<'a> {
    fn decode(
        reader: &mut Reader<'a>,
        flags: u8,
        version: Version,
    ) -> Result<Option<Self>, DecodeError> {
        // `[MQTT-3.1.2-12]`
        let qos = QoS::from_bits(flags >> 3 & 0b11).ok_or(DecodeError::WillQoSInvalid)?;
        let retain = flags & WILL_RETAIN != 0;
        if flags & WILL == 0 {
            // `[MQTT-3.1.2-11]` `[MQTT-3.1.2-13]`
            let clear = qos == QoS::AtMostOnce && !retain;
            return if clear { Ok(None) } else { Err(DecodeError::WillFlagsWithoutWill) };
        }
        // `[MQTT-3.1.2-9]`
        let properties = Properties::read(reader, version, Place::Will)?;
        let topic = reader.string()?;
        let payload = reader.binary()?;
        Ok(Some(Self { qos, retain, topic, properties, payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V311: &[u8] = b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";

    #[test]
    fn names_and_levels() {
        let error = |body: &[u8]| Connect::decode(body).err();
        let version = |body| Connect::decode(body).map(|connect| (connect.version, connect.bridge));
        assert_eq!(version(V311), Ok((Version::V311, false)));
        assert_eq!(version(b"\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01c"), Ok((Version::V31, false)));
        assert_eq!(version(b"\x00\x04MQTT\x84\x02\x00\x3c\x00\x01c"), Ok((Version::V311, true)));
        assert_eq!(version(b"\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01c"), Ok((Version::V5, false)));
        assert_eq!(error(b"\x00\x04MQTX\x04\x02"), Some(DecodeError::ProtocolNameInvalid));
        assert_eq!(
            error(b"\x00\x04MQTT\x06\x02"),
            Some(DecodeError::ProtocolVersionUnsupported { level: 6 })
        );
    }

    #[test]
    fn flags_that_contradict() {
        for (flags, error) in [
            (0x03, DecodeError::ConnectFlagReserved),
            (0x0a, DecodeError::WillFlagsWithoutWill),
            (0x22, DecodeError::WillFlagsWithoutWill),
            (0x1e, DecodeError::WillQoSInvalid),
            (0x42, DecodeError::PasswordWithoutUserName),
        ] {
            let mut body = V311.to_vec();
            body[7] = flags;
            assert_eq!(Connect::decode(&body).err(), Some(error), "{flags:#x}");
        }
    }

    #[test]
    fn who_cannot_be_read_is_answered_in_its_own_version() {
        for (body, expected) in [
            // Levels nobody has, below and above 5.
            (&b"\x00\x04MQTT\x02\x02"[..], Some(Version::V311)),
            (b"\x00\x04MQTT\x06\x02", Some(Version::V5)),
            // A name nobody has.
            (b"\x00\x04HTTP\x05\x02", None),
            // The reserved flag.
            (b"\x00\x04MQTT\x05\x03\x00\x3c\x00\x00\x01c", Some(Version::V5)),
            (b"\x00\x04MQTT\x04\x03\x00\x3c\x00\x01c", None),
        ] {
            let error = Connect::decode(body).unwrap_err();
            let frame = Frame { first: 0x10, body, len: body.len() + 2 };
            assert_eq!(Connect::refusal_version(frame, error), expected, "{body:?}");
        }
    }

    #[test]
    fn what_the_client_takes_is_read_though_the_rest_is_not() {
        let limit = b"\x00\x04MQTT\x05\x03\x00\x3c\x05\x27\x00\x00\x00\x09\x00\x01c";
        let frame = |body| Frame { first: 0x10, body, len: 0 };
        assert!(Connect::decode(limit).is_err());
        let properties = Connect::readable_properties(frame(limit));
        assert_eq!(properties.maximum_packet_size(), Some(9));
        assert!(Connect::readable_properties(frame(&limit[..12])).is_empty());
    }

    #[test]
    fn in_3_1_user_name_and_password_may_be_left_out() {
        let body = b"\x00\x06MQIsdp\x03\xc2\x00\x3c\x00\x01c";
        let connect = Connect::decode(body).unwrap();
        assert_eq!((connect.username, connect.password), (None, None));
        let body = b"\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01c";
        assert_eq!(Connect::decode(body), Err(DecodeError::Truncated));
    }
}
