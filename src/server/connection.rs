//! The two ends of the path of a PUBLISH: a socket is read into the shard, an outbox is written to
//! a socket.
//!
//! Called by the hall with the shard held. One read fills many packets; a read that does not fill
//! the buffer says that the socket is dry, so there is no second one for `EAGAIN`. One write takes
//! all that is pending. A connection without pending bytes owns no buffer.

use super::gate::Seat;
use super::hall::Hall;
use super::shared::Shared;
use crate::broker::{ConnectionId, Lost, Now};
use crate::transport::{Received, Sent, Stream};

/// Bytes of one read. More would push the packets out of the processor's cache before they are
/// looked at.
const READ_BYTES: usize = 64 * 1024;
/// An incomplete packet up to this size is put in front of the next read; a larger one grows in
/// its connection's own buffer, so that it is not copied again with every read.
const HEADROOM_BYTES: usize = 16 * 1024;

/// One network connection of a shard.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) stream: Stream,
    pub(super) serial: u32,
    pub(super) seat: Seat,
    /// Bytes received and not used: an incomplete packet, or what a choked client sent.
    partial: Vec<u8>,
    /// Waits for its turn to be read.
    pub(super) queued: bool,
    /// The peer has ended the connection or it is broken: to be read to its end.
    pub(super) ending: bool,
    /// The socket is full: nothing is written until it is writable again.
    pub(super) blocked: bool,
    /// The client does not read its answers: nothing is read until it does.
    pub(super) choked: bool,
    /// `partial` holds whole packets that the shard has not looked at.
    held: bool,
    /// Nothing can be sent any more: what has come is read to its end.
    broken: bool,
}

impl Socket {
    pub(super) fn new(stream: Stream, serial: u32, seat: Seat, rest: Vec<u8>) -> Self {
        Self {
            stream,
            serial,
            seat,
            held: !rest.is_empty(),
            partial: rest,
            queued: false,
            ending: false,
            blocked: false,
            choked: false,
            broken: false,
        }
    }

    pub(super) const fn partial_bytes(&self) -> usize {
        self.partial.len()
    }
}

/// The one buffer all connections of a thread are read into, with room in front for what was left
/// over from the read before.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    bytes: Box<[u8]>,
}

impl ReadBuffer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; HEADROOM_BYTES + READ_BYTES].into() }
    }

    fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[HEADROOM_BYTES..]
    }

    /// The `count` bytes just read with `front` before them.
    fn behind(&mut self, front: &[u8], count: usize) -> &[u8] {
        let start = HEADROOM_BYTES - front.len();
        self.bytes[start..HEADROOM_BYTES].copy_from_slice(front);
        &self.bytes[start..HEADROOM_BYTES + count]
    }
}

impl Hall {
    /// Reads a socket once and gives the shard what came; returns the number of bytes.
    pub(super) fn read(
        &mut self,
        slot: u32,
        buffer: &mut ReadBuffer,
        shared: &Shared,
        now: Now,
    ) -> usize {
        let Some(socket) = self.sockets.at(slot) else { return 0 };
        socket.queued = false;
        if socket.choked {
            return 0;
        }
        if socket.held {
            self.enqueue(slot);
            return self.offer_held(slot, shared, now);
        }
        let space = buffer.space();
        let room = space.len();
        let count = match socket.stream.receive(space) {
            Received::Bytes(count) => count,
            Received::Dry if socket.broken => {
                self.lose(slot, shared, now);
                return 0;
            }
            Received::Dry => {
                socket.ending = false;
                return 0;
            }
            Received::Ended => {
                self.lose(slot, shared, now);
                return 0;
            }
        };
        if count == room || socket.ending {
            self.enqueue(slot);
        }
        self.take_in(slot, buffer, count, shared, now);
        count
    }

    /// Gives the shard what was read, and keeps what it does not use yet.
    fn take_in(
        &mut self,
        slot: u32,
        buffer: &mut ReadBuffer,
        count: usize,
        shared: &Shared,
        now: Now,
    ) {
        let Some(socket) = self.sockets.at(slot) else { return };
        let id = ConnectionId { slot, serial: socket.serial };
        let before = socket.partial.len();
        if before <= HEADROOM_BYTES {
            let bytes = buffer.behind(&socket.partial, count);
            let used = self.shard.receive(id, bytes, now);
            if before > 0 || used < bytes.len() {
                keep(&mut socket.partial, &bytes[used..]);
            }
        } else {
            socket.partial.extend_from_slice(&buffer.space()[..count]);
            let used = self.shard.receive(id, &socket.partial, now);
            drop_front(&mut socket.partial, used);
        }
        self.after_receive(slot, before, shared, now);
    }

