//! What lies behind a shard's lock: the shard and the sockets of its connections.
//!
//! Whoever holds it, the shard's own thread or a visitor, does so in this order: time, mail,
//! [`Hall::read`] (the own thread only), and last [`Hall::settle`], which empties the out-trays:
//! read all, step all, flush all. Records go to the journal and letters are posted here, while the
//! shard is held; that other shards are stepped, lines are logged and farewells are waited for happens after letting go.

use std::collections::VecDeque;
use std::time::Duration;

use mio::event::Event as Readiness;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::os::fd::AsRawFd;

use super::arrival::Arrival;
use super::cell::{Cell, read_mail};
use super::clock::Clock;
use super::connection::Socket;
use super::errands::Errands;
use super::incoming::ReadBuffer;
use super::linger::linger;
use super::lobby;
use super::mailbox::Mail;
use super::shared::Shared;
use crate::broker::{Closing, ConnectionId, Lost, Now, Refusal, Shard};
use crate::transport::Sent;

/// Bytes read between two flushes: so much may pile up in outboxes before they are written.
const FLUSH_BYTES: usize = 64 * 1024;
/// Bytes read in one turn. Then others who want the shard have theirs.
const TURN_BYTES: usize = 256 * 1024;
/// Time of one turn, as few bytes may mean many deliveries; far below any watchdog's patience.
const TURN_MS: u64 = 50;
/// Refills of an outbox from its queue in one flush; what is left then goes on in the next turn.
const REFILLS_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Hall {
    number: u16,
    pub(super) shard: Shard,
    pub(super) sockets: Sockets,
    registry: Registry,
    /// Slots of sockets that have something to read, each at most once.
    ready: VecDeque<u32>,
    /// The time the own thread sleeps to, in `ticks_ms`.
    alarm_ms: Option<u64>,
    pub(super) bytes_sent: u64,
    /// Connections that are not read because they do not read.
    pub(super) choked: u64,
    /// Slots of sockets that are not read because the journal has more than it should.
    paused: Vec<u32>,
    /// Why no more connections are let in, when it is so.
    closed: Option<Refusal>,
    /// Kept for their buffers.
    pub(super) mail: Vec<Mail>,
    dirty: Vec<ConnectionId>,
    closing: Vec<Closing>,
}

/// The sockets of a shard by slot.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    slots: Vec<Option<Socket>>,
}

impl Sockets {
    pub(super) fn at(&mut self, slot: u32) -> Option<&mut Socket> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    fn put(&mut self, slot: u32, socket: Socket) {
        let slot = slot as usize;
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(socket);
    }

    fn take(&mut self, id: ConnectionId) -> Option<Socket> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.take_if(|socket| socket.serial == id.serial)
    }
}

impl Hall {
    pub(super) fn new(number: u16, shard: Shard, registry: Registry) -> Self {
        Self {
            number,
            shard,
            sockets: Sockets::default(),
            registry,
            ready: VecDeque::new(),
            alarm_ms: None,
            bytes_sent: 0,
            choked: 0,
            paused: Vec::new(),
            closed: None,
            mail: Vec::new(),
            dirty: Vec::new(),
            closing: Vec::new(),
        }
    }

    /// Time and mail: what comes first, whoever holds the shard.
    pub(super) fn begin(&mut self, cell: &Cell, shared: &Shared, now: Now) {
        if !self.paused.is_empty() {
            self.look_after_paused(shared, now);
        }
        if self.alarm_ms.is_some_and(|alarm_ms| alarm_ms <= now.ticks_ms) {
            self.shard.tick(now);
            self.alarm_ms = self.shard.deadline();
        }
        read_mail(cell, self, |hall, mail| match mail {
            Mail::Letter(mut letter) => {
                let weight = letter.weight();
                hall.shard.deliver(&mut letter, now);
                cell.mailbox.give_back(letter, weight);
            }
            Mail::Arrival(arrival) => hall.admit(*arrival, shared, now),
            Mail::Durable(ticket) => hall.shard.durable(ticket, now),
            Mail::Loaded(loaded) => hall.shard.loaded(loaded, now),
        });
    }

    /// What `epoll` says of a socket. A report about a connection that is gone, whose slot has
    /// another by now, does no harm: that one is then read once in vain.
    pub(super) fn note(&mut self, readiness: &Readiness, shared: &Shared, now: Now) {
        let Ok(slot) = u32::try_from(readiness.token().0) else { return };
        let Some(socket) = self.sockets.at(slot) else { return };
        let broken = readiness.is_error();
        if broken || readiness.is_read_closed() {
            socket.ending = true;
        }
        if socket.blocked && (broken || readiness.is_writable()) {
            socket.blocked = false;
            self.flush_one(slot, shared, now);
        }
        if broken || readiness.is_readable() || readiness.is_read_closed() {
            self.enqueue(slot);
        }
    }

