//! Who may come in: a CONNECT checked against the standard and the limits, before any shard.

use std::net::SocketAddr;

use super::Limits;
use super::status::is_reserved;
use crate::codec::{Connect, PACKET_BYTES_MAX, Properties, Version, Will};
use crate::session::{ArmedWill, Authentication, Denial, PeerLimits};
use crate::topic::TopicName;

/// What the lobby knows of a client it lets in.
#[derive(Debug)]
pub struct Admission {
    /// Protocol version.
    pub version: Version,
    /// Client Identifier.
    pub client_id: Box<str>,
    /// Whether the server made the Client Identifier.
    pub assigned: bool,
    /// Whether the client is a bridge that said so in CONNECT.
    pub bridge: bool,
    /// User Name: of CONNECT, or whom the authentication granted it to.
    pub username: Option<Box<str>>,
    /// The enhanced authentication by which it came in.
    pub authentication: Option<Box<Authentication>>,
    /// The last Authentication Data of that, for CONNACK.
    pub authentication_data: Option<Vec<u8>>,
    /// Address of the peer.
    pub peer: SocketAddr,
    /// Clean Start.
    pub clean_start: bool,
    /// Keep Alive in force, seconds; 0 = off.
    pub keep_alive_secs: u16,
    /// Whether the server chose the Keep Alive.
    pub server_keep_alive: bool,
    /// Session Expiry Interval in force, seconds.
    pub session_expiry_interval_secs: u32,
    /// Whether the server shortened the Session Expiry Interval.
    pub server_session_expiry: bool,
    /// What the client can take.
    pub limits: PeerLimits,
    /// Whether the client asks for Response Information.
    pub requests_response_information: bool,
    /// Will.
    pub will: Option<Box<ArmedWill>>,
}

/// Why a client is not let in; written as CONNACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No credentials, and the address is not one that needs none.
    #[error("not authorized")]
    NotAuthorized,
    /// A client without an identifier wants its session kept before 5.0
    /// `[MQTT3-3.1.3-8]` `[MQTT3-3.1.3-9]`, or speaks 3.1, where each has one `[MQTT31-5]`.
    #[error("an empty client identifier, which this protocol version does not allow here")]
    ClientIdentifierNotValid,
    /// 3.1 has Client Identifiers of up to 23 characters `[MQTT31-4]`.
    #[error(
        "a client identifier of more than 23 characters, which only MQTT 3.1.1 and later have: \
         shorten it or let the client speak a later version"
    )]
    ClientIdentifierTooLong,
    /// The Will Topic is no Topic Name.
    #[error("an invalid will topic")]
    WillTopicInvalid,
    /// The Will's Payload Format Indicator is 1 and its payload is not UTF-8, where that is checked.
    #[error("the payload of the will is not the UTF-8 that its Payload Format Indicator says")]
    WillPayloadFormatInvalid,
    /// The Will Topic is one of the broker's own.
    #[error("a will to $SYS, which is the broker's own")]
    WillTopicReserved,
    /// The client names an authentication method that the server has not `[MQTT-4.12.0-1]`.
    #[error("an authentication method that is not supported")]
    BadAuthenticationMethod,
    /// The exchange of its authentication method failed `[MQTT-4.12.0-4]`.
    #[error(transparent)]
    AuthenticationFailed(Denial),
    /// The server holds as many sessions as it may.
    #[error("the limit of sessions is reached")]
    TooManySessions,
    /// What CONNACK would promise of the session and its Will cannot be kept, as no space is left.
    #[error("the disk of the server is full: the session, or its will, cannot be kept; try later")]
    StoreFull,
    /// The same, as the disk failed.
    #[error("the disk of the server failed: the session, or its will, cannot be kept; try later")]
    StoreFailed,
    /// The server holds as many connections as it may.
    #[error("the limit of connections is reached")]
    TooManyConnections,
    /// The CONNECT finds no room beside the incomplete packets of others.
    #[error("incomplete packets fill the memory for them; try later")]
    PartialPacketsFull,
    /// The server stops.
    #[error("the server is shutting down; connect again later")]
    ServerShuttingDown,
    /// The server stops, and names another.
    #[error("this server stops; use another one for now")]
    UseAnotherServer,
    /// The server serves nobody any more, and names another.
    #[error("this server has moved; use the other one from now on")]
    ServerMoved,
    /// The CONNACK with all it has to tell is above the client's Maximum Packet Size
    /// `[MQTT-3.1.2-24]`.
    #[error("the client's Maximum Packet Size has no room for CONNACK")]
    ConnackTooLarge,
    /// A protocol version that is none of ours `[MQTT-3.1.2-2]`.
    #[error("an unsupported protocol version")]
    UnsupportedProtocolVersion,
}