    /// Offers what is held back, without reading; returns the number of bytes.
    pub(super) fn offer_held(&mut self, slot: u32, shared: &Shared, now: Now) -> usize {
        let Some(socket) = self.sockets.at(slot) else { return 0 };
        let id = ConnectionId { slot, serial: socket.serial };
        let before = socket.partial.len();
        socket.held = false;
        let used = self.shard.receive(id, &socket.partial, now);
        drop_front(&mut socket.partial, used);
        self.after_receive(slot, before, shared, now);
        used
    }

    /// Looks after what was left over: counts it, and stops reading a client that does not read.
    /// One that nothing can be sent to will never read: it is lost as soon as it chokes.
    fn after_receive(&mut self, slot: u32, before: usize, shared: &Shared, now: Now) {
        let Some(socket) = self.sockets.at(slot) else { return };
        let after = socket.partial.len();
        if before == 0 && after == 0 {
            return;
        }
        let id = ConnectionId { slot, serial: socket.serial };
        if after > 0 && self.shard.choked(id) {
            socket.choked = true;
            socket.held = true;
            self.choked += 1;
        } else if after > 0 && self.shard.sated() {
            socket.held = true;
            self.enqueue(slot);
        }
        let hopeless = self.sockets.at(slot).is_some_and(|socket| socket.choked && socket.broken);
        let fits = shared.partial.changed(before, after);
        if hopeless {
            self.lose(slot, shared, now);
        } else if !fits {
            self.end_partial(slot, shared, now);
        }
    }

    /// Ends a connection whose incomplete packet finds no room; what it holds is free at once.
    pub(super) fn end_partial(&mut self, slot: u32, shared: &Shared, now: Now) {
        let Some(socket) = self.sockets.at(slot) else { return };
        let id = ConnectionId { slot, serial: socket.serial };
        let partial = std::mem::take(&mut socket.partial);
        shared.partial.changed(partial.len(), 0);
        shared.partial.count_ended();
        self.shard.lost(id, Lost::PartialPacketsFull, now);
    }

    /// Writes what waits for a connection, once.
    pub(super) fn flush_one(&mut self, slot: u32, shared: &Shared, now: Now) {
        let Some(socket) = self.sockets.at(slot) else { return };
        let id = ConnectionId { slot, serial: socket.serial };
        if socket.blocked {
            // What piles up meanwhile counts against the memory budget.
            return self.shard.flushed(id, now);
        }
        let Some(outbox) = self.shard.outbox(id) else { return };
        let unsent = outbox.unsent();
        if !unsent.is_empty() {
            match socket.stream.send(unsent) {
                Sent::Bytes(count) => {
                    socket.blocked = count < unsent.len();
                    outbox.sent(count);
                    self.bytes_sent += count as u64;
                }
                Sent::Broken if socket.choked => return self.lose(slot, shared, now),
                // What the peer sent before it went away still counts: the read comes to the end.
                Sent::Broken => {
                    socket.blocked = true;
                    socket.ending = true;
                    socket.broken = true;
                    return self.enqueue(slot);
                }
            }
        }
        self.shard.flushed(id, now);
        if socket.choked && !self.shard.choked(id) {
            socket.choked = false;
            self.choked -= 1;
            self.enqueue(slot);
        }
    }
}

/// Keeps the rest of what was read; a buffer that has become far too large is made smaller.
fn keep(partial: &mut Vec<u8>, rest: &[u8]) {
    if rest.is_empty() || partial.capacity() > rest.len().saturating_mul(4).max(HEADROOM_BYTES) {
        *partial = Vec::new();
    }
    partial.clear();
    partial.extend_from_slice(rest);
}

/// As [`keep`], when the rest lies in `partial` itself.
fn drop_front(partial: &mut Vec<u8>, used: usize) {
    partial.drain(..used);
    if partial.is_empty() {
        *partial = Vec::new();
    } else if partial.capacity() > partial.len().saturating_mul(4).max(HEADROOM_BYTES) {
        partial.shrink_to_fit();
    }
}
