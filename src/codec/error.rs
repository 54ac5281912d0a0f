//! What a peer can get wrong on the wire: one variant per offence.

use super::{PropertyId, ReasonCode};

/// Why a packet cannot be read. The text is for the operator's log and the Reason String.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The packet is above Maximum Packet Size `[MQTT-3.2.2-15]`.
    #[error("a packet of {bytes} bytes is above the limit of {limit}")]
    PacketTooLarge {
        /// Size announced by the fixed header.
        bytes: u32,
        /// The limit in force.
        limit: u32,
    },
    /// A Variable Byte Integer that goes on after four bytes, or is not in its shortest form
    /// `[MQTT-1.5.5-1]`.
    #[error("a variable byte integer is malformed")]
    VariableByteIntegerMalformed,
    /// A field reaches beyond the end of the packet.
    #[error("the packet ends inside a field")]
    Truncated,
    /// Bytes after the last field.
    #[error("bytes follow the last field of the packet")]
    TrailingBytes,
    /// A string that is not well-formed UTF-8; surrogates are not `[MQTT-1.5.4-1]`.
    #[error("a string is not well-formed UTF-8")]
    Utf8Malformed,
    /// A string with U+0000 `[MQTT-1.5.4-2]`.
    #[error("a string contains U+0000")]
    NulInString,
    /// Packet type 0, or 15 (AUTH) before 5.0.
    #[error("packet type {packet_type} does not exist in this protocol version")]
    PacketTypeReserved {
        /// The high nibble of byte 1.
        packet_type: u8,
    },
    /// Flags of the fixed header that the packet does not have `[MQTT-2.1.3-1]`
    /// `[MQTT-3.6.1-1]` `[MQTT-3.8.1-1]` `[MQTT-3.10.1-1]` `[MQTT-3.14.1-1]` `[MQTT-3.15.1-1]`.
    #[error("reserved flags of the fixed header: byte 1 is {first:#04x}")]
    FlagsReserved {
        /// Byte 1 of the packet.
        first: u8,
    },
    /// QoS 3 in a PUBLISH `[MQTT-3.3.1-4]`.
    #[error("a PUBLISH with QoS 3")]
    QoSInvalid,
    /// DUP with QoS 0 `[MQTT-3.3.1-2]`.
    #[error("a PUBLISH with DUP and QoS 0")]
    DupWithQoS0,
    /// Packet Identifier 0 `[MQTT-2.2.1-3]`.
    #[error("packet identifier 0")]
    PacketIdentifierZero,
    /// An empty Topic Name without a Topic Alias `[MQTT-3.3.2-1]` `[MQTT-4.7.3-1]`.
    #[error("an empty topic name without a topic alias")]
    TopicNameEmpty,
    /// A Protocol Name other than `MQTT` and `MQIsdp` `[MQTT-3.1.2-1]`.
    #[error("the protocol name is neither MQTT nor MQIsdp")]
    ProtocolNameInvalid,
    /// A Protocol Version that is none of 3.1, 3.1.1 and 5.0 `[MQTT-3.1.2-2]`.
    #[error("protocol version {level} is not supported")]
    ProtocolVersionUnsupported {
        /// The version as sent.
        level: u8,
    },
    /// The reserved CONNECT flag is set `[MQTT-3.1.2-3]`.
    #[error("the reserved flag of CONNECT is set")]
    ConnectFlagReserved,
    /// Will QoS 3 `[MQTT-3.1.2-12]`.
    #[error("a will with QoS 3")]
    WillQoSInvalid,
    /// Will QoS or Will Retain without a Will `[MQTT-3.1.2-11]` `[MQTT-3.1.2-13]`.
    #[error("will QoS or will retain is set without a will")]
    WillFlagsWithoutWill,
    /// A Password without a User Name, before 5.0 `[MQTT3-3.1.2-22]`.
    #[error("a password without a user name")]
    PasswordWithoutUserName,
    /// Reserved Connect Acknowledge Flags `[MQTT-3.2.2-1]`.
    #[error("reserved flags of CONNACK are set")]
    ConnackFlagsReserved,
    /// A Property Identifier that does not exist.
    #[error("property {id:#04x} does not exist")]
    UnknownProperty {
        /// The identifier sent.
        id: u32,
    },
    /// A property that this packet does not have.
    #[error("property {id:?} does not belong into this packet")]
    PropertyNotAllowed {
        /// Which.
        id: PropertyId,
    },
    /// A property twice that may stand once.
    #[error("property {id:?} stands twice")]
    PropertyRepeated {
        /// Which.
        id: PropertyId,
    },
    /// A property with a value the standard rules out, as Topic Alias 0 `[MQTT-3.3.2-8]` or a
    /// Response Topic with wildcards `[MQTT-3.3.2-14]`.
    #[error("property {id:?} has a value that is not allowed")]
    PropertyValueInvalid {
        /// Which.
        id: PropertyId,
    },
    /// Authentication Data without Authentication Method.
    #[error("authentication data without an authentication method")]
    AuthenticationDataWithoutMethod,
    /// A Reason Code that does not exist, or not in this packet `[MQTT-3.4.2-1]`
    /// `[MQTT-3.5.2-1]` `[MQTT-3.6.2-1]` `[MQTT-3.7.2-1]` `[MQTT-3.15.2-1]`.
    #[error("reason code {byte:#04x} does not belong into this packet")]
    ReasonCodeInvalid {
        /// The byte sent.
        byte: u8,
    },
    /// SUBSCRIBE or UNSUBSCRIBE without a Topic Filter `[MQTT-3.8.3-2]` `[MQTT-3.10.3-2]`, or
    /// their answer without a Reason Code.
    #[error("the packet has an empty payload")]
    PayloadEmpty,
    /// Reserved bits of Subscription Options `[MQTT-3.8.3-5]`.
    #[error("reserved bits of subscription options are set")]
    SubscriptionOptionsReserved,
    /// A subscription with QoS 3.
    #[error("a subscription with QoS 3")]
    SubscriptionQoSInvalid,
    /// Retain Handling 3.
    #[error("a subscription with retain handling 3")]
    RetainHandlingInvalid,
}

