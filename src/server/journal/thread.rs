//! The journal's thread: waits, lets the keeper work, and carries away what came of it.
//!
//! It reports to a shard as a letter comes: into its mailbox, and the shard is stepped at once when
//! it is idle. Where many acknowledgements go out, the shard's own thread is woken instead, so
//! that the next sync and they go on side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::inbox::{Request, Taken};
use super::keeper::{Keeper, Outcome};
use super::loads::weight;
use super::{Journal, no_backup};
use crate::broker::{Now, Storing};
use crate::server::cell::Cell;
use crate::server::clock::Clock;
use crate::server::errands::Errands;
use crate::server::mailbox::Mail;
use crate::server::shared::Shared;
use crate::store::StoreError;

/// Records of one shard in one commit above which its own thread goes on with them.
const STEP_RECORDS_MAX: usize = 64;
/// Between two looks at the store's sizes while it is never idle.
const USAGE_MS: u64 = 1000;

/// The body of the journal's thread.
pub(in crate::server) fn run(shared: &Arc<Shared>, journal: &Journal, keeper: Keeper) {
    let turn = AssertUnwindSafe(|| Thread::new(shared, journal, keeper).turn_until_ended());
    if catch_unwind(turn).is_err() {
        // What the panic said is on stderr already. Whoever learns of it finds no heartbeat any more.
        journal.broken.store(true, Ordering::Release);
        shared.commons.set_storing(Storing::Failed);
        let reason = "the thread of the journal ended by a panic";
        journal.board.note_state(Storing::Failed, Some(reason.to_owned()), Clock::now().unix_ms);
        tracing::error!(target: "mqttd", "the thread of the journal ended by a panic: nothing is \
            kept or acknowledged any more, and the service needs a restart");
    }
    journal.inbox.close();
}

struct Thread<'s> {
    shared: &'s Shared,
    journal: &'s Journal,
    keeper: Keeper,
    errands: Errands,
    /// When the store's sizes were last looked at.
    looked_ms: u64,
}

impl<'s> Thread<'s> {
    fn new(shared: &'s Shared, journal: &'s Journal, keeper: Keeper) -> Self {
        let errands = Errands::default();
        Self { shared, journal, keeper, errands, looked_ms: 0 }
    }

    fn turn_until_ended(mut self) {
        let mut taken = Taken::default();
        loop {
            let now = Clock::now();
            let until = self.keeper.deadline();
            let wait_ms = until.map(|until_ms| until_ms.saturating_sub(now.ticks_ms));
            // Before it sleeps, and now and then when it never does.
            if wait_ms != Some(0) || now.ticks_ms >= self.looked_ms + USAGE_MS {
                self.look(now);
            }
            let wait = wait_ms.map(Duration::from_millis);
            self.journal.inbox.wait(wait, self.keeper.wakes(), &mut taken);
            let now = Clock::now();
            self.keeper.sync_delay_ms_max = self.journal.sync_delay_ms_max.load(Ordering::Relaxed);
            self.keeper.take(&mut taken.batch, &mut taken.loads, now);
            let flushes = taken.requests.iter().any(|it| matches!(it, Request::Flush(_)));
            self.keeper.work(now, flushes || taken.ended);
            self.tell(now);
            self.deliver(taken.ended);
            for request in taken.requests.drain(..) {
                self.serve(request);
            }
            if taken.ended {
                return self.close();
            }
            self.keeper.tidy(now);
            self.tell(now);
        }
    }

    /// The shards' threads have ended: what is not written by now never will be.
    fn close(self) {
        let lost = self.keeper.waiting();
        if lost > 0 {
            tracing::error!(target: "mqttd", records = lost,
                "the store took not all that was to be kept; none of it was acknowledged");
        }
    }

    /// Puts up how large the store is.
    fn look(&mut self, now: Now) {
        self.looked_ms = now.ticks_ms;
        let latency = &self.keeper.latency;
        let percentiles_us = (latency.percentile_us(50), latency.percentile_us(99));
        let usage = self.keeper.usage();
        self.shared.commons.set_stored_queue_bytes(usage.queue_bytes);
        self.journal.board.note_usage(&usage, percentiles_us, now);
    }

