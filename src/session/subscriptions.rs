//! What a session subscribed to.

use std::collections::BTreeMap;

use crate::codec::SubscriptionOptions;

/// One subscription of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Subscription Options.
    pub options: SubscriptionOptions,
    /// Subscription Identifier (5.0).
    pub identifier: Option<u32>,
}

/// Subscriptions by Topic Filter, `$share/…` included.
#[derive(Debug, Default)]
pub struct Subscriptions {
    by_filter: BTreeMap<Box<str>, Subscription>,
}

impl Subscriptions {
    /// Adds or replaces one `[MQTT-3.8.4-3]`; returns the one it replaces.
    pub fn insert(&mut self, filter: &str, subscription: Subscription) -> Option<Subscription> {
        if let Some(existing) = self.by_filter.get_mut(filter) {
            return Some(std::mem::replace(existing, subscription));
        }
        self.by_filter.insert(filter.into(), subscription)
    }

    /// Removes one.
    pub fn remove(&mut self, filter: &str) -> Option<Subscription> {
        self.by_filter.remove(filter)
    }

    /// Whether the filter is subscribed.
    #[must_use]
    pub fn contains(&self, filter: &str) -> bool {
        self.by_filter.contains_key(filter)
    }

    /// All of them in the order of their filters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Subscription)> + '_ {
        self.by_filter.iter().map(|(filter, subscription)| (&**filter, subscription))
    }

    /// Number of subscriptions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_filter.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_filter.is_empty()
    }
}
