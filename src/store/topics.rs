//! Which message is the retained one of each topic: in memory, by a hash of the topic.
//!
//! Two seeded 64-bit hashes together stand for the topic, so the topics themselves need not be kept
//! once more. A topic whose retained message is gone stays known for a while, since a message that
//! was accepted before may be written after.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// A topic.
pub(super) type Key = [u64; 2];

/// The latest that was said of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// This is its retained message.
    Held(u64),
    /// It had none any more at this point.
    Gone(u64),
}

#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Topics {
    claims: HashMap<Key, Claim, foldhash::fast::FixedState>,
    seeds: [RandomState; 2],
}

impl Claim {
    pub(super) const fn mid(self) -> u64 {
        match self {
            Self::Held(mid) | Self::Gone(mid) => mid,
        }
    }
}

impl Topics {
    pub(super) fn key(&self, topic: &str) -> Key {
        self.seeds.each_ref().map(|seed| seed.hash_one(topic.as_bytes()))
    }

    pub(super) fn claim(&self, key: Key) -> Option<Claim> {
        self.claims.get(&key).copied()
    }

    /// Says something of a topic; returns what was said before.
    pub(super) fn set(&mut self, key: Key, claim: Option<Claim>) -> Option<Claim> {
        match claim {
            Some(claim) => self.claims.insert(key, claim),
            None => self.claims.remove(&key),
        }
    }

    /// Puts a later claim in the place of an earlier one, which is returned; `Err` when what is
    /// known is later.
    pub(super) fn advance(&mut self, key: Key, claim: Claim) -> Result<Option<Claim>, ()> {
        let known = self.claim(key);
        let is_later = match (known, claim) {
            (None, _) => true,
            (Some(Claim::Held(known)), Claim::Gone(mid)) => known <= mid,
            (Some(known), claim) => known.mid() < claim.mid(),
        };
        if is_later { Ok(self.set(key, Some(claim))) } else { Err(()) }
    }
}
