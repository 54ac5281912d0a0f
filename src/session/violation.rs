//! What a client can do wrong once its packets are well formed: one variant per offence.

use crate::codec::{DecodeError, ReasonCode};

/// A breach of the standard that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A packet that cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A second CONNECT `[MQTT-3.1.0-2]`.
    #[error("a second CONNECT on the same connection")]
    SecondConnect,
    /// A packet only servers send.
    #[error("a packet that only a server may send")]
    ServerPacket,
    /// AUTH without an authentication method in CONNECT `[MQTT-4.12.0-7]`.
    #[error("AUTH without an authentication method in CONNECT")]
    AuthWithoutMethod,
    /// AUTH that is not due: an answer to nothing, a new exchange while one runs, or 0x00, which
    /// only a server says `[MQTT-4.12.0-3]`.
    #[error("an AUTH packet that is not due")]
    UnexpectedAuth,
    /// AUTH that does not name its method `[MQTT-4.12.0-5]`.
    #[error("AUTH does not name the authentication method")]
    AuthenticationMethodMissing,
    /// AUTH that names another method than CONNECT `[MQTT-4.12.0-5]` `[MQTT-4.12.1-1]`.
    #[error("AUTH names another authentication method than CONNECT")]
    AuthenticationMethodChanged,
    /// A packet other than AUTH and DISCONNECT before the end of the authentication
    /// `[MQTT-3.1.2-30]`.
    #[error("a packet other than AUTH and DISCONNECT before CONNACK")]
    PacketBeforeConnack,
    /// Alias 0 or above Topic Alias Maximum `[MQTT-3.3.2-9]`.
    #[error("a topic alias of 0 or above the maximum")]
    TopicAliasAboveMaximum,
    /// Empty Topic Name with an alias that was never set.
    #[error("a topic alias that was never set")]
    UnknownTopicAlias,
    /// Empty Topic Name, wildcard in it, or too many levels `[MQTT-3.3.2-2]`.
    #[error("an invalid topic name")]
    TopicNameInvalid,
    /// More QoS 1 and 2 messages unacknowledged than Receive Maximum `[MQTT-3.3.4-7]`.
    #[error("more messages in flight than Receive Maximum")]
    ReceiveMaximumExceeded,
    /// A PUBLISH from a client carries a Subscription Identifier `[MQTT-3.3.4-6]`.
    #[error("a subscription identifier in a PUBLISH from a client")]
    SubscriptionIdentifierFromClient,
    /// A Topic Filter with a misplaced wildcard or an empty one, before 5.0 `[MQTT-4.7.1-1]`.
    #[error("an invalid topic filter")]
    TopicFilterInvalid,
    /// No Local on a Shared Subscription `[MQTT-3.8.3-4]`.
    #[error("No Local on a shared subscription")]
    NoLocalOnShared,
    /// An acknowledgement that answers nothing in the state its packet identifier is in.
    #[error("an acknowledgement of another QoS than the message it answers")]
    UnexpectedAcknowledgement,
    /// DISCONNECT raises Session Expiry Interval from 0 `[MQTT-3.1.2-23]`.
    #[error("a session expiry set at DISCONNECT where CONNECT had none")]
    SessionExpiryFromZero,
    /// The client's Maximum Packet Size has no room for the answer to its own request
    /// `[MQTT-3.1.2-24]`.
    #[error("the answer of {bytes} bytes is above the client's Maximum Packet Size of {limit}")]
    AnswerTooLarge {
        /// Size of the answer.
        bytes: u32,
        /// The client's Maximum Packet Size.
        limit: u32,
    },
    /// The client's Topic Aliases find no room in the memory budget.
    #[error("no memory for more topic aliases; use fewer, or shorter topics")]
    TopicAliasesFull,
    /// Payload Format Indicator 1 with a payload that is not UTF-8, in a PUBLISH with QoS 0.
    #[error("the payload is not the UTF-8 that its Payload Format Indicator says")]
    PayloadFormatInvalid,
    /// Nothing came for one and a half times the Keep Alive `[MQTT-3.1.2-22]`.
    #[error("nothing received for one and a half times the keep alive")]
    KeepAliveTimeout,
}