    /// State and errors: to the shards, to operators, into the log.
    fn tell(&mut self, now: Now) {
        let board = &self.journal.board;
        let Outcome { changed, errors, unread, damaged, committed_unix_ms, .. } =
            &mut self.keeper.outcome;
        if let Some(unix_ms) = committed_unix_ms.take() {
            board.note_commit(unix_ms);
        }
        let changed = changed.take();
        let reason = errors.last().map(ToString::to_string);
        let was = self.shared.commons.storing();
        if let Some(storing) = changed {
            self.shared.commons.set_storing(storing);
            board.note_state(storing, reason.filter(|_| storing != Storing::Well), now.unix_ms);
        }
        for error in errors.drain(..) {
            board.count_failure();
            tell_failure(&error, was, self.shared);
        }
        for error in unread.drain(..) {
            board.count_failure();
            if let Some(left_out) = self.shared.throttles.store.admit() {
                tracing::error!(target: "mqttd", reason = %error, left_out,
                    "a message that waits for a client cannot be read, and is tried again");
            }
        }
        for error in damaged.drain(..) {
            board.count_damaged();
            if let Some(left_out) = self.shared.throttles.store.admit() {
                tracing::error!(target: "mqttd", reason = %error, left_out,
                    "a message that waits for a client is damaged, and left out");
            }
        }
        if changed == Some(Storing::Well) && was != Storing::Well {
            tracing::warn!(target: "mqttd",
                "the store works again: what waited for it is kept and acknowledged");
        }
    }

    /// Reports to the shards, with no shard held.
    fn deliver(&mut self, ended: bool) {
        let outcome = &mut self.keeper.outcome;
        let roomy = self
            .journal
            .inbox
            .release(std::mem::take(&mut outcome.freed_bytes), &mut outcome.empty);
        let (durable, loaded) =
            (std::mem::take(&mut outcome.durable), std::mem::take(&mut outcome.loaded));
        if ended {
            return;
        }
        let cells = &self.shared.cells;
        for (shard, (ticket, records)) in durable {
            let number = usize::from(shard);
            cells[number].mailbox.post(Mail::Durable(ticket));
            if records > STEP_RECORDS_MAX {
                cells[number].wake();
            } else {
                self.errands.visit(number);
            }
        }
        for (shard, loaded) in loaded {
            // A shard that does not keep up is waited for, as by the senders of letters.
            let weight = usize::try_from(weight(&loaded)).unwrap_or(usize::MAX);
            cells[usize::from(shard)].mailbox.post_heavy(Mail::Loaded(loaded), weight);
            self.errands.visit(usize::from(shard));
        }
        if roomy {
            cells.iter().for_each(Cell::wake);
        }
        let errands = &mut self.errands;
        let run = AssertUnwindSafe(|| errands.run(self.shared));
        if catch_unwind(run).is_err() {
            // The shard is not stepped any more, and its own thread says so; the others go on.
            self.errands = Errands::default();
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            // That nobody waits for the answer any more is nothing to us.
            Request::Flush(sender) => drop(sender.send(())),
            Request::Backup { file, begun } => {
                let outcome = if self.keeper.is_open() {
                    self.keeper.store().begin_backup(&file)
                } else {
                    Err(no_backup(&file, "the store has failed and is being opened anew"))
                };
                let _ = begun.send(outcome);
            }
            Request::Look { mids, seen } => {
                let _ = seen.send(self.keeper.look(&mids, Clock::now()));
            }
        }
    }
}

fn tell_failure(error: &StoreError, was: Storing, shared: &Shared) {
    let is_full = matches!(error, StoreError::Full { .. });
    // Tried again each second, which nobody needs to read.
    if is_full && was == Storing::Full {
        return;
    }
    let Some(left_out) = shared.throttles.store.admit() else { return };
    if is_full {
        tracing::error!(target: "mqttd", reason = %error, left_out, "the store is full: what is \
            to be kept is not acknowledged until there is space");
    } else {
        tracing::error!(target: "mqttd", reason = %error, left_out, "the store failed: what is to \
            be kept is not acknowledged until it works again");
    }
}
