//! The last words: DISCONNECT to a client whose connection the server ends, CONNACK to one it does
//! not let in. What each is told, and how much of it when the client takes only small packets.
//!
//! Before 5.0 there is no DISCONNECT from a server: the connection is closed.

use std::borrow::Cow;

use super::{ConnectionId, Departure, Directions, Refusal, Shard};
use crate::codec::{
    Connack, Disconnect, Packet, Properties, PropertiesBuf, Property, ReasonCode, Version,
};
use crate::session::{PeerLimits, Violation, encode_fitted};

impl Shard {
    /// DISCONNECT with the reason, for a 5.0 client whose connection the server ends
    /// `[MQTT-4.13.1-1]`: one that was let in `[MQTT-3.14.0-1]`.
    pub(super) fn say_goodbye(&mut self, id: ConnectionId, departure: Departure) {
        let Some(reason) = departure.reason() else {
            return;
        };
        let Some(link) = self.desk.roster.link_mut(id) else {
            return;
        };
        if link.version != Version::V5 {
            return;
        }
        let directions = self.commons.directions();
        let redirects = matches!(departure, Departure::UseAnotherServer | Departure::ServerMoved);
        let reference = reference(redirects, &directions);
        let words = departure.reason_string();
        // `[MQTT-3.14.2-3]`; a Session Expiry Interval is never told `[MQTT-3.14.2-2]`, nor a User
        // Property `[MQTT-3.14.2-4]`.
        let full = link.limits.with_reason_string(&reference, &words);
        let lists = [full.as_properties(), reference.as_properties(), Properties::EMPTY];
        let packet = Packet::Disconnect(Disconnect { reason, properties: Properties::EMPTY });
        let packet_bytes_max = link.limits.packet_bytes_max;
        let out = link.outbox.buffer(&mut self.desk.spare);
        let fits = encode_fitted(&lists, &packet, Version::V5, packet_bytes_max, out);
        self.desk.counters.packets_sent += u64::from(fits);
    }
}

fn reference(redirects: bool, directions: &Directions) -> PropertiesBuf {
    let mut properties = PropertiesBuf::default();
    if let Some(reference) = directions.server_reference.as_deref().filter(|_| redirects) {
        properties.push(Property::ServerReference(reference));
    }
    properties
}

impl Departure {
    /// The Reason Code of the DISCONNECT the server sends `[MQTT-3.14.2-1]`; `None` when it sends none.
    #[must_use]
    pub const fn reason(self) -> Option<ReasonCode> {
        match self {
            Self::Normal | Self::WithWill | Self::ByPeer => None,
            Self::Violation(violation) => Some(violation.reason()),
            Self::AuthenticationFailed(denial)
                if denial.reason.is_error() && denial.reason.is_for_disconnect() =>
            {
                Some(denial.reason)
            }
            Self::AuthenticationFailed(_) => Some(ReasonCode::NotAuthorized),
            Self::TakenOver => Some(ReasonCode::SessionTakenOver),
            Self::AdministrativeAction => Some(ReasonCode::AdministrativeAction),
            Self::PartialPacketsFull => Some(ReasonCode::QuotaExceeded),
            Self::ServerShuttingDown => Some(ReasonCode::ServerShuttingDown),
            Self::UseAnotherServer => Some(ReasonCode::UseAnotherServer),
            Self::ServerMoved => Some(ReasonCode::ServerMoved),
        }
    }

    /// What a 5.0 client is told beside the Reason Code: what happened, and the way out.
    #[must_use]
    pub fn reason_string(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Normal | Self::WithWill | Self::ByPeer => "",
            Self::Violation(violation) => return Cow::Owned(violation.to_string()),
            Self::AuthenticationFailed(denial) => denial.why,
            Self::TakenOver => {
                "another connection uses this client identifier; give each client its own"
            }
            Self::AdministrativeAction => "an operator ended the connection",
            Self::PartialPacketsFull => {
                "incomplete packets fill the memory for them; send smaller packets, or try later"
            }
            Self::ServerShuttingDown => "the server is shutting down; connect again later",
            Self::UseAnotherServer => "this server stops; use another one for now",
            Self::ServerMoved => "this server has moved; use the other one from now on",
        })
    }
}

