//! Topic Aliases a client uses towards the server (section 3.3.2.3.4 of 5.0).
//!
//! They live as long as the network connection. What the server uses towards a client is in
//! `assigned`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Violation;

/// Alias → Topic Name, as one client set them on one connection.
#[derive(Debug, Default)]
pub struct Aliases {
    /// Holds what the client set, whatever the numbers: 65 535 cost no more than 1.
    topics: BTreeMap<u16, Arc<str>>,
    maximum: u16,
    bytes: usize,
}

impl Aliases {
    /// With the Topic Alias Maximum told to the peer.
    #[must_use]
    pub const fn new(maximum: u16) -> Self {
        Self { topics: BTreeMap::new(), maximum, bytes: 0 }
    }

    /// Sets an alias `[MQTT-3.3.2-12]`.
    ///
    /// # Errors
    /// Above the maximum `[MQTT-3.3.2-9]` `[MQTT-3.2.2-17]` `[MQTT-3.2.2-18]`.
    pub fn set(&mut self, alias: u16, topic: &str) -> Result<(), Violation> {
        self.check(alias)?;
        let known = self.topics.get(&alias);
        if known.is_some_and(|known| **known == *topic) {
            return Ok(());
        }
        self.bytes += topic.len() + ALIAS_BYTES;
        if let Some(replaced) = self.topics.insert(alias, topic.into()) {
            self.bytes -= replaced.len() + ALIAS_BYTES;
        }
        Ok(())
    }

    /// The topic of an alias.
    ///
    /// # Errors
    /// Above the maximum, or never set.
    pub fn topic(&self, alias: u16) -> Result<Arc<str>, Violation> {
        self.check(alias)?;
        self.topics.get(&alias).cloned().ok_or(Violation::UnknownTopicAlias)
    }

    /// Memory it takes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// 1 to the maximum `[MQTT-3.3.2-12]`; with a maximum of 0 none `[MQTT-3.2.2-18]`.
    const fn check(&self, alias: u16) -> Result<(), Violation> {
        if alias == 0 || alias > self.maximum {
            return Err(Violation::TopicAliasAboveMaximum);
        }
        Ok(())
    }
}

/// Of one alias beside its topic: its place in the tree, and the head of an allocation.
const ALIAS_BYTES: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_the_topic_last_set() {
        let mut aliases = Aliases::new(2);
        assert_eq!(aliases.topic(1), Err(Violation::UnknownTopicAlias));
        aliases.set(1, "a").unwrap();
        aliases.set(1, "b").unwrap();
        assert_eq!(aliases.topic(1).as_deref(), Ok("b"));
    }

    #[test]
    fn zero_and_more_than_the_maximum_are_refused() {
        let mut aliases = Aliases::new(2);
        assert_eq!(aliases.set(0, "a"), Err(Violation::TopicAliasAboveMaximum));
        assert_eq!(aliases.set(3, "a"), Err(Violation::TopicAliasAboveMaximum));
    }

    #[test]
    fn memory_is_counted_and_high_numbers_cost_no_more() {
        let mut aliases = Aliases::new(u16::MAX);
        aliases.set(u16::MAX, "abcd").unwrap();
        assert_eq!(aliases.bytes(), ALIAS_BYTES + 4);
        aliases.set(u16::MAX, "ab").unwrap();
        aliases.set(u16::MAX, "ab").unwrap();
        assert_eq!(aliases.bytes(), ALIAS_BYTES + 2);
    }
}
