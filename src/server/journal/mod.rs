//! The journal: what shards leave for the disk is written by one thread, and what waited for it
//! goes out afterwards.
//!
//! ```text
//! hall ── records, loads ──► inbox ──► thread ── keeper ──► store
//!   ▲                                    │
//!   └──── mailbox ◄── durable, loaded ───┘        board ──► status, counters
//! ```
//!
//! All that comes while one commit is under way is the next one, so that syncs are shared by as many
//! as wait for them, and nobody waits for company. When the store fails nothing is acknowledged that
//! is not kept: what is pending is written anew once it works again.
//!
//! What it does not do: understand records, or decide what is kept (the shards do).

mod batch;
mod inbox;
mod keeper;
mod latency;
mod loads;
#[cfg(test)]
mod tests;
mod thread;
mod view;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

pub use view::StoreView;

pub(super) use keeper::Keeper;
pub(super) use thread::run;

use super::clock::Clock;
use crate::broker::{Mid, Stats, StoredMessage, Trays};
use crate::store::StoreError;
use inbox::{Inbox, Request};
use view::Board;

/// What the journal's thread and the others share.
#[derive(Debug)]
pub(super) struct Journal {
    inbox: Inbox,
    board: Board,
    /// The least time between two syncs.
    sync_delay_ms_max: AtomicU64,
    /// The thread ended by a panic.
    broken: AtomicBool,
}

impl Journal {
    pub(super) fn new(sync_delay_ms_max: u64) -> Self {
        Self {
            inbox: Inbox::default(),
            board: Board::new(Clock::now()),
            sync_delay_ms_max: AtomicU64::new(sync_delay_ms_max),
            broken: AtomicBool::new(false),
        }
    }

    /// Takes records and loads out of the trays of a shard that is held, before its letters are
    /// posted.
    pub(super) fn take_in(&self, shard: u16, trays: &mut Trays) {
        self.inbox.take_in(shard, trays);
    }

    /// Whether those who bring more are not to be read.
    pub(super) fn is_crowded(&self) -> bool {
        self.inbox.is_crowded()
    }

    pub(super) fn set_sync_delay_ms_max(&self, ms: u64) {
        self.sync_delay_ms_max.store(ms, Ordering::Relaxed);
    }

    /// Whether the thread ended by a panic: what was to be kept never will be.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Has everything written that waits now, and waits for it, `limit` at most.
    pub(super) fn flush(&self, limit: Duration) {
        let (sender, flushed) = mpsc::channel();
        self.inbox.ask(Request::Flush(sender));
        // Late or gone: whoever stops goes on in both cases.
        let _ = flushed.recv_timeout(limit);
    }

    /// No more will come: the rest is written, the store closed, and the thread ends.
    pub(super) fn end(&self) {
        self.inbox.end();
    }

    pub(super) fn backup(
        &self,
        file: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), StoreError> {
        let (begun, beginning) = mpsc::channel();
        self.inbox.ask(Request::Backup { file: file.to_owned(), begun });
        let gone = "the broker stops, or its journal has failed";
        beginning.recv().unwrap_or_else(|_| Err(no_backup(file, gone)))?.write(progress)
    }

    /// Reads messages; `None` where one is not there any more.
    pub(super) fn look(&self, mids: &[Mid]) -> Vec<Option<StoredMessage>> {
        let (seen, looking) = mpsc::channel();
        self.inbox.ask(Request::Look { mids: mids.to_vec(), seen });
        looking.recv().unwrap_or_else(|_| vec![None; mids.len()])
    }

    pub(super) fn view(&self) -> StoreView {
        self.board.view(self.inbox.waiting_bytes(), Clock::now())
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.board.add_to(&mut stats);
        stats.set("store.waiting_bytes", self.inbox.waiting_bytes());
        stats.set("store.pauses", self.inbox.pauses());
        stats
    }
}

/// A copy that cannot be begun.
pub(super) fn no_backup(file: &Path, reason: &str) -> StoreError {
    let (doing, path) = ("cannot back up into", file.to_owned());
    StoreError::Failed { doing, path, reason: reason.to_owned() }
}
