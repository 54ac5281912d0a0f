//! Reason Codes (section 2.4 of 5.0), where each may stand, and the return codes before 5.0.

use super::DecodeError;
use super::properties::Place;
use super::wire::Reader;

macro_rules! reason_table {
    ($( $byte:literal $name:ident $text:literal [$($place:ident)+] )+) => {
        /// A Reason Code. `Success` is also "Normal disconnection" and "Granted QoS 0".
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the standard's own names, section 2.4")]
        pub enum ReasonCode { $( $name = $byte, )+ }

        impl ReasonCode {
            /// The code of a byte, `None` where the standard has none.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $( $byte => Some(Self::$name), )+
                    _ => None,
                }
            }

            /// The standard's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => $text, )+ }
            }

            /// Packets it may stand in, as bits.
            const fn places(self) -> u16 {
                match self { $( Self::$name => $( (1 << Place::$place as u16) )|+, )+ }
            }
        }
    };
}

reason_table! {
    0x00 Success "Success" [Connack Puback Pubrec Pubrel Pubcomp Suback Unsuback Disconnect Auth]
    0x01 GrantedQoS1 "Granted QoS 1" [Suback]
    0x02 GrantedQoS2 "Granted QoS 2" [Suback]
    0x04 DisconnectWithWillMessage "Disconnect with will message" [Disconnect]
    0x10 NoMatchingSubscribers "No matching subscribers" [Puback Pubrec]
    0x11 NoSubscriptionExisted "No subscription existed" [Unsuback]
    0x18 ContinueAuthentication "Continue authentication" [Auth]
    0x19 ReAuthenticate "Re-authenticate" [Auth]
    0x80 UnspecifiedError "Unspecified error" [Connack Puback Pubrec Suback Unsuback Disconnect]
    0x81 MalformedPacket "Malformed packet" [Connack Disconnect]
    0x82 ProtocolError "Protocol error" [Connack Disconnect]
    0x83 ImplementationSpecificError "Implementation specific error" [Connack Puback Pubrec Suback Unsuback Disconnect]
    0x84 UnsupportedProtocolVersion "Unsupported protocol version" [Connack]
    0x85 ClientIdentifierNotValid "Client identifier not valid" [Connack]
    0x86 BadUserNameOrPassword "Bad User Name or Password" [Connack]
    0x87 NotAuthorized "Not authorized" [Connack Puback Pubrec Suback Unsuback Disconnect]
    0x88 ServerUnavailable "Server unavailable" [Connack]
    0x89 ServerBusy "Server busy" [Connack Disconnect]
    0x8A Banned "Banned" [Connack]
    0x8B ServerShuttingDown "Server shutting down" [Disconnect]
    0x8C BadAuthenticationMethod "Bad authentication method" [Connack Disconnect]
    0x8D KeepAliveTimeout "Keep alive timeout" [Disconnect]
    0x8E SessionTakenOver "Session taken over" [Disconnect]
    0x8F TopicFilterInvalid "Topic filter invalid" [Suback Unsuback Disconnect]
    0x90 TopicNameInvalid "Topic name invalid" [Connack Puback Pubrec Disconnect]
    0x91 PacketIdentifierInUse "Packet identifier in use" [Puback Pubrec Suback Unsuback]
    0x92 PacketIdentifierNotFound "Packet identifier not found" [Pubrel Pubcomp]
    0x93 ReceiveMaximumExceeded "Receive maximum exceeded" [Disconnect]
    0x94 TopicAliasInvalid "Topic alias invalid" [Disconnect]
    0x95 PacketTooLarge "Packet too large" [Connack Disconnect]
    0x96 MessageRateTooHigh "Message rate too high" [Disconnect]
    0x97 QuotaExceeded "Quota exceeded" [Connack Puback Pubrec Suback Disconnect]
    0x98 AdministrativeAction "Administrative action" [Disconnect]
    0x99 PayloadFormatInvalid "Payload format invalid" [Connack Puback Pubrec Disconnect]
    0x9A RetainNotSupported "Retain not supported" [Connack Disconnect]
    0x9B QoSNotSupported "QoS not supported" [Connack Disconnect]
    0x9C UseAnotherServer "Use another server" [Connack Disconnect]
    0x9D ServerMoved "Server moved" [Connack Disconnect]
    0x9E SharedSubscriptionsNotSupported "Shared subscriptions not supported" [Suback Disconnect]
    0x9F ConnectionRateExceeded "Connection rate exceeded" [Connack Disconnect]
    0xA0 MaximumConnectTime "Maximum connect time" [Disconnect]
    0xA1 SubscriptionIdentifiersNotSupported "Subscription identifiers not supported" [Suback Disconnect]
    0xA2 WildcardSubscriptionsNotSupported "Wildcard subscriptions not supported" [Suback Disconnect]
}

impl ReasonCode {
    /// The byte on the wire.
    #[must_use]
    pub const fn as_byte(self) -> u8 {
        self as u8
    }

