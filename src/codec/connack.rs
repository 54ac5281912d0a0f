//! CONNACK.

use super::{Properties, ReasonCode};

/// A CONNACK packet. Before 5.0 the reason is written as the nearest return code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connack<'a> {
    /// Session Present.
    pub session_present: bool,
    /// Connect Reason Code.
    pub reason: ReasonCode,
    /// Properties (5.0).
    pub properties: Properties<'a>,
}
