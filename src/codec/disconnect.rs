//! DISCONNECT and AUTH.

use super::{Properties, ReasonCode};

/// A DISCONNECT packet; before 5.0 it has no fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disconnect<'a> {
    /// Disconnect Reason Code.
    pub reason: ReasonCode,
    /// Properties (5.0).
    pub properties: Properties<'a>,
}

/// An AUTH packet (5.0 only).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auth<'a> {
    /// Authenticate Reason Code.
    pub reason: ReasonCode,
    /// Properties.
    pub properties: Properties<'a>,
}
