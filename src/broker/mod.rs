//! A shard: many sessions, one owner, no waiting.
//!
//! Packets, letters from other shards and the time go in; bytes per connection, letters, and
//! events come out, through the [`Trays`]. A shard never waits, reads a clock or knows a socket.

mod stats;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::codec::{Connect, QoS, ReasonCode, Version};

pub use stats::Stats;
pub use view::{ClientView, RetainedView, SubscriptionView};

/// The time, told by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a clock that never goes back (its zero is the server's start).
    pub ticks_ms: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
}

/// One network connection of a shard. The slot is reused, the serial never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// Index of the client's session in its shard.
    pub slot: u32,
    /// Which connection of that slot.
    pub serial: u32,
}

/// Bounds of one broker; each has a key in `[limits]` or `[session]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest packet accepted, bytes.
    pub packet_bytes_max: u32,
    /// QoS 1 and 2 messages a client may have in flight towards the server.
    pub receive_maximum: u16,
    /// Highest Topic Alias a client may use.
    pub topic_alias_maximum: u16,
    /// Longest Keep Alive, seconds; a 5.0 client that asks for more or for none is told this.
    pub keep_alive_secs_max: u16,
    /// Levels of a topic name or filter.
    pub topic_levels_max: u16,
    /// Subscriptions of one session.
    pub subscriptions_max: u32,
    /// QoS 1 and 2 messages in flight towards one client.
    pub inflight_max: u16,
    /// Messages waiting for one session.
    pub queue_messages_max: u32,
    /// Bytes waiting for one session.
    pub queue_bytes_max: u64,
    /// Longest Session Expiry Interval, seconds; `u32::MAX` = may live for ever.
    pub session_expiry_secs_max: u32,
    /// Unsent bytes of one connection above which its messages wait in the queue.
    pub outbox_bytes_max: u32,
    /// Retained messages.
    pub retained_messages_max: u64,
    /// Sessions, connected or not.
    pub sessions_max: u64,
    /// Bytes of all queues, outboxes and retained messages together.
    pub memory_bytes_max: u64,
}

/// What the lobby knows of a client it lets in.
#[derive(Debug)]
pub struct Admission {
    /// Protocol version.
    pub version: Version,
    /// Client Identifier, assigned by the server when the client sent none.
    pub client_id: Box<str>,
}

/// Why a client is not let in; written as CONNACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No credentials, and the address is not one that needs none.
    #[error("not authorized")]
    NotAuthorized,
    /// Any other refusal with its code.
    #[error("refused: {0:?}")]
    Other(ReasonCode),
}

impl Admission {
    /// Checks a CONNECT against the standard and the limits.
    ///
    /// `assigned` makes a Client Identifier for a client that sent none.
    ///
    /// # Errors
    /// The reason to write into CONNACK.
    pub fn new(
        connect: &Connect<'_>,
        peer: SocketAddr,
        limits: &Limits,
        assigned: impl FnOnce() -> Box<str>,
    ) -> Result<Self, Refusal> {
        let _ = (connect, peer, limits, assigned);
        todo!()
    }
}

impl Refusal {
    /// The CONNACK that tells it.
    #[must_use]
    pub fn connack(self, version: Version) -> Vec<u8> {
        let _ = version;
        todo!()
    }
}

/// What all shards share: routes, retained messages, totals.
#[derive(Debug)]
pub struct Commons {
    _shards: usize,
}

impl Commons {
    /// For `shards` shards; `hash_seed` is random in production and fixed in simulation.
    #[must_use]
    pub fn new(shards: usize, limits: Limits, hash_seed: u64) -> Arc<Self> {
        let _ = (limits, hash_seed);
        Arc::new(Self { _shards: shards })
    }

    /// The home shard of a client.
    #[must_use]
    pub fn home(&self, client_id: &str) -> usize {
        let _ = client_id;
        todo!()
    }

    /// Retained messages whose topic matches `filter`, in topic order, `max` at most.
    #[must_use]
    pub fn retained(&self, filter: &str, max: usize) -> Vec<RetainedView> {
        let _ = (filter, max);
        todo!()
    }

    /// Deletes the retained message of a topic; `false` when there is none.
    pub fn forget_retained(&self, topic: &str) -> bool {
        let _ = topic;
        todo!()
    }

    /// Counters and gauges of what is shared (subscriptions, retained messages, memory).
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Puts new limits in force.
    pub fn set_limits(&self, limits: Limits) {
        let _ = limits;
    }
}