impl Violation {
    /// The Reason Code that DISCONNECT tells a 5.0 client.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            // Of a second CONNECT, as the first got past it; 0x84 is CONNACK's alone
            // `[MQTT-3.14.2-1]`.
            Self::Decode(
                DecodeError::ProtocolNameInvalid | DecodeError::ProtocolVersionUnsupported { .. },
            ) => ReasonCode::ProtocolError,
            Self::Decode(error) => error.reason(),
            Self::SecondConnect
            | Self::ServerPacket
            | Self::AuthWithoutMethod
            | Self::UnexpectedAuth
            | Self::AuthenticationMethodMissing
            | Self::PacketBeforeConnack
            | Self::SubscriptionIdentifierFromClient
            | Self::NoLocalOnShared
            | Self::UnexpectedAcknowledgement
            | Self::UnknownTopicAlias
            | Self::SessionExpiryFromZero => ReasonCode::ProtocolError,
            // "… or does not match the authentication method currently in use" (section 2.4).
            Self::AuthenticationMethodChanged => ReasonCode::BadAuthenticationMethod,
            Self::TopicAliasAboveMaximum => ReasonCode::TopicAliasInvalid,
            Self::TopicNameInvalid => ReasonCode::TopicNameInvalid,
            Self::ReceiveMaximumExceeded => ReasonCode::ReceiveMaximumExceeded,
            Self::TopicFilterInvalid => ReasonCode::TopicFilterInvalid,
            Self::AnswerTooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::TopicAliasesFull => ReasonCode::QuotaExceeded,
            Self::PayloadFormatInvalid => ReasonCode::PayloadFormatInvalid,
            Self::KeepAliveTimeout => ReasonCode::KeepAliveTimeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::PropertyId;

    /// `[MQTT-3.14.2-1]`: every reason for which the server sends DISCONNECT may stand in one.
    #[test]
    fn each_offence_has_a_reason_code_of_disconnect() {
        use DecodeError as E;
        use Violation as V;
        let (bytes, limit, id) = (9, 1, PropertyId::TopicAlias);
        let unreadable = [
            E::PacketTooLarge { bytes, limit },
            E::VariableByteIntegerMalformed,
            E::Truncated,
            E::TrailingBytes,
            E::Utf8Malformed,
            E::NulInString,
            E::PacketTypeReserved { packet_type: 0 },
            E::FlagsReserved { first: 0 },
            E::QoSInvalid,
            E::DupWithQoS0,
            E::PacketIdentifierZero,
            E::TopicNameEmpty,
            E::ProtocolNameInvalid,
            E::ProtocolVersionUnsupported { level: 6 },
            E::ConnectFlagReserved,
            E::WillQoSInvalid,
            E::WillFlagsWithoutWill,
            E::PasswordWithoutUserName,
            E::ConnackFlagsReserved,
            E::UnknownProperty { id: 0 },
            E::PropertyNotAllowed { id },
            E::PropertyRepeated { id },
            E::PropertyValueInvalid { id },
            E::PropertyValueInvalid { id: PropertyId::ReceiveMaximum },
            E::AuthenticationDataWithoutMethod,
            E::ReasonCodeInvalid { byte: 0 },
            E::PayloadEmpty,
            E::SubscriptionOptionsReserved,
            E::SubscriptionQoSInvalid,
            E::RetainHandlingInvalid,
        ];
        let others = [
            V::SecondConnect,
            V::ServerPacket,
            V::AuthWithoutMethod,
            V::UnexpectedAuth,
            V::AuthenticationMethodMissing,
            V::AuthenticationMethodChanged,
            V::PacketBeforeConnack,
            V::TopicAliasAboveMaximum,
            V::UnknownTopicAlias,
            V::TopicNameInvalid,
            V::ReceiveMaximumExceeded,
            V::SubscriptionIdentifierFromClient,
            V::TopicFilterInvalid,
            V::NoLocalOnShared,
            V::UnexpectedAcknowledgement,
            V::SessionExpiryFromZero,
            V::AnswerTooLarge { bytes, limit },
            V::TopicAliasesFull,
            V::PayloadFormatInvalid,
            V::KeepAliveTimeout,
        ];
        for violation in unreadable.map(V::Decode).into_iter().chain(others) {
            let reason = violation.reason();
            assert!(reason.is_error() && reason.is_for_disconnect(), "{violation:?}: {reason:?}");
            // Its words go into the Reason String.
            let words = violation.to_string();
            assert!(words.len() <= 120 && words.is_ascii(), "{words:?}");
        }
    }
}