impl Refusal {
    /// The Reason Code of CONNACK `[MQTT-3.2.2-8]`; before 5.0 the nearest return code is sent.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::NotAuthorized | Self::WillTopicReserved => ReasonCode::NotAuthorized,
            Self::ClientIdentifierNotValid | Self::ClientIdentifierTooLong => {
                ReasonCode::ClientIdentifierNotValid
            }
            Self::WillTopicInvalid => ReasonCode::TopicNameInvalid,
            Self::WillPayloadFormatInvalid => ReasonCode::PayloadFormatInvalid,
            Self::BadAuthenticationMethod => ReasonCode::BadAuthenticationMethod,
            Self::AuthenticationFailed(denial)
                if denial.reason.is_error() && denial.reason.is_for_connack() =>
            {
                denial.reason
            }
            Self::AuthenticationFailed(_) => ReasonCode::NotAuthorized,
            Self::TooManySessions | Self::StoreFull | Self::PartialPacketsFull => {
                ReasonCode::QuotaExceeded
            }
            Self::TooManyConnections => ReasonCode::ServerBusy,
            // 0x8B is DISCONNECT's alone.
            Self::ServerShuttingDown | Self::StoreFailed => ReasonCode::ServerUnavailable,
            Self::UseAnotherServer => ReasonCode::UseAnotherServer,
            Self::ServerMoved => ReasonCode::ServerMoved,
            Self::ConnackTooLarge => ReasonCode::PacketTooLarge,
            Self::UnsupportedProtocolVersion => ReasonCode::UnsupportedProtocolVersion,
        }
    }

    /// The CONNACK that tells it. Empty when the client does not take even the smallest, and where
    /// none of the return codes before 5.0 means it: the connection is closed in silence then
    /// `[MQTT3-3.2.2-6]`.
    #[must_use]
    pub fn connack(self, version: Version, limits: PeerLimits, directions: &Directions) -> Vec<u8> {
        if self == Self::WillTopicInvalid && version != Version::V5 {
            return Vec::new();
        }
        let redirects = matches!(self, Self::UseAnotherServer | Self::ServerMoved);
        let reference = reference(redirects, directions);
        refuse(self.reason(), &self.to_string(), &reference, version, limits)
    }
}

/// The CONNACK for a client of `version` that broke the standard before it was let in.
pub(super) fn violation_connack(
    violation: Violation,
    version: Version,
    limits: PeerLimits,
) -> Vec<u8> {
    // Of a first CONNECT 0x84 too, where its version is unknown.
    let reason =
        if let Violation::Decode(error) = violation { error.reason() } else { violation.reason() };
    refuse(reason, &violation.to_string(), &PropertiesBuf::default(), version, limits)
}