    /// Reads the sockets that are ready, in turn, as long as the bytes of one turn allow.
    pub(super) fn read_all(
        &mut self,
        buffer: &mut ReadBuffer,
        shared: &Shared,
        errands: &mut Errands,
        now: Now,
    ) {
        let (mut bytes, mut unflushed) = (0, 0);
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { return };
            let count = self.read(slot, buffer, shared, now);
            bytes += count;
            unflushed += count;
            if unflushed >= FLUSH_BYTES || self.shard.sated() {
                unflushed = 0;
                self.settle(shared, errands, now);
            }
            let turn_ms = Clock::now().ticks_ms.saturating_sub(now.ticks_ms);
            if bytes >= TURN_BYTES || turn_ms >= TURN_MS {
                return;
            }
        }
    }

    /// Empties the out-trays.
    pub(super) fn settle(&mut self, shared: &Shared, errands: &mut Errands, now: Now) {
        for _ in 0..REFILLS_MAX {
            self.end_closing(shared);
            if self.shard.trays().dirty.is_empty() {
                break;
            }
            self.flush(shared, now);
        }
        self.end_closing(shared);
        let trays = self.shard.trays();
        if let Some(journal) = &shared.journal {
            journal.take_in(self.number, trays);
        }
        for (number, letter) in trays.letters.iter_mut().enumerate() {
            if !letter.is_empty() {
                shared.cells[number].mailbox.post_letter(letter);
                errands.visit(number);
            }
        }
        errands.take_events(trays);
        self.shard.posted();
    }

    /// How long the own thread may sleep; `None` = until something happens.
    pub(super) fn sleep(&mut self, now: Now) -> Option<Duration> {
        self.alarm_ms = self.shard.deadline();
        if self.is_unfinished() {
            return Some(Duration::ZERO);
        }
        let wait_ms = |alarm_ms: u64| alarm_ms.saturating_sub(now.ticks_ms);
        self.alarm_ms.map(wait_ms).map(Duration::from_millis)
    }

    /// For a visitor about to let go: whether the own thread must be woken, as it sleeps too long.
    pub(super) fn must_wake(&mut self) -> bool {
        let deadline = self.shard.deadline();
        let sooner = match (deadline, self.alarm_ms) {
            (Some(deadline), Some(alarm)) => deadline < alarm,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if sooner {
            self.alarm_ms = deadline;
        }
        sooner || self.is_unfinished()
    }

    /// Lets others in again.
    pub(super) const fn open(&mut self) {
        self.closed = None;
    }

    /// Before [`Self::close`], on all shards: no other is let in, and no member of a group gets
    /// what others leave.
    pub(super) fn withdraw(&mut self, shared: &Shared) {
        self.closed = Some(shared.commons.directions().refusal());
        self.shard.withdraw();
    }

    /// Ends every connection with DISCONNECT 0x8B, or 0x9C or 0x9D where there is another server,
    /// and lets no other in.
    pub(super) fn close(&mut self, shared: &Shared, now: Now) {
        self.withdraw(shared);
        for id in self.shard.connections() {
            self.shard.lost(id, Lost::ServerShuttingDown, now);
        }
        // Nobody is to get again what it acknowledged in the last second.
        self.shard.tell_positions(now);
    }

    pub(super) fn enqueue(&mut self, slot: u32) {
        if let Some(socket) = self.sockets.at(slot)
            && !socket.queued
        {
            socket.queued = true;
            self.ready.push_back(slot);
        }
    }

    /// Does not read a socket, which is in nobody's list, until there is room in the journal.
    pub(super) fn pause(&mut self, slot: u32) {
        if let Some(socket) = self.sockets.at(slot) {
            socket.queued = true;
            socket.paused = true;
            self.paused.push(slot);
        }
    }

    pub(super) fn paused(&self) -> u64 {
        self.paused.len() as u64
    }

    /// Reads them again when there is room. Until then they are alive, whatever their Keep Alive
    /// says: nobody listens to them.
    fn look_after_paused(&mut self, shared: &Shared, now: Now) {
        let is_over = !shared.is_crowded();
        let mut paused = std::mem::take(&mut self.paused);
        paused.retain(|&slot| {
            let Some(socket) = self.sockets.at(slot).filter(|socket| socket.paused) else {
                return false; // It is gone, and another may be in its place.
            };
            let id = ConnectionId { slot, serial: socket.serial };
            if is_over {
                socket.paused = false;
                socket.queued = false;
                self.enqueue(slot);
            } else {
                self.shard.receive(id, &[], now);
            }
            !is_over
        });
        self.paused = paused;
    }

    /// The peer is gone.
    pub(super) fn lose(&mut self, slot: u32, shared: &Shared, now: Now) {
        let Some(socket) = self.sockets.at(slot) else { return };
        let id = ConnectionId { slot, serial: socket.serial };
        self.shard.lost(id, Lost::ByPeer, now);
        self.forget(id, shared);
    }

    fn is_unfinished(&mut self) -> bool {
        !self.ready.is_empty() || !self.shard.trays().dirty.is_empty()
    }

    /// A new connection: into the shard, into `epoll`, and its first packets into the shard.
    fn admit(&mut self, arrival: Arrival, shared: &Shared, now: Now) {
        let Arrival { admission, stream, rest, seat } = arrival;
        let (version, limits) = (admission.version, admission.limits);
        let admitted = match self.closed {
            Some(refusal) => Err(refusal),
            None => self.shard.admit(admission, now),
        };
        // A connection that was taken over has the slot of the new one.
        self.end_closing(shared);
        let id = match admitted {
            Ok(id) => id,
            Err(refusal) => {
                seat.count_refused();
                lobby::count_refused(shared, refusal);
                let directions = shared.commons.directions();
                let connack = refusal.connack(version, limits, &directions);
                return linger(shared, stream, connack, seat);
            }
        };
        let source = stream.as_raw_fd();
        let (token, interest) = (Token(id.slot as usize), Interest::READABLE | Interest::WRITABLE);
        if let Err(error) = self.registry.register(&mut SourceFd(&source), token, interest) {
            tracing::warn!(target: "mqttd", %error, "a connection cannot be watched");
            return self.shard.lost(id, Lost::ByPeer, now);
        }
        let held_bytes = rest.len();
        self.sockets.put(id.slot, Socket::new(stream, id.serial, seat, rest));
        if held_bytes > 0 {
            // Whole packets need no room for long; what is left of them is counted behind.
            let fits = shared.partial.changed(0, held_bytes);
            self.offer_held(id.slot, shared, now);
            let partial_bytes = self.sockets.at(id.slot).map_or(0, |socket| socket.partial_bytes());
            if !fits && partial_bytes > 0 {
                self.end_partial(id.slot, shared, now);
            }
        }
    }

    fn flush(&mut self, shared: &Shared, now: Now) {
        let mut dirty = std::mem::take(&mut self.dirty);
        std::mem::swap(&mut dirty, &mut self.shard.trays().dirty);
        for id in dirty.drain(..) {
            self.flush_one(id.slot, shared, now);
        }
        self.dirty = dirty;
    }

    /// Sends farewells and closes what the shard has ended.
    fn end_closing(&mut self, shared: &Shared) {
        if self.shard.trays().closing.is_empty() {
            return;
        }
        let mut closing = std::mem::take(&mut self.closing);
        std::mem::swap(&mut closing, &mut self.shard.trays().closing);
        for Closing { id, farewell } in closing.drain(..) {
            let Some(socket) = self.forget(id, shared) else { continue };
            if farewell.is_empty() {
                continue; // Dropped, and so closed.
            }
            // The descriptor lives on for a moment, so `epoll` must be told to forget it.
            let source = socket.stream.as_raw_fd();
            if self.registry.deregister(&mut SourceFd(&source)).is_err() {
                continue;
            }
            self.say_farewell(socket, farewell, shared);
        }
        self.closing = closing;
    }

    fn say_farewell(&mut self, socket: Socket, mut farewell: Vec<u8>, shared: &Shared) {
        let taken = match socket.stream.send(&farewell) {
            Sent::Bytes(taken) => taken,
            Sent::Broken => return,
        };
        self.bytes_sent += taken as u64;
        farewell.drain(..taken);
        if farewell.is_empty() {
            socket.stream.end_sending();
        }
        linger(shared, socket.stream, farewell, socket.seat);
    }

    fn forget(&mut self, id: ConnectionId, shared: &Shared) -> Option<Socket> {
        let socket = self.sockets.take(id)?;
        shared.partial.changed(socket.partial_bytes(), 0);
        self.choked -= u64::from(socket.choked);
        Some(socket)
    }
}
