//! PUBACK, PUBREC, PUBREL, PUBCOMP: one shape, four names.

use super::{Properties, ReasonCode};

/// The variable header shared by the four acknowledgement packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acknowledge<'a> {
    /// Packet Identifier, never 0.
    pub packet_id: u16,
    /// Reason Code; `Success` before 5.0.
    pub reason: ReasonCode,
    /// Properties (5.0).
    pub properties: Properties<'a>,
}