/// What a step leaves for the server to carry away.
#[derive(Debug, Default)]
pub struct Trays {
    /// Connections that have bytes to send (each at most once).
    pub dirty: Vec<ConnectionId>,
    /// Connections the shard has ended.
    pub closing: Vec<Closing>,
    /// One letter a shard; most are empty.
    pub letters: Vec<Letter>,
    /// What happened, for the log and other watchers; bounded by [`Trays::EVENTS_MAX`].
    pub events: Vec<Event>,
}

/// A connection the shard has ended: send what the socket takes at once, then close it.
#[derive(Debug)]
pub struct Closing {
    /// Which.
    pub id: ConnectionId,
    /// Bytes not yet sent, DISCONNECT included.
    pub farewell: Vec<u8>,
}

/// What one shard has to say to another after a batch.
#[derive(Debug, Default)]
pub struct Letter {
    _bytes: Vec<u8>,
}

impl Letter {
    /// Nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self._bytes.is_empty()
    }

    /// Bytes it holds, for the mailbox's bound.
    #[must_use]
    pub fn weight(&self) -> usize {
        self._bytes.len()
    }
}

/// Something an operator may want to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client is connected.
    Connected,
}

/// How a connection ended, seen from the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The peer closed or reset it, or the network failed.
    ByPeer,
    /// The server stops: DISCONNECT 0x8B.
    ServerShuttingDown,
    /// An operator ended it: DISCONNECT 0x98.
    AdministrativeAction,
}

/// Bytes waiting for one socket.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbox {
    /// What is to be written next.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The socket took `count` bytes of [`Self::unsent`].
    pub fn sent(&mut self, count: usize) {
        self.sent += count;
    }
}

/// The machine.
#[derive(Debug)]
pub struct Shard {
    trays: Trays,
}

impl Shard {
    /// Shard `number` of those that share `commons`.
    #[must_use]
    pub fn new(number: u16, commons: Arc<Commons>) -> Self {
        let _ = (number, commons);
        Self {
            trays: Trays::default(),
        }
    }

    /// Lets a client in: takeover, resume, CONNACK. The caller puts the socket under the id
    /// returned, after it has closed what `closing` names.
    pub fn admit(&mut self, admission: Admission, now: Now) -> ConnectionId {
        let _ = (admission, now);
        todo!()
    }

    /// Takes bytes from a connection and returns how many it used: all whole packets. The rest is
    /// to be offered again, with more behind it. A connection that is gone uses everything.
    pub fn receive(&mut self, id: ConnectionId, bytes: &[u8], now: Now) -> usize {
        let _ = (id, bytes, now);
        todo!()
    }

    /// The connection ended outside.
    pub fn lost(&mut self, id: ConnectionId, how: Lost, now: Now) {
        let _ = (id, how, now);
        todo!()
    }

    /// The bytes waiting for a socket; `None` when the connection is gone.
    pub fn outbox(&mut self, id: ConnectionId) -> Option<&mut Outbox> {
        let _ = id;
        todo!()
    }

    /// To be called after writing to a socket: gives an empty outbox's buffer back, and refills it
    /// from the session's queue (the connection is then in `dirty` again).
    pub fn flushed(&mut self, id: ConnectionId, now: Now) {
        let _ = (id, now);
        todo!()
    }

    /// Takes in what another shard posted; leaves the letter empty, its buffers to be reused.
    pub fn deliver(&mut self, letter: &mut Letter, now: Now) {
        let _ = (letter, now);
        todo!()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now) {
        let _ = now;
        todo!()
    }

    /// When [`Self::tick`] has something to do next, in [`Now::ticks_ms`].
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        todo!()
    }

    /// The out-trays.
    pub fn trays(&mut self) -> &mut Trays {
        &mut self.trays
    }

    /// Clients of this shard in the order of their identifiers, after `after`, `max` at most.
    #[must_use]
    pub fn clients(&self, after: Option<&str>, max: usize) -> Vec<ClientView> {
        let _ = (after, max);
        todo!()
    }

    /// One client.
    #[must_use]
    pub fn client(&self, client_id: &str) -> Option<ClientView> {
        let _ = client_id;
        todo!()
    }

    /// The subscriptions of one client, in the order of their filters.
    #[must_use]
    pub fn subscriptions(&self, client_id: &str) -> Vec<SubscriptionView> {
        let _ = client_id;
        todo!()
    }

    /// Ends a client's connection (DISCONNECT 0x98 for 5.0); `false` when it is not connected.
    pub fn kick(&mut self, client_id: &str, now: Now) -> bool {
        let _ = (client_id, now);
        todo!()
    }

    /// Publishes in the server's own name; returns the number of sessions it matched.
    pub fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
        now: Now,
    ) -> usize {
        let _ = (topic, payload, qos, retain, now);
        todo!()
    }

    /// Counters and gauges of this shard.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}
