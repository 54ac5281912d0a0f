//! UNSUBSCRIBE and UNSUBACK.

use super::Properties;

/// An UNSUBSCRIBE packet; the payload is checked and read by iterating.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsubscribe<'a> {
    /// Packet Identifier, never 0.
    pub packet_id: u16,
    /// Properties (5.0).
    pub properties: Properties<'a>,
    /// The checked payload: Topic Filters, at least one.
    pub(super) payload: &'a [u8],
}

/// An UNSUBACK packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsuback<'a> {
    /// Packet Identifier of the UNSUBSCRIBE.
    pub packet_id: u16,
    /// Properties (5.0).
    pub properties: Properties<'a>,
    /// One Reason Code a Topic Filter, as wire bytes; empty before 5.0.
    pub reasons: &'a [u8],
}
