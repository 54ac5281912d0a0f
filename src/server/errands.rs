//! What is left to do once a shard is let go: step the shards that have mail, and log.
//!
//! An idle shard is stepped by whoever has a letter for it; waking its thread instead costs twice
//! the CPU a message at low rates and gains nothing under load. A busy one keeps the letter in its
//! mailbox, and its holder looks there after letting go. Too much mail, and the sender waits for
//! the shard and works it off itself: it does not read meanwhile, so pressure reaches the
//! publishers, and never stops a step.

use super::cell::Cell;
use super::clock::Clock;
use super::events;
use super::shared::Shared;
use crate::broker::{Event, Trays};

/// Bytes in a mailbox above which the sender waits for the shard.
const MAILBOX_BYTES_HIGH: usize = 1024 * 1024;
/// Steps of one visit, lest a visitor never come home; the shard's thread goes on.
const STEPS_MAX: usize = 4;

/// One thread's errands; kept for its buffers.
#[derive(Debug, Default)]
pub(super) struct Errands {
    visits: Vec<usize>,
    events: Vec<Event>,
    events_lost: u64,
}

impl Errands {
    /// Shard `number` has mail.
    pub(super) fn visit(&mut self, number: usize) {
        if !self.visits.contains(&number) {
            self.visits.push(number);
        }
    }

    pub(super) fn take_events(&mut self, trays: &mut Trays) {
        if self.events.len() < Trays::EVENTS_MAX {
            self.events.append(&mut trays.events);
        } else {
            self.events_lost += trays.events.len() as u64;
            trays.events.clear();
        }
        self.events_lost += std::mem::take(&mut trays.events_lost);
    }

    /// Runs them all. No shard may be held.
    pub(super) fn run(&mut self, shared: &Shared) {
        while let Some(number) = self.visits.pop() {
            self.step(&shared.cells[number], shared);
        }
        if !self.events.is_empty() || self.events_lost > 0 {
            events::tell(&mut self.events, std::mem::take(&mut self.events_lost), shared);
        }
    }

    /// Steps a shard until its mailbox is empty or somebody else holds it.
    fn step(&mut self, cell: &Cell, shared: &Shared) {
        for _ in 0..STEPS_MAX {
            if cell.mailbox.is_empty() {
                return;
            }
            if cell.is_broken() {
                return cell.discard_mail();
            }
            let free = cell.try_enter();
            let crowded = || cell.mailbox.weight() > MAILBOX_BYTES_HIGH;
            let Some(mut hall) = free.or_else(|| crowded().then(|| cell.enter())) else {
                return;
            };
            let now = Clock::now();
            hall.begin(cell, shared, now);
            hall.settle(shared, self, now);
            let wake = hall.must_wake();
            drop(hall);
            if wake {
                cell.wake();
            }
        }
        if !cell.mailbox.is_empty() {
            cell.wake();
        }
    }
}
