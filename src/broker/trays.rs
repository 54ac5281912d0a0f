//! What a step leaves for the server to carry away.

use super::{ConnectionId, Event, Letter, Load, Records};

/// The out-trays of a shard.
#[derive(Debug)]
pub struct Trays {
    /// Connections that have bytes to send, each at most once until [`super::Shard::flushed`].
    pub dirty: Vec<ConnectionId>,
    /// Connections the shard has ended.
    pub closing: Vec<Closing>,
    /// One letter a shard; most are empty.
    pub letters: Vec<Letter>,
    /// What is to be kept. It goes to the journal before the letters do, as what is said of a
    /// message in another shard comes after the message.
    pub records: Records,
    /// Messages that sessions need from the disk; they may lie in `records`.
    pub loads: Vec<Load>,
    /// What happened, for the log and other watchers; [`Self::EVENTS_MAX`] at most.
    pub events: Vec<Event>,
    /// Events that found the tray full.
    pub events_lost: u64,
}

/// A connection the shard has ended: send what the socket takes at once, then close it.
#[derive(Debug)]
pub struct Closing {
    /// Which.
    pub id: ConnectionId,
    /// Bytes not yet sent, DISCONNECT included.
    pub farewell: Vec<u8>,
}

impl Trays {
    /// Events one batch may leave: a batch of that many lifecycle changes is a storm, of which the
    /// log needs a part and the counters the whole.
    pub const EVENTS_MAX: usize = 1024;

    pub(super) fn new(shards: usize) -> Self {
        Self {
            dirty: Vec::new(),
            closing: Vec::new(),
            letters: (0..shards).map(|_| Letter::default()).collect(),
            records: Records::default(),
            loads: Vec::new(),
            events: Vec::new(),
            events_lost: 0,
        }
    }

    pub(super) fn note(&mut self, event: Event) {
        if self.events.len() < Self::EVENTS_MAX {
            self.events.push(event);
        } else {
            self.events_lost += 1;
        }
    }
}
