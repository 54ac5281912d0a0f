//! What the store knows in memory: which messages lie on which shelf, how many recipients each has
//! left, which one is retained for which topic. Pure bookkeeping; no SQL here.
//!
//! A batch is taken in before it is written, which decides what needs writing at all. When writing
//! fails, [`Books::undo`] leaves no trace of it.

use std::collections::VecDeque;

use super::census::{Census, Entry, Totals};
use super::topics::{Claim, Key, Topics};
use crate::broker::{Record, Records, StoredMessage};

/// Names are taken from the mark in steps so large, so that the mark is seldom written.
const MID_STEP: u64 = 1 << 20;
const SID_STEP: u64 = 1 << 16;
/// Messages accepted so close to one another may be written in another order.
const DISORDER_MIDS: u64 = if cfg!(test) { 32 } else { 1 << 16 };

/// A table of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    /// Messages that sessions wait for.
    Log,
    /// Messages that were retained when they were written; sessions may wait for them too.
    Retained,
}

/// Bounds that no name has reached yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) mid: u64,
    pub(super) sid: u64,
}

/// A note that a topic has no retained message since a point in the order of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tomb {
    /// The key of its row.
    pub(super) seq: u64,
    pub(super) mid: u64,
    pub(super) topic: Key,
    pub(super) bytes: u64,
}

/// A change that can be taken back.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
enum Step {
    Put { shelf: Shelf, mid: u64, before: Option<Entry> },
    Released { shelf: Shelf, mid: u64 },
    Unclaimed { mid: u64 },
    Topic { topic: Key, before: Option<Claim> },
}

#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Books {
    log: Census,
    retained: Census,
    pub(super) topics: Topics,
    pub(super) tombs: VecDeque<Tomb>,
    tomb_bytes: u64,
    pub(super) next_seq: u64,
    pub(super) marks: Marks,
    /// The highest of the batch.
    highest: Marks,
    /// The highest that was written; after a start the mark.
    pub(super) last_mid: u64,
    steps: Vec<Step>,
}

impl Books {
    pub(super) const fn census(&self, shelf: Shelf) -> &Census {
        match shelf {
            Shelf::Log => &self.log,
            Shelf::Retained => &self.retained,
        }
    }

    pub(super) const fn census_mut(&mut self, shelf: Shelf) -> &mut Census {
        match shelf {
            Shelf::Log => &mut self.log,
            Shelf::Retained => &mut self.retained,
        }
    }

    pub(super) const fn log(&self) -> Totals {
        self.log.totals()
    }

    pub(super) const fn retained(&self) -> Totals {
        self.retained.totals()
    }

    /// Bytes of rows that say that something is gone.
    pub(super) const fn tomb_bytes(&self) -> u64 {
        self.tomb_bytes
    }

    /// Takes in a batch that is about to be written; [`Self::settle`] or [`Self::undo`] follows.
    pub(super) fn take_in(&mut self, batch: &[Records]) {
        self.steps.clear();
        self.highest = Marks::default();
        let mut dones = 0_usize;
        for record in batch.iter().flat_map(Records::iter) {
            match record {
                Record::Message { mid, recipients, retained, envelope, body } => {
                    let bytes = envelope.len() + body.len();
                    let topic = if retained { StoredMessage::topic(body) } else { None };
                    self.accept(mid.get(), recipients, topic, bytes as u64);
                }
                Record::RetainedGone { mid, topic } => self.clear_topic(mid.get(), topic),
                Record::Done { mid } => {
                    dones += 1;
                    self.note_mid(mid.get());
                }
                Record::Session { sid, .. } => self.highest.sid = self.highest.sid.max(sid.get()),
                Record::Sent { mid, .. } => self.note_mid(mid.get()),
                Record::Position { cursor, .. } => self.note_mid(cursor),
                Record::SessionEnded { .. }
                | Record::Subscribed { .. }
                | Record::Unsubscribed { .. }
                | Record::Received { .. }
                | Record::Released { .. } => {}
            }
        }
        if dones == 0 {
            return;
        }
        // Behind all messages, since the records of one shard do not follow those of another.
        for record in batch.iter().flat_map(Records::iter) {
            if let Record::Done { mid } = record {
                self.release(mid.get());
            }
        }
    }

    fn note_mid(&mut self, mid: u64) {
        self.highest.mid = self.highest.mid.max(mid);
    }

    fn accept(&mut self, mid: u64, recipients: u32, topic: Option<&str>, bytes: u64) {
        self.note_mid(mid);
        let claimed = topic.is_some_and(|topic| self.hold(mid, topic));
        if !claimed && recipients == 0 {
            return;
        }
        let shelf = if claimed { Shelf::Retained } else { Shelf::Log };
        let before = self.census_mut(shelf).put(mid, recipients, claimed, bytes);
        self.steps.push(Step::Put { shelf, mid, before });
    }

