//! Topic Aliases of a broker: the topics they stand for, as it named them.
//!
//! Used by `connection`. A broker may use as many as the client allowed in CONNECT, none by
//! default, so that no broker can fill this process with topics.

use std::collections::BTreeMap;

use crate::codec::Publish;

#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// Topic Alias Maximum of CONNECT.
    pub(super) maximum: u16,
    topics: BTreeMap<u16, String>,
}

impl Aliases {
    /// Gives a PUBLISH the topic that its alias stands for; `None` when it stands for none, or the
    /// client did not allow it `[MQTT-3.1.2-26]`.
    pub(super) fn name<'p>(&'p mut self, publish: &mut Publish<'p>) -> Option<()> {
        let Some(alias) = publish.properties.topic_alias() else { return Some(()) };
        if alias > self.maximum {
            return None;
        }
        if !publish.topic.is_empty() {
            self.topics.insert(alias, publish.topic.to_owned());
        }
        publish.topic = self.topics.get(&alias)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{PropertiesBuf, Property, QoS};

    /// The topic of a PUBLISH with an alias, when it can be told.
    fn topic_of(aliases: &mut Aliases, topic: &str, alias: u16) -> Option<String> {
        let mut list = PropertiesBuf::default();
        list.push(Property::TopicAlias(alias));
        let (dup, qos, retain, packet_id) = (false, QoS::AtMostOnce, false, 0);
        let properties = list.as_properties();
        let mut publish = Publish { dup, qos, retain, topic, packet_id, properties, payload: b"" };
        aliases.name(&mut publish)?;
        Some(publish.topic.to_owned())
    }

    #[test]
    fn an_alias_stands_for_the_topic_it_was_last_said_with() {
        let mut aliases = Aliases { maximum: 2, ..Aliases::default() };
        assert_eq!(topic_of(&mut aliases, "", 2), None);
        assert_eq!(topic_of(&mut aliases, "a", 2).as_deref(), Some("a"));
        assert_eq!(topic_of(&mut aliases, "", 2).as_deref(), Some("a"));
        assert_eq!(topic_of(&mut aliases, "b", 2).as_deref(), Some("b"));
        assert_eq!(topic_of(&mut aliases, "", 2).as_deref(), Some("b"));
    }

    #[test]
    fn a_broker_keeps_to_the_number_it_was_allowed() {
        let mut aliases = Aliases { maximum: 2, ..Aliases::default() };
        assert_eq!(topic_of(&mut aliases, "a", 3), None);
        assert_eq!(topic_of(&mut Aliases::default(), "a", 1), None);
    }
}