fn refuse(
    reason: ReasonCode,
    words: &str,
    required: &PropertiesBuf,
    version: Version,
    limits: PeerLimits,
) -> Vec<u8> {
    let mut out = Vec::new();
    // `[MQTT-3.2.2-19]`; no User Property is ever told `[MQTT-3.2.2-20]`.
    let full = limits.with_reason_string(required, words);
    let lists = [full.as_properties(), required.as_properties(), Properties::EMPTY];
    // `[MQTT-3.2.2-6]`: Session Present is 0.
    let (session_present, properties) = (false, Properties::EMPTY);
    let packet = Packet::Connack(Connack { session_present, reason, properties });
    encode_fitted(&lists, &packet, version, limits.packet_bytes_max, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{DecodeError, Frame, decode};
    use crate::session::Denial;

    const DENIAL: Denial = Denial { reason: ReasonCode::NotAuthorized, why: "it is somebody else" };

    fn limits(packet_bytes_max: u32) -> PeerLimits {
        let (receive_maximum, topic_alias_maximum, problem_information) = (1, 0, true);
        PeerLimits { receive_maximum, packet_bytes_max, topic_alias_maximum, problem_information }
    }

    fn is_short_and_plain(words: &str) -> bool {
        (1..=120).contains(&words.len()) && words.is_ascii() && !words.contains(char::is_control)
    }

    /// Every way in which a connection ends: what a 5.0 client is told, `None` where nothing is
    /// said, because nobody listens or the client said it.
    #[test]
    fn every_end_has_its_reason_code_and_words() {
        let violation = Violation::KeepAliveTimeout;
        for (departure, code) in [
            (Departure::Normal, None),
            (Departure::WithWill, None),
            (Departure::ByPeer, None),
            (Departure::Violation(violation), Some(0x8d)),
            (Departure::AuthenticationFailed(DENIAL), Some(0x87)),
            (Departure::TakenOver, Some(0x8e)),
            (Departure::AdministrativeAction, Some(0x98)),
            (Departure::PartialPacketsFull, Some(0x97)),
            (Departure::ServerShuttingDown, Some(0x8b)),
            (Departure::UseAnotherServer, Some(0x9c)),
            (Departure::ServerMoved, Some(0x9d)),
        ] {
            assert_eq!(departure.reason().map(ReasonCode::as_byte), code, "{departure:?}");
            let words = departure.reason_string();
            assert_eq!(is_short_and_plain(&words), code.is_some(), "{words:?}");
        }
    }

    /// Every way in which a client is refused: the Reason Code of 5.0, and the return code that an
    /// older one is told `[MQTT3-3.2.2-6]`.
    #[test]
    fn every_refusal_has_its_reason_code_and_words() {
        use Refusal as R;
        let expected = |refusal| match refusal {
            R::NotAuthorized | R::WillTopicReserved | R::AuthenticationFailed(_) => (0x87, Some(5)),
            R::ClientIdentifierNotValid | R::ClientIdentifierTooLong => (0x85, Some(2)),
            R::WillTopicInvalid => (0x90, None),
            R::WillPayloadFormatInvalid => (0x99, Some(3)),
            R::BadAuthenticationMethod => (0x8c, Some(5)),
            R::TooManySessions | R::StoreFull | R::PartialPacketsFull => (0x97, Some(3)),
            R::TooManyConnections => (0x89, Some(3)),
            R::ServerShuttingDown | R::StoreFailed => (0x88, Some(3)),
            R::UseAnotherServer => (0x9c, Some(3)),
            R::ServerMoved => (0x9d, Some(3)),
            R::ConnackTooLarge => (0x95, Some(3)),
            R::UnsupportedProtocolVersion => (0x84, Some(1)),
        };
        for refusal in R::each() {
            let (code, before_5) = expected(refusal);
            let nowhere = Directions::default();
            let connack = refusal.connack(Version::V5, limits(1000), &nowhere);
            let frame = Frame::split(&connack, 1000).unwrap().unwrap();
            let Ok(Packet::Connack(told)) = decode(frame, Version::V5) else {
                panic!("{connack:?}")
            };
            assert_eq!((told.reason.as_byte(), told.session_present), (code, false), "{refusal:?}");
            let words = told.properties.reason_string().unwrap();
            let is_long = matches!(refusal, R::ClientIdentifierTooLong); // Of 3.1 alone: for the log.
            assert!(is_long || is_short_and_plain(words), "{words:?}");
            // As much as the client takes, down to nothing.
            let smallest = [0x20, 3, 0, code, 0];
            assert_eq!(refusal.connack(Version::V5, limits(5), &nowhere), smallest);
            assert!(refusal.connack(Version::V5, limits(4), &nowhere).is_empty());
            let older = refusal.connack(Version::V311, limits(1000), &nowhere);
            assert_eq!(older.get(3).copied(), before_5, "{refusal:?}");
        }
    }

    /// 0x84 belongs into CONNACK alone, and there it is told.
    #[test]
    fn an_unknown_version_is_refused_by_its_own_code() {
        let violation = Violation::Decode(DecodeError::ProtocolVersionUnsupported { level: 6 });
        assert_eq!(violation_connack(violation, Version::V5, limits(5)), [0x20, 3, 0, 0x84, 0]);
        assert_eq!(violation_connack(violation, Version::V311, limits(5)), [0x20, 2, 0, 1]);
        assert_eq!(violation.reason(), ReasonCode::ProtocolError);
    }
}