    /// Makes a message the retained one of its topic, unless there is a later one.
    fn hold(&mut self, mid: u64, topic: &str) -> bool {
        self.advance(topic, Claim::Held(mid))
    }

    fn clear_topic(&mut self, mid: u64, topic: &str) {
        self.note_mid(mid);
        self.advance(topic, Claim::Gone(mid));
    }

    fn advance(&mut self, topic: &str, claim: Claim) -> bool {
        let topic = self.topics.key(topic);
        let Ok(before) = self.topics.advance(topic, claim) else { return false };
        self.steps.push(Step::Topic { topic, before });
        if let Some(Claim::Held(mid)) = before
            && self.retained.claim(mid, false)
        {
            self.steps.push(Step::Unclaimed { mid });
        }
        true
    }

    fn release(&mut self, mid: u64) {
        for shelf in [Shelf::Log, Shelf::Retained] {
            if self.census_mut(shelf).release(mid) {
                self.steps.push(Step::Released { shelf, mid });
                return;
            }
        }
    }

    /// Where a message of the batch is to be written; `None` when it needs no writing.
    pub(super) fn shelf(&self, mid: u64, retained: bool) -> Option<Shelf> {
        if self.log.is_live(mid) {
            return Some(Shelf::Log);
        }
        (retained && self.retained.is_live(mid)).then_some(Shelf::Retained)
    }

    /// Whether the batch says last of a topic that its retained message is gone.
    pub(super) fn is_gone(&self, mid: u64, topic: Key) -> bool {
        self.topics.claim(topic) == Some(Claim::Gone(mid))
    }

    /// The marks that have to be written with the batch.
    pub(super) const fn raised_marks(&self) -> Marks {
        const fn raised(mark: u64, highest: u64, step: u64) -> u64 {
            if highest > mark { highest.saturating_add(step) } else { mark }
        }
        Marks {
            mid: raised(self.marks.mid, self.highest.mid, MID_STEP),
            sid: raised(self.marks.sid, self.highest.sid, SID_STEP),
        }
    }

    /// The batch is written.
    pub(super) fn settle(&mut self, marks: Marks, tombs: Vec<Tomb>) {
        self.marks = marks;
        self.last_mid = self.last_mid.max(self.highest.mid);
        self.next_seq += tombs.len() as u64;
        self.tomb_bytes += tombs.iter().map(|tomb| tomb.bytes).sum::<u64>();
        self.tombs.extend(tombs);
        let mut steps = std::mem::take(&mut self.steps);
        for step in steps.drain(..) {
            if let Step::Put { shelf, mid, before: None } = step
                && !self.census(shelf).is_live(mid)
            {
                self.census_mut(shelf).restore(mid, None);
            }
        }
        self.steps = steps;
    }

    /// The batch is not written.
    pub(super) fn undo(&mut self) {
        for step in std::mem::take(&mut self.steps).into_iter().rev() {
            match step {
                Step::Put { shelf, mid, before } => {
                    self.census_mut(shelf).restore(mid, before);
                }
                Step::Released { shelf, mid } => self.census_mut(shelf).regain(mid),
                Step::Unclaimed { mid } => {
                    self.retained.claim(mid, true);
                }
                Step::Topic { topic, before } => {
                    self.topics.set(topic, before);
                }
            }
        }
    }

    /// The last of the notes that nothing written from now on can contradict.
    pub(super) fn settled_tombs(&self) -> Option<u64> {
        let settled = self.last_mid.saturating_sub(DISORDER_MIDS);
        let settled = self.tombs.iter().take_while(|tomb| tomb.mid <= settled);
        settled.last().map(|tomb| tomb.seq)
    }

    /// Forgets notes up to one: no message that they are about is left on any shelf.
    pub(super) fn forget_tombs(&mut self, upto: u64) {
        while let Some(tomb) = self.tombs.front().copied().filter(|tomb| tomb.seq <= upto) {
            self.tombs.pop_front();
            self.tomb_bytes -= tomb.bytes;
            if self.is_gone(tomb.mid, tomb.topic) {
                self.topics.set(tomb.topic, None);
            }
        }
    }

    /// Adds a note that was read.
    pub(super) fn bury(&mut self, tomb: Tomb) {
        self.next_seq = self.next_seq.max(tomb.seq + 1);
        self.tomb_bytes += tomb.bytes;
        self.tombs.push_back(tomb);
        let _ = self.topics.advance(tomb.topic, Claim::Gone(tomb.mid));
    }

    /// A message that is retained no more was moved to the other shelf.
    pub(super) fn move_to_log(&mut self, mid: u64) {
        let entry = self.retained.restore(mid, None);
        self.log.restore(mid, entry);
    }
}
