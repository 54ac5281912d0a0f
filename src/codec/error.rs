//! What a peer can get wrong on the wire: one variant per offence.

use super::ReasonCode;

/// A packet that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The packet is above Maximum Packet Size `[MQTT-3.2.2-15]`.
    #[error("a packet of {bytes} bytes, above the limit of {limit}")]
    PacketTooLarge {
        /// Size announced by the fixed header.
        bytes: u32,
        /// The limit in force.
        limit: u32,
    },
    /// A Variable Byte Integer of five bytes, or not in its shortest form `[MQTT-1.5.5-1]`.
    #[error("a malformed variable byte integer")]
    MalformedVariableByteInteger,
    /// A field reaches beyond the end of the packet.
    #[error("a packet that ends inside a field")]
    Truncated,
    /// Bytes after the last field.
    #[error("bytes after the last field")]
    TrailingBytes,
    /// A string that is not UTF-8 `[MQTT-1.5.4-1]`.
    #[error("a string that is not UTF-8")]
    MalformedUtf8,
    /// A string with U+0000 `[MQTT-1.5.4-2]`.
    #[error("a string with a NUL character")]
    NulInString,
    /// Packet type 0, or AUTH before 5.0.
    #[error("a reserved packet type")]
    ReservedPacketType,
    /// Flags of the fixed header that the packet does not have `[MQTT-2.1.3-1]`.
    #[error("reserved flags of the fixed header")]
    ReservedFlags,
    /// QoS 3 `[MQTT-3.3.1-4]`.
    #[error("QoS 3")]
    QoSInvalid,
    /// DUP with QoS 0 `[MQTT-3.3.1-2]`.
    #[error("DUP with QoS 0")]
    DupWithQoS0,
    /// Packet Identifier 0 `[MQTT-2.2.1-3]`.
    #[error("packet identifier 0")]
    PacketIdentifierZero,
    /// Empty Topic Name without Topic Alias `[MQTT-3.3.2-1]`.
    #[error("an empty topic name without a topic alias")]
    EmptyTopic,
    /// A Protocol Name other than `MQTT` (or `MQIsdp`) `[MQTT-3.1.2-1]`.
    #[error("an unknown protocol name")]
    ProtocolNameInvalid,
    /// A Protocol Version that is none of ours `[MQTT-3.1.2-2]`.
    #[error("unsupported protocol version {level}")]
    UnsupportedProtocolVersion {
        /// The level sent.
        level: u8,
    },
    /// The reserved CONNECT flag is set `[MQTT-3.1.2-3]`.
    #[error("the reserved flag of CONNECT")]
    ReservedConnectFlag,
    /// Will QoS or Will Retain without Will, or Will QoS 3 `[MQTT-3.1.2-11]`.
    #[error("invalid will flags")]
    WillFlagsInvalid,
    /// A Password without a User Name, before 5.0 `[MQTT-3.1.2-22]` (3.1.1).
    #[error("a password without a user name")]
    PasswordWithoutUserName,
    /// A property identifier that does not exist.
    #[error("an unknown property")]
    UnknownProperty,
    /// A property that this packet does not have.
    #[error("a property that this packet does not have")]
    PropertyNotAllowed,
    /// A property twice that may stand once.
    #[error("a property that stands twice")]
    DuplicateProperty,
    /// A property with a value the standard rules out.
    #[error("a property with an invalid value")]
    InvalidPropertyValue,
    /// Authentication Data without Authentication Method.
    #[error("authentication data without a method")]
    AuthenticationDataWithoutMethod,
    /// A reason code that does not exist, or not in this packet.
    #[error("an invalid reason code")]
    ReasonCodeInvalid,
    /// SUBSCRIBE or UNSUBSCRIBE without a Topic Filter `[MQTT-3.8.3-2]`.
    #[error("no topic filter")]
    NoTopicFilter,
    /// Reserved bits of Subscription Options, QoS 3, or Retain Handling 3 `[MQTT-3.8.3-5]`.
    #[error("invalid subscription options")]
    SubscriptionOptionsInvalid,
}

impl DecodeError {
    /// The Reason Code a 5.0 peer is told.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::PacketTooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::UnsupportedProtocolVersion { .. } | Self::ProtocolNameInvalid => {
                ReasonCode::UnsupportedProtocolVersion
            }
            Self::DuplicateProperty
            | Self::InvalidPropertyValue
            | Self::AuthenticationDataWithoutMethod
            | Self::EmptyTopic
            | Self::NoTopicFilter => ReasonCode::ProtocolError,
            Self::MalformedVariableByteInteger
            | Self::Truncated
            | Self::TrailingBytes
            | Self::MalformedUtf8
            | Self::NulInString
            | Self::ReservedPacketType
            | Self::ReservedFlags
            | Self::QoSInvalid
            | Self::DupWithQoS0
            | Self::PacketIdentifierZero
            | Self::ReservedConnectFlag
            | Self::WillFlagsInvalid
            | Self::PasswordWithoutUserName
            | Self::UnknownProperty
            | Self::PropertyNotAllowed
            | Self::ReasonCodeInvalid
            | Self::SubscriptionOptionsInvalid => ReasonCode::MalformedPacket,
        }
    }
}
