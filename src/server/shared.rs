//! What the threads of a server have in common.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::cell::Cell;
use super::chance::Chance;
use super::gate::Gate;
use super::journal::Journal;
use super::partial::Partial;
use super::recover::Recovery;
use super::throttle::Throttle;
use super::{Anonymous, Options};
use crate::broker::{Commons, Methods, Refusal, Stats};

/// Connections whose farewell is waited for at one time; others are closed without it.
const LINGERING_MAX: usize = 1024;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cells: Vec<Cell>,
    pub(super) commons: Arc<Commons>,
    pub(super) chance: Chance,
    pub(super) gates: Vec<Arc<Gate>>,
    pub(super) partial: Partial,
    pub(super) methods: Methods,
    pub(super) lobby: Handle,
    /// `None`: nothing is kept.
    pub(super) journal: Option<Journal>,
    /// What was kept when it started.
    pub(super) recovery: Option<Recovery>,
    /// Room for connections that have not sent their CONNECT yet.
    pub(super) connecting: Arc<Semaphore>,
    pub(super) connecting_max: usize,
    /// Room for farewells.
    pub(super) lingering: Arc<Semaphore>,
    pub(super) counts: Counts,
    pub(super) throttles: Throttles,
    live: RwLock<Live>,
    /// Seconds between two turns of the status, 0 = off.
    pub(super) sys_interval_secs: watch::Sender<u64>,
    stopping: AtomicBool,
    hurried: AtomicBool,
    ended: AtomicBool,
}

/// What can change while the server runs, apart from the broker's limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) anonymous: Anonymous,
    pub(super) connections_max: u64,
    pub(super) connect_timeout_secs: u64,
    /// Nobody is served any more: clients are sent to another server.
    pub(super) draining: bool,
}

/// Why connections did not get beyond the lobby.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) not_authorized: AtomicU64,
    pub(super) authentication: AtomicU64,
    pub(super) connections_max: AtomicU64,
    pub(super) store: AtomicU64,
    pub(super) other_refusal: AtomicU64,
    pub(super) redirected: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) timeout: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) accept_errors: AtomicU64,
    pub(super) events_lost: AtomicU64,
    /// Bytes and packets of the lobby, which no shard counts.
    pub(super) bytes_received: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) packets_received: AtomicU64,
    pub(super) packets_sent: AtomicU64,
    /// CONNECT packets, those that were refused included.
    pub(super) connects: AtomicU64,
}

/// The kinds of lines a flood could bring.
#[derive(Debug, Default)]
pub(super) struct Throttles {
    pub(super) anonymous: Throttle,
    pub(super) authentication: Throttle,
    pub(super) connections_max: Throttle,
    pub(super) turned_away: Throttle,
    pub(super) accept: Throttle,
    pub(super) violation: Throttle,
    pub(super) partial: Throttle,
    pub(super) dropping: Throttle,
    pub(super) store: Throttle,
    pub(super) unkept: Throttle,
}

/// What [`Shared`] is made of.
pub(super) struct Parts {
    pub(super) cells: Vec<Cell>,
    pub(super) commons: Arc<Commons>,
    pub(super) chance: Chance,
    pub(super) gates: Vec<Arc<Gate>>,
    pub(super) lobby: Handle,
    pub(super) journal: Option<Journal>,
    pub(super) recovery: Option<Recovery>,
}

impl Counts {
    /// The last packet of a client in the lobby came.
    pub(super) fn heard_connect(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
        self.packets_received.fetch_add(1, Ordering::Relaxed);
    }

