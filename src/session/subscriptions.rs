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

/// Most have one or two: so many stand in a list, and a tree is for more.
const FEW_MAX: usize = 16;

/// Subscriptions by Topic Filter, `$share/…` included.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// In the order of their filters.
    few: Vec<(Box<str>, Subscription)>,
    /// All of them, when they are not few.
    many: BTreeMap<Box<str>, Subscription>,
}

impl Subscriptions {
    /// Adds or replaces one `[MQTT-3.8.4-3]`; returns the one it replaces.
    pub fn insert(&mut self, filter: &str, subscription: Subscription) -> Option<Subscription> {
        if !self.many.is_empty() {
            if let Some(existing) = self.many.get_mut(filter) {
                return Some(std::mem::replace(existing, subscription));
            }
            return self.many.insert(filter.into(), subscription);
        }
        match self.find(filter) {
            Ok(index) => Some(std::mem::replace(&mut self.few[index].1, subscription)),
            Err(index) if self.few.len() < FEW_MAX => {
                if self.few.len() == self.few.capacity() {
                    self.few.reserve_exact(self.few.len().max(1));
                }
                self.few.insert(index, (filter.into(), subscription));
                None
            }
            Err(_) => {
                self.many = std::mem::take(&mut self.few).into_iter().collect();
                self.many.insert(filter.into(), subscription)
            }
        }
    }

    /// Removes one.
    pub fn remove(&mut self, filter: &str) -> Option<Subscription> {
        if self.many.is_empty() {
            return self.find(filter).ok().map(|index| self.few.remove(index).1);
        }
        let removed = self.many.remove(filter);
        if self.many.len() <= FEW_MAX / 2 {
            self.few = std::mem::take(&mut self.many).into_iter().collect();
        }
        removed
    }

    /// Whether the filter is subscribed.
    #[must_use]
    pub fn contains(&self, filter: &str) -> bool {
        self.find(filter).is_ok() || self.many.contains_key(filter)
    }

    /// All of them in the order of their filters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Subscription)> + '_ {
        let few = self.few.iter().map(|(filter, subscription)| (&**filter, subscription));
        few.chain(self.many.iter().map(|(filter, subscription)| (&**filter, subscription)))
    }

    /// Number of subscriptions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.few.len() + self.many.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a filter stands in the list, or is to be put.
    fn find(&self, filter: &str) -> Result<usize, usize> {
        self.few.binary_search_by(|(known, _)| (**known).cmp(filter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::QoS;

    /// Against a plain tree, over the edge between few and many and back.
    #[test]
    fn few_and_many_are_the_same() {
        let subscription = |identifier| Subscription {
            options: SubscriptionOptions::new(QoS::AtLeastOnce),
            identifier: Some(identifier),
        };
        let mut subscriptions = Subscriptions::default();
        let mut model: BTreeMap<String, Subscription> = BTreeMap::new();
        let mut chance = 7_u32;
        for step in 0..2000_u32 {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let filter = format!("filter/{}", (chance >> 16) % 40);
            let grows = (step / 200).is_multiple_of(2);
            if (chance >> 8).is_multiple_of(4) == grows {
                assert_eq!(subscriptions.remove(&filter), model.remove(&filter), "step {step}");
            } else {
                let one = subscription(step);
                let replaced = model.insert(filter.clone(), one);
                assert_eq!(subscriptions.insert(&filter, one), replaced, "step {step}");
            }
            assert_eq!(subscriptions.contains(&filter), model.contains_key(&filter));
            assert_eq!(subscriptions.len(), model.len());
            assert_eq!(subscriptions.is_empty(), model.is_empty());
            let all = model.iter().map(|(filter, one)| (filter.as_str(), one));
            assert!(subscriptions.iter().eq(all), "step {step}");
        }
    }
}
