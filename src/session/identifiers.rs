//! The Subscription Identifiers that go with one delivery.

use std::sync::Arc;

/// Subscription Identifiers of all subscriptions that matched, in the order they were found;
/// shared between the deliveries of the same match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identifiers(Option<Arc<[u32]>>);

impl Identifiers {
    /// Without any.
    pub const NONE: Self = Self(None);

    /// From a list, which may be empty.
    #[must_use]
    pub fn new(identifiers: &[u32]) -> Self {
        Self((!identifiers.is_empty()).then(|| identifiers.into()))
    }

    /// The list.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        self.0.as_deref().unwrap_or_default()
    }
}
