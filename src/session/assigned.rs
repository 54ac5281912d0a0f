//! Topic Aliases the server sets towards a client (section 3.3.2.3.4 of 5.0).
//!
//! They live as long as the network connection, and exist only where the client's Topic Alias
//! Maximum allows them. A topic gets a free alias when it is first sent. Once all are taken, a
//! topic that is sent for the second time may have the alias of one that has not been sent since
//! the hand of the clock last passed it; the hand makes one step at a time. So topics that are
//! sent often keep their aliases, topics that are sent once cost the client no byte, and a message
//! costs the server one look-up and one step at most.
//!
//! What it does not do: encode anything, or decide whether a packet fits its receiver.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

/// How a PUBLISH names its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By the Topic Name alone.
    Topic,
    /// By the Topic Name, which this alias stands for from now on.
    Set(u16),
    /// By an alias that was set; the Topic Name is empty.
    Alias(u16),
}

/// Topic Name → alias, for one connection.
#[derive(Debug)]
pub struct AssignedAliases {
    maximum: u16,
    by_topic: HashMap<Arc<str>, u16, FixedState>,
    /// Index 0 is alias 1; grows with the topics sent.
    entries: Vec<Entry>,
    /// The entry to be looked at next when all aliases are taken.
    hand: usize,
    /// Of topics that were sent without an alias: marks, each in the place its hash says. Empty
    /// until all aliases are taken.
    marks: Vec<u32>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    topic: Arc<str>,
    /// Sent by its alias since the hand passed.
    used: bool,
}

impl AssignedAliases {
    /// `maximum` is the smaller of the client's Topic Alias Maximum `[MQTT-3.1.2-26]` and the
    /// server's own bound `[MQTT-3.3.2-11]`, and not 0; `hash_seed` is to be unpredictable where topics come from
    /// strangers.
    #[must_use]
    pub fn new(maximum: u16, hash_seed: u64) -> Self {
        Self {
            maximum,
            by_topic: HashMap::with_hasher(FixedState::with_seed(hash_seed)),
            entries: Vec::new(),
            hand: 0,
            marks: Vec::new(),
            bytes: 0,
        }
    }

    /// How the next PUBLISH on `topic` names it; [`Naming::Set`] is to be followed by
    /// [`Self::set`] when the packet is sent. Without `may_set`, no alias is set.
    pub fn choose(&mut self, topic: &str, may_set: bool) -> Naming {
        if topic.len() <= PROPERTY_BYTES {
            return Naming::Topic; // The packet would not be smaller.
        }
        if let Some(&alias) = self.by_topic.get(topic) {
            if let Some(entry) = self.entries.get_mut(usize::from(alias) - 1) {
                entry.used = true;
            }
            return Naming::Alias(alias);
        }
        if !may_set {
            return Naming::Topic;
        }
        if self.entries.len() < usize::from(self.maximum) {
            return Naming::Set(number(self.entries.len()));
        }
        if self.is_new(topic) { Naming::Topic } else { self.turn() }
    }

    /// The alias stands for the topic from now on.
    pub fn set(&mut self, alias: u16, topic: &str) {
        let topic: Arc<str> = topic.into();
        self.bytes += topic.len() + ENTRY_BYTES;
        self.by_topic.insert(Arc::clone(&topic), alias);
        let entry = Entry { topic, used: false };
        match self.entries.get_mut(usize::from(alias) - 1) {
            Some(place) => {
                let replaced = std::mem::replace(place, entry);
                self.by_topic.remove(&replaced.topic);
                self.bytes -= replaced.topic.len() + ENTRY_BYTES;
            }
            None => self.entries.push(entry),
        }
    }

    /// Memory it takes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// One step of the hand: an alias nobody used since it last passed, or none.
    fn turn(&mut self) -> Naming {
        let at = self.hand;
        self.hand = (at + 1) % self.entries.len();
        if std::mem::take(&mut self.entries[at].used) {
            Naming::Topic
        } else {
            Naming::Set(number(at))
        }
    }

