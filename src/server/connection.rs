//! The two ends of the path of a PUBLISH: a socket is read into the shard, an outbox is written to
//! a socket.
//!
//! Called by the hall with the shard held. One read fills many packets; a read that does not fill
//! the buffer says that the socket is dry, so there is no second one for `EAGAIN`. One write takes
//! all that is pending. A connection without pending bytes owns no buffer.

use super::gate::Seat;
use super::hall::Hall;
use super::incoming::{Incoming, ReadBuffer};
use super::shared::Shared;
use crate::broker::{ConnectionId, Lost, Now};
use crate::transport::{Received, Sent, Stream};

/// One network connection of a shard.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) stream: Stream,
    pub(super) serial: u32,
    pub(super) seat: Seat,
    /// Bytes received and not used: an incomplete packet, or what a choked client sent.
    partial: Incoming,
    /// Waits for its turn to be read.
    pub(super) queued: bool,
    /// The peer has ended the connection or it is broken: to be read to its end.
    pub(super) ending: bool,
    /// The socket is full: nothing is written until it is writable again.
    pub(super) blocked: bool,
    /// The client does not read its answers: nothing is read until it does.
    pub(super) choked: bool,
    /// What it sent last left something to be kept that somebody waits for.
    keeps: bool,
    /// The journal has more than it should: nothing is read until it has less.
    pub(super) paused: bool,
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
            partial: rest.into(),
            queued: false,
            ending: false,
            blocked: false,
            choked: false,
            keeps: false,
            paused: false,
            broken: false,
        }
    }

    pub(super) const fn partial_bytes(&self) -> usize {
        self.partial.len()
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
        if socket.keeps && shared.is_crowded() {
            self.pause(slot);
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
        let shard = &mut self.shard;
        let ticket = shard.trays().records.urgent_ticket();
        socket.partial.take_in(buffer, count, |bytes| shard.receive(id, bytes, now));
        socket.keeps = shard.trays().records.urgent_ticket() != ticket;
        self.after_receive(slot, before, shared, now);
    }

    /// Offers what is held back, without reading; returns the number of bytes.
    pub(super) fn offer_held(&mut self, slot: u32, shared: &Shared, now: Now) -> usize {
        let Some(socket) = self.sockets.at(slot) else { return 0 };
        let id = ConnectionId { slot, serial: socket.serial };
        let before = socket.partial.len();
        socket.held = false;
        let shard = &mut self.shard;
        let ticket = shard.trays().records.urgent_ticket();
        let used = socket.partial.offer(|bytes| shard.receive(id, bytes, now));
        socket.keeps = shard.trays().records.urgent_ticket() != ticket;
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