/// Longest Client Identifier of 3.1, characters `[MQTT31-3]`.
const CHARACTERS_MAX_3_1: usize = 23;

impl Admission {
    /// Checks a CONNECT against the standard and the limits. One that names an authentication
    /// method has to prove more, in an [`super::Introduction`].
    ///
    /// `assigned` makes a Client Identifier for a client that sent none.
    ///
    /// # Errors
    /// The reason to write into CONNACK.
    pub fn new(
        connect: &Connect<'_>,
        peer: SocketAddr,
        limits: &Limits,
        assigned: impl FnOnce() -> Box<str>,
    ) -> Result<Self, Refusal> {
        if connect.properties.authentication_method().is_some() {
            return Err(Refusal::BadAuthenticationMethod);
        }
        Self::check(connect, peer, limits, assigned)
    }

    /// All but the authentication: the checks that make the server close the connection
    /// `[MQTT-3.1.4-2]`. Any Client Identifier will do `[MQTT-3.1.3-5]`; one is made for a client that
    /// has none `[MQTT-3.1.3-6]`, and is its own from then on `[MQTT-3.1.3-7]`.
    pub(super) fn check(
        connect: &Connect<'_>,
        peer: SocketAddr,
        limits: &Limits,
        assigned: impl FnOnce() -> Box<str>,
    ) -> Result<Self, Refusal> {
        let (version, properties) = (connect.version, connect.properties);
        let may_be_empty = match version {
            // `[MQTT31-5]`
            Version::V31 => false,
            // `[MQTT3-3.1.3-8]`
            Version::V311 => connect.clean_start,
            Version::V5 => true,
        };
        if connect.client_id.is_empty() && !may_be_empty {
            return Err(Refusal::ClientIdentifierNotValid);
        }
        if version == Version::V31 && connect.client_id.chars().count() > CHARACTERS_MAX_3_1 {
            return Err(Refusal::ClientIdentifierTooLong);
        }
        let will = connect.will.as_ref();
        if let Some(will) = will {
            check_will(will, limits)?;
        }
        let is_assigned = connect.client_id.is_empty();
        let asked_expiry = session_expiry_asked(connect);
        let keep_alive_secs = keep_alive(connect, limits);
        Ok(Self {
            version,
            client_id: if is_assigned { assigned() } else { connect.client_id.into() },
            assigned: is_assigned,
            bridge: connect.bridge,
            username: connect.username.map(Into::into),
            authentication: None,
            authentication_data: None,
            peer,
            clean_start: connect.clean_start,
            keep_alive_secs,
            server_keep_alive: keep_alive_secs != connect.keep_alive_secs,
            session_expiry_interval_secs: asked_expiry.min(limits.session_expiry_secs_max),
            server_session_expiry: version == Version::V5
                && asked_expiry > limits.session_expiry_secs_max,
            limits: PeerLimits::of(properties),
            requests_response_information: properties
                .request_response_information()
                .unwrap_or(false),
            will: will.map(|will| Box::new(ArmedWill::new(will))),
        })
    }
}

/// Before 5.0 a session is either of the connection or kept for as long as the server keeps one.
fn session_expiry_asked(connect: &Connect<'_>) -> u32 {
    match connect.version {
        Version::V5 => connect.properties.session_expiry_interval().unwrap_or(0),
        Version::V31 | Version::V311 if connect.clean_start => 0,
        Version::V31 | Version::V311 => u32::MAX,
    }
}

