//! How long messages last, by their topic: `[store]` of the configuration as the shards ask it.

use super::Class;
use super::status::is_reserved;
use crate::topic::TopicFilter;

/// A class for every topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durability {
    default: Class,
    /// The first that matches decides.
    exceptions: Vec<(Box<str>, Class)>,
}

impl Durability {
    /// `default` for all topics but those that match one of `exceptions`, of which the first that
    /// matches decides. What is no Topic Filter matches nothing.
    #[must_use]
    pub fn new(
        default: Class,
        exceptions: impl IntoIterator<Item = (impl Into<Box<str>>, Class)>,
    ) -> Self {
        let exceptions = exceptions.into_iter().map(|(filter, class)| (filter.into(), class));
        Self { default, exceptions: exceptions.collect() }
    }

    /// The class of messages of a topic. The broker's own status is true for a moment, and made
    /// anew after a restart: it is never written.
    #[must_use]
    pub fn class(&self, topic: &str) -> Class {
        if is_reserved(topic) {
            return Class::Memory;
        }
        let matches = |(filter, _): &&(Box<str>, Class)| {
            TopicFilter::parse(filter).is_ok_and(|filter| filter.matches(topic))
        };
        self.exceptions.iter().find(matches).map_or(self.default, |(_, class)| *class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_filter_that_matches_decides() {
        let durability = Durability::new(
            Class::Disk,
            [("log/+/fatal", Class::Disk), ("log/#", Class::Os), ("live/#", Class::Memory)],
        );
        for (topic, class) in [
            ("log/1/fatal", Class::Disk),
            ("log/1/debug", Class::Os),
            ("log", Class::Os),
            ("live/a/b", Class::Memory),
            ("alive", Class::Disk),
            ("$SYS/broker/uptime", Class::Memory),
            ("$SYS/broker/connection/b/state", Class::Disk),
        ] {
            assert_eq!(durability.class(topic), class, "{topic}");
        }
        assert_eq!(Durability::default().class("a"), Class::Disk);
    }
}