    /// Whether a topic without an alias is sent for the first time, as far as is remembered.
    fn is_new(&mut self, topic: &str) -> bool {
        if self.marks.is_empty() {
            self.marks = vec![0; self.entries.len()];
            self.bytes += self.marks.len() * size_of::<u32>();
        }
        let [a, b, c, d, e, f, g, h] = self.by_topic.hasher().hash_one(topic).to_le_bytes();
        // 0 marks nothing.
        let mark = u32::from_le_bytes([a, b, c, d]) | 1;
        let place = u32::from_le_bytes([e, f, g, h]) as usize % self.marks.len();
        std::mem::replace(&mut self.marks[place], mark) != mark
    }
}

/// Bytes of the property on the wire.
const PROPERTY_BYTES: usize = 3;
/// Of one alias beside its topic: its places in the list and the table, and the head of an
/// allocation.
const ENTRY_BYTES: usize = 80;

/// The alias of an index.
fn number(index: usize) -> u16 {
    u16::try_from(index + 1).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes over the wire, as the codec writes it.
    fn send(aliases: &mut AssignedAliases, topic: &str) -> Naming {
        let naming = aliases.choose(topic, true);
        if let Naming::Set(alias) = naming {
            aliases.set(alias, topic);
        }
        naming
    }

    #[test]
    fn a_topic_is_named_once_and_then_by_its_alias() {
        let mut aliases = AssignedAliases::new(2, 0);
        assert_eq!(send(&mut aliases, "long/a"), Naming::Set(1));
        assert_eq!(send(&mut aliases, "long/a"), Naming::Alias(1));
        assert_eq!(send(&mut aliases, "long/b"), Naming::Set(2));
        assert_eq!(send(&mut aliases, "a/b"), Naming::Topic, "an alias would save nothing");
        assert_eq!(send(&mut aliases, "long/a"), Naming::Alias(1));
    }

    #[test]
    fn topics_sent_once_cost_nothing_and_hot_ones_stay() {
        let mut aliases = AssignedAliases::new(2, 0);
        send(&mut aliases, "hot/1");
        send(&mut aliases, "hot/2");
        for number in 0..1000 {
            assert_eq!(send(&mut aliases, &format!("once/{number}")), Naming::Topic);
            assert_eq!(send(&mut aliases, "hot/1"), Naming::Alias(1));
            assert_eq!(send(&mut aliases, "hot/2"), Naming::Alias(2));
        }
    }

    #[test]
    fn a_topic_that_became_hot_gets_the_alias_of_one_that_is_not_any_more() {
        let mut aliases = AssignedAliases::new(2, 0);
        send(&mut aliases, "hot/1");
        send(&mut aliases, "old/2");
        let mut sent = 0;
        loop {
            send(&mut aliases, "hot/1");
            sent += 1;
            match send(&mut aliases, "new/3") {
                Naming::Topic => assert!(sent < 10),
                Naming::Set(alias) => break assert_eq!(alias, 2),
                Naming::Alias(alias) => panic!("{alias} was never set"),
            }
        }
        assert_eq!(send(&mut aliases, "hot/1"), Naming::Alias(1));
        assert_eq!(send(&mut aliases, "new/3"), Naming::Alias(2));
        assert_eq!(aliases.by_topic.len(), 2);
    }

    #[test]
    fn without_room_nothing_is_set() {
        let mut aliases = AssignedAliases::new(2, 0);
        assert_eq!(aliases.choose("long/a", false), Naming::Topic);
        send(&mut aliases, "long/a");
        assert_eq!(aliases.choose("long/a", false), Naming::Alias(1));
    }

    #[test]
    fn all_65_535_are_given_out_and_memory_is_counted() {
        let mut aliases = AssignedAliases::new(u16::MAX, 0);
        assert_eq!(aliases.bytes(), 0, "nothing is made before it is needed");
        for number in 1..=u16::MAX {
            assert_eq!(send(&mut aliases, &format!("topic/{number}")), Naming::Set(number));
        }
        let full = aliases.bytes();
        assert!(full > 65_535 * ENTRY_BYTES);
        assert_eq!(send(&mut aliases, "one more"), Naming::Topic);
        assert_eq!(send(&mut aliases, "one more"), Naming::Set(1));
        assert_eq!(send(&mut aliases, "topic/65535"), Naming::Alias(u16::MAX));
        assert!(aliases.bytes() < full + 65_535 * 4 + 100);
    }
}
