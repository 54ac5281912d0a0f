//! The machine room: threads, sockets, the clock, mailboxes, the lobby.
//!
//! [`Server`] is the door; `daemon` starts and stops it, `admin` asks it. Inside:
//!
//! ```text
//! lobby ── greeting ──► arrival ──► mailbox ┐
//!                                           ▼
//! shard (a thread each) ── epoll ──► cell ─ hall ─ connection ──► broker::Shard
//!                                    lock   trays     sockets
//!                                           │
//! errands: other shards' mail, events ◄─────┘   linger: farewells
//!
//! journal (a thread): records of the shards ──► store, then reports to their mailboxes
//! ```
//!
//! What it does not do: decide anything about MQTT beyond the first packet (the shards do), read
//! configuration, know signals or systemd (`daemon` does).

mod anonymous;
mod arrival;
mod cell;
mod chance;
pub mod clock;
mod connection;
mod errands;
mod events;
mod gate;
mod greeting;
mod hall;
mod incoming;
mod journal;
mod linger;
mod lobby;
mod mailbox;
mod options;
mod partial;
mod recover;
mod shard;
mod shared;
mod start;
mod status;
mod stop;
#[cfg(test)]
pub(crate) mod tests;
mod throttle;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use anonymous::Anonymous;
pub use gate::ListenerView;
pub use incoming::{Incoming, ReadBuffer};
pub use journal::StoreView;
pub use options::{Keeping, Options, StartError};
pub use recover::Recovery;

use crate::broker::{Commons, Mid, Now, Shard, Stats, StoredMessage};
pub use crate::store::StoreError;
use clock::Clock;
use errands::Errands;
use journal::Journal;
use shared::{Live, Shared};
use start::Threads;

/// Sockets that have their addresses: bound before, or kept listening from an earlier life. One whose
/// address is wanted is used, others are closed.
pub type Inherited = Vec<TcpListener>;

/// A running server.
#[derive(Clone, Debug)]
pub struct Server {
    shared: Arc<Shared>,
    /// Gone once it is stopped.
    threads: Arc<Mutex<Option<Threads>>>,
}

impl Server {
    /// Starts a server that keeps nothing; returns when every listener accepts.
    ///
    /// # Errors
    /// What could not be had. Nothing is left running then.
    pub fn start(options: Options, inherited: Inherited) -> Result<Self, StartError> {
        start::start(&options, inherited, None)
    }

    /// The same with a store: what it kept is back before the first listener accepts, and what is
    /// acknowledged from then on is kept.
    ///
    /// # Errors
    /// What could not be had, or read. Nothing is left running then.
    pub fn start_keeping(
        options: Options,
        inherited: Inherited,
        keeping: Keeping<'_>,
    ) -> Result<Self, StartError> {
        start::start(&options, inherited, Some(keeping))
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shared.cells.len()
    }

    /// The home shard of a client.
    #[must_use]
    pub fn home(&self, client_id: &str) -> usize {
        self.shared.commons.home(client_id)
    }

    /// Asks a shard, or has it do something. Waits for its lock, which takes as long as a batch;
    /// what the answer leaves in its out-trays is carried away before this returns.
    ///
    /// # Panics
    /// If there is no such shard, and if the question panics.
    pub fn ask<R>(&self, shard: usize, question: impl FnOnce(&mut Shard, Now) -> R) -> R {
        let mut errands = Errands::default();
        let answer =
            self.shared.visit(shard, &mut errands, |hall, now| question(&mut hall.shard, now));
        errands.run(&self.shared);
        answer
    }

    /// What the shards share.
    #[must_use]
    pub fn commons(&self) -> &Commons {
        &self.shared.commons
    }

