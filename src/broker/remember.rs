//! Who gets the messages of a topic, remembered: publishers repeat their topics.
//!
//! An answer holds until the routes change. The table is emptied when it is full, which costs a
//! broker of ever new topics one look-up a message, as without it.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::Commons;
use super::routes::Matched;

/// Topics remembered by one shard; about 200 bytes each, and their names.
const TOPICS_MAX: usize = 16 * 1024;
/// Receivers remembered by one shard, over all topics; 32 bytes each.
const RECEIVERS_MAX: usize = 256 * 1024;
/// Bytes of the names of topics remembered by one shard: 256 each when there are as many as may be.
const NAMES_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Remembered {
    /// Topic → index into `matched`: one look-up serves a hit.
    topics: HashMap<Box<str>, usize, FixedState>,
    matched: Vec<Matched>,
    receivers: usize,
    names_bytes: usize,
    routes_serial: u64,
}

impl Remembered {
    pub(super) fn new(hash_seed: u64) -> Self {
        let topics = HashMap::with_hasher(FixedState::with_seed(hash_seed));
        Self { topics, matched: Vec::new(), receivers: 0, names_bytes: 0, routes_serial: 0 }
    }

    /// Everybody who gets messages of `topic`.
    pub(super) fn find(&mut self, topic: &str, commons: &Commons) -> &Matched {
        let routes_serial = commons.routes_serial();
        if routes_serial != self.routes_serial {
            self.forget();
            self.routes_serial = routes_serial;
        }
        let index = match self.topics.get(topic) {
            Some(index) => *index,
            None => self.remember(topic, commons.find(topic)),
        };
        &self.matched[index]
    }

    fn remember(&mut self, topic: &str, matched: Matched) -> usize {
        let receivers = matched.receivers.len() + matched.groups.len();
        if self.matched.len() >= TOPICS_MAX
            || self.receivers + receivers > RECEIVERS_MAX
            || self.names_bytes + topic.len() > NAMES_BYTES_MAX
        {
            self.forget();
        }
        self.receivers += receivers;
        self.names_bytes += topic.len();
        let index = self.matched.len();
        self.matched.push(matched);
        self.topics.insert(topic.into(), index);
        index
    }

    fn forget(&mut self) {
        self.topics.clear();
        self.matched.clear();
        self.receivers = 0;
        self.names_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Topic Names may be 64 KiB long, and a publisher may think of a new one for every message.
    #[test]
    fn long_names_are_not_remembered_without_end() {
        let mut remembered = Remembered::new(0);
        for number in 0..1000 {
            let topic = format!("{number:065535}");
            remembered.remember(&topic, Matched::default());
            let bytes: usize = remembered.topics.keys().map(|topic| topic.len()).sum();
            assert!(bytes <= NAMES_BYTES_MAX, "{bytes} bytes after {number}");
            assert_eq!(bytes, remembered.names_bytes);
            assert!(remembered.topics.contains_key(topic.as_str()), "the last is there");
        }
    }
}