    /// The lobby sends a packet.
    pub(super) fn said(&self, bytes: usize) {
        self.packets_sent.fetch_add(1, Ordering::Relaxed);
        self.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Live {
    pub(super) const fn of(options: &Options) -> Self {
        Self {
            anonymous: options.anonymous,
            connections_max: options.connections_max,
            connect_timeout_secs: options.connect_timeout_secs,
            draining: options.draining,
        }
    }
}

impl Shared {
    pub(super) fn new(options: &Options, parts: Parts) -> Self {
        let connecting_max = options.connecting_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            cells: parts.cells,
            commons: parts.commons,
            chance: parts.chance,
            gates: parts.gates,
            partial: Partial::new(&options.limits),
            methods: options.methods.clone(),
            lobby: parts.lobby,
            journal: parts.journal,
            recovery: parts.recovery,
            connecting: Arc::new(Semaphore::new(connecting_max)),
            connecting_max,
            lingering: Arc::new(Semaphore::new(LINGERING_MAX)),
            counts: Counts::default(),
            throttles: Throttles::default(),
            live: RwLock::new(Live::of(options)),
            sys_interval_secs: watch::Sender::new(options.sys_interval_secs),
            stopping: AtomicBool::new(false),
            hurried: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn live(&self) -> Live {
        *self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_live(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
    }

    /// Network connections of the whole server.
    pub(super) fn connections(&self) -> u64 {
        self.gates.iter().map(|gate| gate.connections()).sum()
    }

    /// Lets nobody in any more; `false` when somebody has said so before.
    pub(super) fn begin_stopping(&self) -> bool {
        !self.stopping.swap(true, Ordering::AcqRel)
    }

    /// Why nobody is let in, when it is so.
    pub(super) fn closed(&self) -> Option<Refusal> {
        let closed = self.is_stopping() || self.live().draining;
        closed.then(|| self.commons.directions().refusal())
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Nobody is waited for any more but the disk.
    pub(super) fn hurry(&self) {
        self.hurried.store(true, Ordering::Release);
    }

    pub(super) fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Acquire)
    }

    /// Whether the journal has more than it should, so that who brings more is not read.
    pub(super) fn is_crowded(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_crowded)
    }

    /// Tells the shards' threads to end.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        for cell in &self.cells {
            cell.wake();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether every farewell has been said.
    pub(super) fn nobody_lingers(&self) -> bool {
        self.lingering.available_permits() == LINGERING_MAX
    }

    /// The server's own rows.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        let views: Vec<_> = self.gates.iter().map(|gate| gate.view()).collect();
        let accepted = views.iter().map(|view| view.accepted).sum();
        let refused = views.iter().map(|view| view.refused).sum();
        let connecting = self.connecting_max - self.connecting.available_permits();
        let counts = &self.counts;
        let value = |count: &AtomicU64| count.load(Ordering::Relaxed);
        stats.set("connections.current", self.connections());
        stats.set("connections.accepted", accepted);
        stats.set("connections.refused", refused);
        stats.set("connections.accept_errors", value(&counts.accept_errors));
        stats.set("connections.ended.partial_full", self.partial.ended());
        stats.set("bytes.received", value(&counts.bytes_received));
        stats.set("bytes.sent", value(&counts.bytes_sent));
        stats.set("packets.received", value(&counts.packets_received));
        stats.set("packets.sent", value(&counts.packets_sent));
        stats.set("lobby.connects", value(&counts.connects));
        stats.set("lobby.connecting", connecting as u64);
        stats.set("lobby.refused.not_authorized", value(&counts.not_authorized));
        stats.set("lobby.refused.authentication", value(&counts.authentication));
        stats.set("lobby.refused.connections_max", value(&counts.connections_max));
        stats.set("lobby.refused.redirected", value(&counts.redirected));
        stats.set("lobby.refused.store", value(&counts.store));
        stats.set("lobby.refused.other", value(&counts.other_refusal));
        stats.set("lobby.refused.malformed", value(&counts.malformed));
        stats.set("lobby.timeout", value(&counts.timeout));
        stats.set("lobby.closed", value(&counts.closed));
        stats.set("memory.partial_bytes", self.partial.bytes());
        stats.set("log.events_lost", value(&counts.events_lost));
        if let Some(journal) = &self.journal {
            stats.add(&journal.stats());
        }
        stats
    }
}
