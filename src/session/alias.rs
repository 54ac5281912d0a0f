//! Topic Aliases a client uses towards the server (section 3.3.2.3.4 of 5.0).
//!
//! They live as long as the network connection. The server sets none towards clients yet.

use super::Violation;

/// Alias → Topic Name, for one direction of one connection.
#[derive(Debug, Default)]
pub struct Aliases {
    /// Index 0 is alias 1; grows only as far as the client goes.
    topics: Vec<Option<Box<str>>>,
    maximum: u16,
}

impl Aliases {
    /// With the Topic Alias Maximum told to the peer.
    #[must_use]
    pub const fn new(maximum: u16) -> Self {
        Self { topics: Vec::new(), maximum }
    }

    /// Sets an alias.
    ///
    /// # Errors
    /// Above the maximum `[MQTT-3.3.2-9]`.
    pub fn set(&mut self, alias: u16, topic: &str) -> Result<(), Violation> {
        let index = self.index(alias)?;
        if self.topics.len() <= index {
            self.topics.resize(index + 1, None);
        }
        if self.topics[index].as_deref() != Some(topic) {
            self.topics[index] = Some(topic.into());
        }
        Ok(())
    }

    /// The topic of an alias.
    ///
    /// # Errors
    /// Above the maximum, or never set.
    pub fn topic(&self, alias: u16) -> Result<&str, Violation> {
        let index = self.index(alias)?;
        self.topics.get(index).and_then(Option::as_deref).ok_or(Violation::UnknownTopicAlias)
    }

    /// 1 to the maximum `[MQTT-3.3.2-12]`; with a maximum of 0 none `[MQTT-3.2.2-18]`.
    fn index(&self, alias: u16) -> Result<usize, Violation> {
        if alias == 0 || alias > self.maximum {
            return Err(Violation::TopicAliasAboveMaximum);
        }
        Ok(usize::from(alias) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_the_topic_last_set() {
        let mut aliases = Aliases::new(2);
        assert_eq!(aliases.topic(1), Err(Violation::UnknownTopicAlias));
        aliases.set(1, "a").unwrap();
        aliases.set(1, "b").unwrap();
        assert_eq!(aliases.topic(1), Ok("b"));
    }

    #[test]
    fn zero_and_more_than_the_maximum_are_refused() {
        let mut aliases = Aliases::new(2);
        assert_eq!(aliases.set(0, "a"), Err(Violation::TopicAliasAboveMaximum));
        assert_eq!(aliases.set(3, "a"), Err(Violation::TopicAliasAboveMaximum));
    }
}
