//! What waits for a shard while somebody else holds it: letters of other shards, new connections,
//! reports of the journal.
//!
//! First in, first out. A letter is posted while the shard it comes from is still held, so that
//! letters of one shard never overtake each other. The lock here is a leaf: nothing else is taken
//! while it is held.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::arrival::Arrival;
use crate::broker::{Letter, Loaded};

/// Empty letters kept for their buffers, a mailbox.
const SPARE_MAX: usize = 8;
/// A letter that was heavier served a burst, and its buffers go back to the allocator.
const SPARE_WEIGHT_MAX: usize = 1024 * 1024;

/// Something for a shard.
#[derive(Debug)]
pub(super) enum Mail {
    /// From another shard.
    Letter(Letter),
    /// From the lobby.
    Arrival(Box<Arrival>),
    /// From the journal: all records up to this ticket are kept.
    Durable(u64),
    /// From the journal: messages that were asked for.
    Loaded(Loaded),
}

/// A shard's mailbox.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    mail: Vec<Mail>,
    /// Bytes of the letters and of what came from the disk.
    weight: usize,
    spare: Vec<Letter>,
}

impl Mailbox {
    /// Posts a letter and leaves an empty one in its place.
    pub(super) fn post_letter(&self, letter: &mut Letter) {
        let weight = letter.weight();
        let mut content = self.content();
        let empty = content.spare.pop().unwrap_or_default();
        content.mail.push(Mail::Letter(std::mem::replace(letter, empty)));
        content.weight += weight;
    }

    /// Posts something that is no letter.
    pub(super) fn post(&self, mail: Mail) {
        self.post_heavy(mail, 0);
    }

    /// The same for something of so many bytes.
    pub(super) fn post_heavy(&self, mail: Mail, weight: usize) {
        let mut content = self.content();
        content.mail.push(mail);
        content.weight += weight;
    }

    /// Whether nothing waits.
    ///
    /// Who lets go of a shard calls this afterwards, who posts tries to take the shard afterwards.
    /// As both go through the lock here, one of the two sees the other: no mail is left lying.
    pub(super) fn is_empty(&self) -> bool {
        self.content().mail.is_empty()
    }

    /// Bytes of what waits.
    pub(super) fn weight(&self) -> usize {
        self.content().weight
    }

    /// Moves all mail into `mail`, which is empty.
    pub(super) fn empty_into(&self, mail: &mut Vec<Mail>) {
        let mut content = self.content();
        std::mem::swap(&mut content.mail, mail);
        content.weight = 0;
    }

    /// Gives back a letter that was read, for its buffers; `weight` is what it weighed.
    pub(super) fn give_back(&self, letter: Letter, weight: usize) {
        if weight > SPARE_WEIGHT_MAX {
            return;
        }
        let mut content = self.content();
        if content.spare.len() < SPARE_MAX {
            content.spare.push(letter);
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
