//! CONNECT, with its Will.

use super::{Properties, QoS, Version};

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
