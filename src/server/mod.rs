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
mod linger;
mod lobby;
mod mailbox;
mod options;
mod partial;
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
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use anonymous::Anonymous;
pub use gate::ListenerView;
pub use incoming::{Incoming, ReadBuffer};
pub use options::{Options, StartError};

use crate::broker::{Commons, Now, Shard, Stats};
use clock::Clock;
use errands::Errands;
use shared::{Live, Shared};
use start::Threads;

/// Listening sockets kept from an earlier life. One whose address is wanted is used again, others
/// are closed.
pub type Inherited = Vec<TcpListener>;

/// A running server.
#[derive(Clone, Debug)]
pub struct Server {
    shared: Arc<Shared>,
    /// Gone once it is stopped.
    threads: Arc<Mutex<Option<Threads>>>,
}

impl Server {
    /// Starts a server; returns when every listener accepts.
    ///
    /// # Errors
    /// What could not be had. Nothing is left running then.
    pub fn start(options: Options, inherited: Inherited) -> Result<Self, StartError> {
        start::start(&options, inherited)
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
    /// `connections_max`, `connect_timeout_secs`, `directions`, `draining` and `sys_interval_secs`.
    /// The rest of `options` needs a restart. Connections that are up stay, unless the server
    /// drains.
    pub fn reconfigure(&self, options: &Options) {
        self.shared.commons.set_limits(options.limits.clone());
        self.shared.commons.set_directions(options.directions.clone());
        self.shared.partial.set_limits(&options.limits);
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
    /// the next. For a watchdog: a shard that hangs or has panicked turns no more.
    #[must_use]
    pub fn heartbeat(&self) -> bool {
        let mut all = true;
        for cell in &self.shared.cells {
            all &= cell.take_turned() && !cell.is_broken();
            cell.wake();
        }
        all
    }

    /// Stops: accepts nobody any more, tells 5.0 clients (DISCONNECT 0x8B, or where else to go),
    /// sends what the
    /// sockets take, and waits for the threads, all within `timeout`. `progress` is called now and
    /// then meanwhile. A second call does nothing.
    pub fn stop(&self, timeout: Duration, progress: impl FnMut()) {
        stop::stop(self, timeout, progress);
    }
}

impl Shared {
    fn all_stats(&self) -> Stats {
        let mut stats = self.commons.stats();
        let (mut bytes_sent, mut choked) = (0, 0);
        for cell in &self.cells {
            let hall = cell.enter();
            stats.add(&hall.shard.stats());
            bytes_sent += hall.bytes_sent;
            choked += hall.choked;
            drop(hall);
            // Whoever held a shard looks after the mail that came meanwhile.
            if !cell.mailbox.is_empty() {
                cell.wake();
            }
        }
        stats.set("bytes.sent", bytes_sent);
        stats.set("connections.choked", choked);
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
