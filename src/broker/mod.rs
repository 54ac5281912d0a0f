//! A shard: many sessions, one owner, no waiting.
//!
//! Packets, letters from other shards and the time go in; bytes per connection, letters, and
//! events come out, through the [`Trays`]. A shard never waits, reads a clock, spawns, or knows a
//! socket. The way of a message: `receive` → `publish` → (`session`) → the outbox of its receiver.

mod acknowledge;
mod admission;
mod admit;
mod adopt;
mod authenticate;
mod commons;
mod depart;
mod desk;
mod directions;
mod durability;
mod durable;
mod events;
mod farewell;
mod groups;
mod identity;
mod introduction;
mod journal;
mod keep;
mod limits;
mod mail;
mod operate;
mod post;
mod publish;
mod receive;
mod redeliver;
mod refuse;
mod remember;
mod restore;
mod retained;
mod roster;
mod routes;
mod share;
mod stats;
mod status;
mod subscribe;
mod timers;
mod trays;
mod view;

use std::sync::Arc;

pub use admission::{Admission, Refusal};
pub use adopt::{
    AdoptedMessage, AdoptedRecipient, AdoptedSession, AdoptedWill, Adoptee, Unadopted,
};
pub use commons::{Commons, Storing};
pub use directions::Directions;
pub use durability::Durability;
pub use events::{Departure, Event};
pub use identity::{ConnectionId, Now, SessionId};
pub use introduction::{Heard, Introduction, Reception};
pub use journal::{
    Accepted, Addressed, Armed, Class, Damaged, Envelope, Load, Loaded, Position, Recipient,
    Record, Records, Restore, SessionState, StoredMessage, Waiting, read_subscription,
};
pub use limits::Limits;

pub use crate::session::{Mid, QueueFull, Run, Sid};
pub use mail::Letter;
pub use restore::{Restoration, Restored};
pub use share::SharedChoice;
pub use stats::Stats;
pub use trays::{Closing, Trays};
pub use view::{ClientView, RetainedView, Stage, SubscriptionView, WaitingView};

/// The port for methods of enhanced authentication.
pub use crate::session::{Applicant, Denial, Exchange, Grant, Method, Methods, Step};

use crate::session::Outbox;
use desk::Desk;
use post::Post;
use remember::Remembered;
use timers::Timers;

/// How a connection ended, seen from outside the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The peer closed or reset it, or the network failed.
    ByPeer,
    /// The server serves nobody any more: DISCONNECT 0x8B, or 0x9C or 0x9D where the
    /// [`Directions`] name another server.
    ServerShuttingDown,
    /// Its incomplete packet found no room beside those of others: DISCONNECT 0x97.
    PartialPacketsFull,
    /// An operator ended it: DISCONNECT 0x98.
    AdministrativeAction,
}

/// The machine.
#[derive(Debug)]
pub struct Shard {
    number: u16,
    commons: Arc<Commons>,
    limits: Arc<Limits>,
    limits_serial: u64,
    now: Now,
    remembered: Remembered,
    timers: Timers,
    desk: Desk,
    post: Post,
    /// Messages with this name or a smaller one have reached their sessions.
    horizon: u64,
    /// Whether the timer for positions is set.
    positions_timed: bool,
    /// Whether the timer for messages that expire is set.
    expiry_timed: bool,
}

impl Shard {
    /// Shard `number` of those that share `commons`.
    #[must_use]
    pub fn new(number: u16, commons: Arc<Commons>) -> Self {
        let limits = commons.limits();
        Self {
            number,
            limits_serial: commons.limits_serial(),
            now: Now::default(),
            remembered: Remembered::new(commons.hash_seed()),
            timers: Timers::new(),
            desk: Desk::new(number, Arc::clone(&commons), &limits),
            post: Post::new(number),
            horizon: 0,
            positions_timed: false,
            expiry_timed: false,
            limits,
            commons,
        }
    }

    /// The out-trays.
    pub const fn trays(&mut self) -> &mut Trays {
        &mut self.desk.trays
    }

    /// The bytes waiting for a socket; `None` when the connection is gone, or when nothing may be
    /// sent before its session is on the disk (the connection is in `dirty` again then).
    pub fn outbox(&mut self, id: ConnectionId) -> Option<&mut Outbox> {
        let link = self.desk.roster.link_mut(id)?;
        if link.is_shut() {
            link.dirty = false;
            return None;
        }
        Some(&mut link.outbox)
    }

    /// To be called when the letters of the out-trays are in the mailboxes.
    pub fn posted(&self) {
        self.commons.note_posted(self.number);
    }

    /// To be called after writing to a socket: gives an empty outbox's buffer back, and refills it
    /// from the session's queue (the connection is then in `dirty` again).
    pub fn flushed(&mut self, id: ConnectionId, now: Now) {
        self.begin(now);
        if self.desk.flushed(id) {
            self.desk.refill(id.slot);
            self.recall_when_drained(id.slot);
        }
        self.finish();
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now) {
        self.begin(now);
        for timer in self.timers.take_due(now.ticks_ms) {
            self.due(timer);
        }
        self.finish();
    }

    /// When [`Self::tick`] has something to do next, in [`Now::ticks_ms`].
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.timers.deadline()
    }

    /// Every in-door begins here: the time and the bounds of the step.
    fn begin(&mut self, now: Now) {
        self.now = now;
        self.desk.now = now;
        self.desk.storing = self.commons.storing();
        let limits_serial = self.commons.limits_serial();
        if limits_serial != self.limits_serial {
            self.limits_serial = limits_serial;
            self.limits = self.commons.limits();
            self.desk.bounds = desk::bounds(&self.limits);
            self.look_who_is_full();
        }
        self.desk.bounds.ticks_ms = now.ticks_ms;
        self.desk.bounds.memory_full = false;
        self.desk.bounds.store_full =
            self.commons.stored_queue_bytes() >= self.limits.store_queue_bytes_max;
        self.desk.bounds.outbox_bytes_max = self.limits.outbox_bytes_max as usize;
        let budget = signed(self.limits.memory_bytes_max);
        self.desk.room_bytes = budget - signed(self.commons.memory_bytes());
        self.desk.heed_budget();
    }

    /// Every in-door ends here.
    fn finish(&mut self) {
        if !self.desk.leftovers.is_empty() {
            self.redeliver();
        }
        self.desk.seal();
        self.time_positions();
        self.time_expiry();
        self.commons.count_waiting(std::mem::take(&mut self.desk.grown_bytes));
    }

    fn session_id(&self, slot: u32) -> SessionId {
        self.desk.roster.session_id(self.number, slot)
    }
}

/// Byte counts stay far below 2^63.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