    /// 0x80 and above are failures.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.as_byte() >= 0x80
    }

    /// Whether it may stand in CONNACK `[MQTT-3.2.2-8]`.
    #[must_use]
    pub const fn is_for_connack(self) -> bool {
        self.stands_in(Place::Connack)
    }

    /// Whether it may stand in DISCONNECT `[MQTT-3.14.2-1]`.
    #[must_use]
    pub const fn is_for_disconnect(self) -> bool {
        self.stands_in(Place::Disconnect)
    }

    const fn stands_in(self, place: Place) -> bool {
        self.places() & (1 << place as u16) != 0
    }

    /// Reads the Reason Code of a packet; it must be one of those the packet has
    /// `[MQTT-3.2.2-8]` `[MQTT-3.4.2-1]` `[MQTT-3.5.2-1]` `[MQTT-3.6.2-1]` `[MQTT-3.7.2-1]`
    /// `[MQTT-3.15.2-1]`.
    pub(super) fn read(reader: &mut Reader<'_>, place: Place) -> Result<Self, DecodeError> {
        let byte = reader.u8()?;
        match Self::from_byte(byte) {
            Some(reason) if reason.stands_in(place) => Ok(reason),
            _ => Err(DecodeError::ReasonCodeInvalid { byte }),
        }
    }

    /// Checks a payload of Reason Codes, of which there is at least one `[MQTT-3.9.3-2]`
    /// `[MQTT-3.11.3-2]`.
    pub(super) fn read_list(bytes: &[u8], place: Place) -> Result<&[u8], DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::PayloadEmpty);
        }
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            Self::read(&mut reader, place)?;
        }
        Ok(bytes)
    }

    /// The return code of a CONNACK before 5.0: the nearest of the six there are.
    #[must_use]
    pub const fn return_code(self) -> u8 {
        const SERVER_UNAVAILABLE: u8 = 3;
        if matches!(self, Self::NotAuthorized | Self::Banned | Self::BadAuthenticationMethod) {
            return 5;
        }
        let mut code = 0;
        while let Some(reason) = Self::from_return_code(code) {
            if reason.as_byte() == self.as_byte() {
                return code;
            }
            code += 1;
        }
        SERVER_UNAVAILABLE
    }

    /// The Reason Code of a return code before 5.0.
    #[must_use]
    pub const fn from_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Success),
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_and_there_are_43() {
        let known = (0..=u8::MAX).filter(|byte| {
            ReasonCode::from_byte(*byte).is_some_and(|reason| reason.as_byte() == *byte)
        });
        assert_eq!(known.count(), 43);
    }

    /// The columns of section 2.4, written down once more.
    const TABLE: &[(Place, &[u8])] = &[
        (
            Place::Connack,
            &[
                0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90,
                0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
            ],
        ),
        (Place::Puback, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
        (Place::Pubrec, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
        (Place::Pubrel, &[0x00, 0x92]),
        (Place::Pubcomp, &[0x00, 0x92]),
        (Place::Suback, &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]),
        (Place::Unsuback, &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
        (
            Place::Disconnect,
            &[
                0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90,
                0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0,
                0xa1, 0xa2,
            ],
        ),
        (Place::Auth, &[0x00, 0x18, 0x19]),
    ];

    /// `[MQTT-3.2.2-8]` `[MQTT-3.4.2-1]` `[MQTT-3.5.2-1]` `[MQTT-3.6.2-1]` `[MQTT-3.7.2-1]`
    /// `[MQTT-3.9.3-2]` `[MQTT-3.11.3-2]` `[MQTT-3.14.2-1]` `[MQTT-3.15.2-1]`
    #[test]
    fn each_packet_has_the_codes_of_its_column() {
        for (place, codes) in TABLE {
            for byte in 0..=u8::MAX {
                let read = ReasonCode::read(&mut Reader::new(&[byte]), *place);
                assert_eq!(read.is_ok(), codes.contains(&byte), "{byte:#x} in {place:?}");
                assert!(read.is_ok_and(|reason| reason.as_byte() == byte) || read.is_err());
            }
        }
    }

    #[test]
    fn a_code_stands_only_where_the_standard_has_it() {
        let read = |byte, place| ReasonCode::read(&mut Reader::new(&[byte]), place);
        assert_eq!(read(0x87, Place::Puback), Ok(ReasonCode::NotAuthorized));
        assert_eq!(read(0x8e, Place::Puback), Err(DecodeError::ReasonCodeInvalid { byte: 0x8e }));
        assert_eq!(read(0x92, Place::Pubcomp), Ok(ReasonCode::PacketIdentifierNotFound));
        assert_eq!(read(0x03, Place::Suback), Err(DecodeError::ReasonCodeInvalid { byte: 0x03 }));
    }

    #[test]
    fn before_5_a_connack_has_six_return_codes() {
        for code in 0..=5 {
            let reason = ReasonCode::from_return_code(code).unwrap();
            assert_eq!(reason.return_code(), code);
        }
        assert_eq!(ReasonCode::from_return_code(6), None);
        assert_eq!(ReasonCode::Banned.return_code(), 5);
        assert_eq!(ReasonCode::QuotaExceeded.return_code(), 3);
        assert_eq!(ReasonCode::MalformedPacket.return_code(), 3);
    }
}