    /// The listening sockets.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerView> {
        self.shared.gates.iter().map(|gate| gate.view()).collect()
    }

    /// The listening sockets once more, under other descriptors and with their names, to be kept
    /// by somebody else over a restart.
    #[must_use]
    pub fn listening_sockets(&self) -> Vec<(String, OwnedFd)> {
        let named = |gate: &Arc<gate::Gate>| Some((gate.view().name, gate.descriptor()?));
        self.shared.gates.iter().filter_map(named).collect()
    }

    /// Counters and gauges of all shards, of what they share, and of the server.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.all_stats()
    }

    /// Puts in force what can change while the server runs: `limits`, `anonymous`,
    /// `connections_max`, `connect_timeout_secs`, `directions`, `draining`, `sys_interval_secs` and
    /// `sync_delay_ms_max`.
    /// The rest of `options` needs a restart. Connections that are up stay, unless the server
    /// drains.
    pub fn reconfigure(&self, options: &Options) {
        self.shared.commons.set_limits(options.limits.clone());
        self.shared.commons.set_directions(options.directions.clone());
        self.shared.partial.set_limits(&options.limits);
        if let Some(journal) = &self.shared.journal {
            journal.set_sync_delay_ms_max(options.sync_delay_ms_max);
        }
        let drained = self.shared.live().draining;
        self.shared.set_live(Live::of(options));
        if options.draining || drained {
            stop::drain(self, options.draining);
        }
        self.shared.sys_interval_secs.send_if_modified(|secs| {
            std::mem::replace(secs, options.sys_interval_secs) != options.sys_interval_secs
        });
    }

    /// Whether every shard's thread has turned since the last call; wakes them all to prove it by
    /// the next. For a watchdog: a shard that hangs or has panicked turns no more, and neither does
    /// a journal that has panicked. One that waits for a slow disk is no reason to end.
    #[must_use]
    pub fn heartbeat(&self) -> bool {
        let mut all = true;
        for cell in &self.shared.cells {
            all &= cell.take_turned() && !cell.is_broken();
            cell.wake();
        }
        all && self.shared.journal.as_ref().is_none_or(|journal| !journal.is_broken())
    }

    /// What an earlier life had kept; `None` when nothing is kept.
    #[must_use]
    pub fn recovery(&self) -> Option<Recovery> {
        self.shared.recovery
    }

    /// How it stands with what is kept.
    #[must_use]
    pub fn store_view(&self) -> StoreView {
        self.shared.journal.as_ref().map_or_else(StoreView::default, Journal::view)
    }

    /// Copies what is kept at this moment into a new file, which is complete when this returns, or
    /// absent. Blocks; others are served and kept meanwhile. `progress` is told now and then how
    /// many bytes are copied.
    ///
    /// # Errors
    /// The file is there already or cannot be written, or there is no store.
    pub fn backup(&self, file: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), StoreError> {
        match &self.shared.journal {
            Some(journal) => journal.backup(file, progress),
            None => Err(journal::no_backup(file, "nothing is kept")),
        }
    }

    /// Has all that is to be kept by now written to the disk, and waits for it, `limit` at most; how
    /// that went, [`Self::store_view`] says.
    pub fn flush(&self, limit: Duration) {
        if let Some(journal) = &self.shared.journal {
            journal.flush(limit);
        }
    }

    /// Reads messages that are kept; `None` where one is not there any more. Waits for the disk.
    #[must_use]
    pub fn stored(&self, mids: &[Mid]) -> Vec<Option<StoredMessage>> {
        match &self.shared.journal {
            Some(journal) => journal.look(mids),
            None => vec![None; mids.len()],
        }
    }

    /// Stops: accepts nobody any more, tells 5.0 clients (DISCONNECT 0x8B, or where else to go),
    /// sends what the sockets take, and waits for the threads, all within `timeout`; for the disk
    /// some seconds more. `progress` is called now and then meanwhile. A second call does nothing.
    pub fn stop(&self, timeout: Duration, progress: impl FnMut()) {
        stop::stop(self, timeout, progress);
    }

    /// Has [`Self::stop`], going on elsewhere, wait for no client any more, only for the disk.
    pub fn hurry(&self) {
        self.shared.hurry();
    }
}

impl Shared {
    fn all_stats(&self) -> Stats {
        let mut stats = self.commons.stats();
        let (mut bytes_sent, mut choked, mut paused) = (0, 0, 0);
        for cell in &self.cells {
            let hall = cell.enter();
            stats.add(&hall.shard.stats());
            bytes_sent += hall.bytes_sent;
            choked += hall.choked;
            paused += hall.paused();
            drop(hall);
            // Whoever held a shard looks after the mail that came meanwhile.
            if !cell.mailbox.is_empty() {
                cell.wake();
            }
        }
        stats.set("bytes.sent", bytes_sent);
        stats.set("connections.choked", choked);
        stats.set("connections.paused", paused);
        stats.add(&self.stats());
        stats
    }

    /// Holds a shard for one question, and empties its trays.
    fn visit<R>(
        &self,
        number: usize,
        errands: &mut Errands,
        question: impl FnOnce(&mut hall::Hall, Now) -> R,
    ) -> R {
        let cell = &self.cells[number];
        let mut hall = cell.enter();
        let now = Clock::now();
        hall.begin(cell, self, now);
        let answer = question(&mut hall, now);
        hall.settle(self, errands, now);
        let wake = hall.must_wake();
        drop(hall);
        if wake {
            cell.wake();
        }
        // Mail that came meanwhile.
        errands.visit(number);
        answer
    }
}