impl DecodeError {
    /// The Reason Code a 5.0 peer is told in CONNACK or DISCONNECT `[MQTT-4.13.1-1]`.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::PacketTooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::ProtocolVersionUnsupported { .. } | Self::ProtocolNameInvalid => {
                ReasonCode::UnsupportedProtocolVersion
            }
            Self::PropertyValueInvalid { id: PropertyId::TopicAlias } => {
                ReasonCode::TopicAliasInvalid
            }
            Self::PropertyRepeated { .. }
            | Self::PropertyValueInvalid { .. }
            | Self::AuthenticationDataWithoutMethod
            | Self::PacketIdentifierZero
            | Self::TopicNameEmpty
            | Self::PayloadEmpty
            | Self::SubscriptionQoSInvalid
            | Self::RetainHandlingInvalid => ReasonCode::ProtocolError,
            Self::VariableByteIntegerMalformed
            | Self::Truncated
            | Self::TrailingBytes
            | Self::Utf8Malformed
            | Self::NulInString
            | Self::PacketTypeReserved { .. }
            | Self::FlagsReserved { .. }
            | Self::QoSInvalid
            | Self::DupWithQoS0
            | Self::ConnectFlagReserved
            | Self::WillQoSInvalid
            | Self::WillFlagsWithoutWill
            | Self::PasswordWithoutUserName
            | Self::ConnackFlagsReserved
            | Self::UnknownProperty { .. }
            | Self::PropertyNotAllowed { .. }
            | Self::ReasonCodeInvalid { .. }
            | Self::SubscriptionOptionsReserved => ReasonCode::MalformedPacket,
        }
    }
}