/// Only a 5.0 client can be told another Keep Alive `[MQTT-3.2.2-21]`; the others keep theirs
/// `[MQTT-3.2.2-22]`.
fn keep_alive(connect: &Connect<'_>, limits: &Limits) -> u16 {
    let asked = connect.keep_alive_secs;
    let too_long = asked == 0 || asked > limits.keep_alive_secs_max;
    let may_tell = connect.version == Version::V5 && limits.keep_alive_secs_max < u16::MAX;
    if may_tell && too_long { limits.keep_alive_secs_max } else { asked }
}

fn check_will(will: &Will<'_>, limits: &Limits) -> Result<(), Refusal> {
    let levels_max = limits.topic_levels_max as usize;
    if !TopicName::parse(will.topic).is_ok_and(|name| name.levels() <= levels_max) {
        return Err(Refusal::WillTopicInvalid);
    }
    if is_reserved(will.topic) {
        return Err(Refusal::WillTopicReserved);
    }
    if limits.checks_payload_format && !will.properties.payload_format_agrees(will.payload) {
        return Err(Refusal::WillPayloadFormatInvalid);
    }
    Ok(())
}

impl PeerLimits {
    /// What the properties of a CONNECT say; before 5.0 there are none.
    #[must_use]
    pub fn of(connect: Properties<'_>) -> Self {
        Self {
            receive_maximum: connect.receive_maximum().unwrap_or(u16::MAX),
            packet_bytes_max: connect
                .maximum_packet_size()
                .map_or(PACKET_BYTES_MAX, |bytes| bytes.min(PACKET_BYTES_MAX)),
            topic_alias_maximum: connect.topic_alias_maximum().unwrap_or(0),
            problem_information: connect.request_problem_information().unwrap_or(true),
        }
    }
}

#[cfg(test)]
impl Refusal {
    /// Every refusal there is, in a row: without a new one in its place this does not compile.
    pub(super) fn each() -> impl Iterator<Item = Self> {
        let denial =
            Denial { reason: crate::codec::ReasonCode::NotAuthorized, why: "it is somebody else" };
        let next = move |refusal: &Self| {
            Some(match refusal {
                Self::NotAuthorized => Self::ClientIdentifierNotValid,
                Self::ClientIdentifierNotValid => Self::ClientIdentifierTooLong,
                Self::ClientIdentifierTooLong => Self::WillTopicInvalid,
                Self::WillTopicInvalid => Self::WillPayloadFormatInvalid,
                Self::WillPayloadFormatInvalid => Self::WillTopicReserved,
                Self::WillTopicReserved => Self::BadAuthenticationMethod,
                Self::BadAuthenticationMethod => Self::AuthenticationFailed(denial),
                Self::AuthenticationFailed(_) => Self::TooManySessions,
                Self::TooManySessions => Self::StoreFull,
                Self::StoreFull => Self::StoreFailed,
                Self::StoreFailed => Self::TooManyConnections,
                Self::TooManyConnections => Self::PartialPacketsFull,
                Self::PartialPacketsFull => Self::ServerShuttingDown,
                Self::ServerShuttingDown => Self::UseAnotherServer,
                Self::UseAnotherServer => Self::ServerMoved,
                Self::ServerMoved => Self::ConnackTooLarge,
                Self::ConnackTooLarge => Self::UnsupportedProtocolVersion,
                Self::UnsupportedProtocolVersion => return None,
            })
        };
        std::iter::successors(Some(Self::NotAuthorized), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ReasonCode;

    /// `[MQTT-3.2.2-8]`: every reason for which the server refuses a client may stand in CONNACK.
    #[test]
    fn each_refusal_has_a_reason_code_of_connack() {
        let denied = |reason| Refusal::AuthenticationFailed(Denial { reason, why: "" });
        let denials = [ReasonCode::Success, ReasonCode::SessionTakenOver, ReasonCode::Banned];
        for refusal in Refusal::each().chain(denials.map(denied)) {
            let reason = refusal.reason();
            assert!(reason.is_error() && reason.is_for_connack(), "{refusal:?}: {reason:?}");
        }
    }
}
