//! The network between clients and broker: each connection is two pipes of bytes that can be
//! taken out at any byte, stalled, and cut. What a pipe held when it was cut comes out in part.

use std::collections::VecDeque;

use crate::chance::Chance;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    bytes: VecDeque<u8>,
    /// Nothing comes out before this time.
    still_until_ms: u64,
    /// Nothing is put in any more: after what it holds comes the end.
    ended: bool,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Line {
    /// From the client to the broker.
    pub(crate) up: Pipe,
    /// From the broker to the client.
    pub(crate) down: Pipe,
    /// Bytes to the client that fit into the buffers between.
    down_bytes_max: usize,
}

impl Pipe {
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        if !self.ended {
            self.bytes.extend(bytes);
        }
    }

    /// Takes up to `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        let count = count.min(self.bytes.len());
        self.bytes.drain(..count).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) const fn flows(&self, ms: u64) -> bool {
        ms >= self.still_until_ms
    }

    pub(crate) const fn stall(&mut self, until_ms: u64) {
        self.still_until_ms = until_ms;
    }

    pub(crate) const fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether everything is taken and nothing more comes.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && self.bytes.is_empty()
    }

    fn cut(&mut self, chance: &mut Chance) {
        if !self.ended {
            let rest = chance.below(self.bytes.len() + 1);
            self.bytes.truncate(rest);
        }
        self.ended = true;
    }
}

impl Line {
    pub(crate) fn new(down_bytes_max: usize) -> Self {
        Self { up: Pipe::default(), down: Pipe::default(), down_bytes_max }
    }

    /// Bytes the broker's socket takes.
    pub(crate) fn room(&self) -> usize {
        self.down_bytes_max.saturating_sub(self.down.len())
    }

    /// The network breaks; what was on the way arrives up to any byte.
    pub(crate) fn cut(&mut self, chance: &mut Chance) {
        self.up.cut(chance);
        self.down.cut(chance);
    }
}
