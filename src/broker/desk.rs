//! Where messages and packets are handed to the sessions of a shard.
//!
//! Apart from the rest of the shard, so that a message can be handed out while the list of its
//! receivers is being read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::mail::Addressee;
use super::redeliver::Leftovers;
use super::roster::Roster;
use super::stats::Counters;
use super::{Commons, ConnectionId, Event, Limits, Now, SessionId, Storing, Trays, signed};
use crate::codec::{
    PACKET_BYTES_MAX, Packet, Properties, PropertiesBuf, QoS, encode, reasons_packet_len,
};
use crate::session::{
    Bounds, DropReason, Link, Outcome, Parcel, Session, Terms, Violation, encode_fitted,
};

/// Messages that sessions hold: waiting, or in flight.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) queued: i64,
    pub(super) inflight: i64,
    /// Of those that are kept.
    pub(super) bytes: i64,
}

#[derive(Debug)]
pub(super) struct Desk {
    /// The shard it is of.
    pub(super) shard: u16,
    pub(super) roster: Roster,
    pub(super) trays: Trays,
    pub(super) counters: Counters,
    /// What the sessions hold.
    pub(super) held: Held,
    /// Shared messages to be handed on at the end of the step.
    pub(super) leftovers: Leftovers,
    /// The bounds and the time of this step.
    pub(super) bounds: Bounds,
    /// Outbox buffers that nobody owns at the moment.
    pub(super) spare: Vec<Vec<u8>>,
    /// What queues and outboxes grew by in this step, bytes.
    pub(super) grown_bytes: i64,
    /// What they may grow by until the memory budget is used up, bytes.
    pub(super) room_bytes: i64,
    /// What the shards share; for the names of messages.
    pub(super) commons: Arc<Commons>,
    /// How it stands with the store, in this step.
    pub(super) storing: Storing,
    /// The time of this step.
    pub(super) now: Now,
    /// Sessions that have a position to write down.
    pub(super) stale: Vec<u32>,
    /// Connections with packets that wait for what this step leaves.
    pub(super) fresh: Vec<ConnectionId>,
    /// Connections with packets that wait, and for which ticket, in order.
    pub(super) waiting: VecDeque<(u64, ConnectionId)>,
    /// Sessions whose queues hold messages that expire.
    pub(super) expiring: BTreeSet<u32>,
    /// All records up to this ticket are on the disk.
    pub(super) durable: u64,
    /// Clients whose sessions ended, until that is on the disk; and when they did, in order.
    pub(super) ended: BTreeMap<Box<str>, u64>,
    pub(super) ended_in_order: VecDeque<(u64, Box<str>)>,
    /// Deliveries made since the last bytes were taken in, by letter too, and retained messages
    /// looked at.
    pub(super) handed: usize,
}

impl Held {
    pub(super) fn by(session: &Session) -> Self {
        Self {
            queued: signed(session.queue.len() as u64),
            inflight: i64::from(session.inflight.len()),
            bytes: signed(session.held_bytes()),
        }
    }
}

impl Desk {
    pub(super) fn new(shard: u16, commons: Arc<Commons>, limits: &Limits) -> Self {
        let shards = commons.shards();
        Self {
            shard,
            commons,
            storing: Storing::Off,
            now: Now::default(),
            stale: Vec::new(),
            fresh: Vec::new(),
            waiting: VecDeque::new(),
            expiring: BTreeSet::new(),
            durable: 0,
            ended: BTreeMap::new(),
            ended_in_order: VecDeque::new(),
            roster: Roster::new(),
            trays: Trays::new(shards),
            counters: Counters::default(),
            held: Held::default(),
            leftovers: Leftovers::default(),
            bounds: bounds(limits),
            spare: Vec::new(),
            grown_bytes: 0,
            room_bytes: i64::MAX,
            handed: 0,
        }
    }

    /// Hands a message to a session of this shard. A session that is gone gets nothing, but the
    /// others of its group do.
    pub(super) fn hand_over(&mut self, to: &Addressee, parcel: &mut Parcel<'_>) {
        let Some(session) = self.roster.addressed_mut(to.session) else {
            return self.refused(to, parcel, None);
        };
        if to.is_return() {
            return self.take_back(to, parcel);
        }
        let &Addressee { qos, retain, share, mut mid, ref identifiers, .. } = to;
        if session.kept.is_none() {
            // It was told to last when this was on its way, and is not any more.
            mid.take().into_iter().for_each(|mid| self.trays.records.done(mid));
        }
        let terms = Terms { qos, retain, share, mid, identifiers };
        let held_before = Held::by(session);
        let expired_before = session.queue.expired();
        let outcome = session.deliver(parcel, terms, &self.bounds, &mut self.spare);
        let expired = session.queue.expired() - expired_before;
        let is_away = session.link.is_none();
        let held = Held::by(session);
        self.note_held(held_before, held);
        self.counters.dropped(DropReason::Expired, expired);
        self.heed_budget();
        match outcome {
            Outcome::Sent => {
                self.counters.messages_sent[to.qos as usize] += 1;
                self.counters.payload_bytes_sent += parcel.content().payload.len() as u64;
                self.mark_dirty(to.session.slot);
            }
            Outcome::Queued => {
                self.note_expiry(to.session.slot, parcel.content().expires_ms);
                self.refill_if_idle(to.session.slot);
            }
            Outcome::Displaced(count) => {
                self.note_expiry(to.session.slot, parcel.content().expires_ms);
                self.dropped(to.session.slot, DropReason::QueueOldest, count);
                self.refill_if_idle(to.session.slot);
            }
            Outcome::Dropped(reason) => self.refused(to, parcel, Some(reason)),
        }
        let waits = matches!(outcome, Outcome::Queued | Outcome::Displaced(_));
        self.note_kept(to.session.slot);
        if outcome != Outcome::Sent {
            self.note_full(to.session.slot);
        }
        if qos != QoS::AtMostOnce || waits {
            self.roster.note_backlog(to.session.slot);
        }
        if let Some(share) = share
            && is_away
            && waits
        {
            self.leftovers.kept(to.session, share, to.attempts);
        }
    }

    /// A member that had a message gets it back, as nobody else takes it.
    fn take_back(&mut self, to: &Addressee, parcel: &mut Parcel<'_>) {
        let &Addressee { qos, retain, share, mid, ref identifiers, .. } = to;
        let terms = Terms { qos, retain, share, mid, identifiers };
        let slot = to.session.slot;
        let is_away = self.change(slot, |session, _| {
            session.take_back(parcel, terms);
            session.link.is_none()
        });
        match (is_away, share) {
            (Some(true), Some(share)) => self.leftovers.kept(to.session, share, to.attempts),
            (Some(false), _) => self.refill(slot),
            _ => {}
        }
    }

    /// A session does not take a message (or is gone): another of its group may.
    fn refused(&mut self, to: &Addressee, parcel: &mut Parcel<'_>, reason: Option<DropReason>) {
        let link = self.roster.session(to.session.slot).map(|session| session.link.is_none());
        let is_away = link.unwrap_or(true);
        match (to.share, reason) {
            (Some(share), _) => {
                self.leftovers.refused((share, to), parcel.message(), reason, is_away);
            }
            (None, Some(reason)) => {
                self.dropped(to.session.slot, reason, 1);
                to.mid.into_iter().for_each(|mid| self.settle(to.session, mid));
            }
            (None, None) => to.mid.into_iter().for_each(|mid| self.settle(to.session, mid)),
        }
    }

    /// Nobody of a group took a message; `member` was the last that was asked.
    pub(super) fn lost(&mut self, member: SessionId, reason: DropReason) {
        if let Some(session) = self.roster.addressed_mut(member) {
            session.messages_dropped += 1;
            self.dropped(member.slot, reason, 1);
        } else {
            self.counters.dropped(reason, 1);
        }
    }

    /// Counts dropped messages; the first of a connection (or of an offline time) is told.
    pub(super) fn dropped(&mut self, slot: u32, reason: DropReason, count: u64) {
        if count == 0 {
            return;
        }
        self.counters.dropped(reason, count);
        let Some(session) = self.roster.session_mut(slot) else {
            return;
        };
        if !session.drop_told && reason != DropReason::Offline {
            session.drop_told = true;
            let client_id = session.client_id.clone();
            self.trays.note(Event::Dropping { client_id, reason });
        }
    }

    /// Sends a packet other than PUBLISH and without properties to the client of a slot, if it is
    /// connected: one of 5 bytes at most, which every client takes (see `session/fitted`), as PUBREL
    /// and PUBCOMP `[MQTT-3.6.2-2]` `[MQTT-3.7.2-2]`, or one whose size was checked.
    pub(super) fn send(&mut self, slot: u32, packet: &Packet<'_>) {
        let Some(session) = self.roster.session_mut(slot) else {
            return;
        };
        let Some(link) = &mut session.link else {
            return;
        };
        encode(packet, link.version, link.outbox.buffer(&mut self.spare));
        self.counters.packets_sent += 1;
        self.mark_dirty(slot);
    }

    /// Sends the answer to a client's packet, which has no properties yet, with a Reason String where
    /// the client wants one and takes it `[MQTT-3.1.2-29]` `[MQTT-3.4.2-2]` `[MQTT-3.5.2-2]`
    /// `[MQTT-3.9.2-1]` `[MQTT-3.11.2-1]`, and never a User Property `[MQTT-3.4.2-3]`
    /// `[MQTT-3.5.2-3]` `[MQTT-3.9.2-2]` `[MQTT-3.11.2-2]`.
    ///
    /// # Errors
    /// The client does not even take it without.
    pub(super) fn answer(
        &mut self,
        slot: u32,
        words: &str,
        packet: &Packet<'_>,
        waits: bool,
    ) -> Result<(), Violation> {
        let Some(session) = self.roster.session_mut(slot) else {
            return Ok(());
        };
        let Some(link) = &mut session.link else {
            return Ok(());
        };
        let (version, limit) = (link.version, link.limits.packet_bytes_max);
        let full = link.limits.with_reason_string(&PropertiesBuf::default(), words);
        let lists = [full.as_properties(), Properties::EMPTY];
        let waits = waits || link.held.is_some();
        let out = if waits { link.held_buffer() } else { link.outbox.buffer(&mut self.spare) };
        if !encode_fitted(&lists, packet, version, limit, out) {
            let mut bytes = Vec::new();
            encode(packet, version, &mut bytes);
            let bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            return Err(Violation::AnswerTooLarge { bytes, limit });
        }
        self.counters.packets_sent += 1;
        if waits {
            self.note_waiting(slot)
        } else {
            self.mark_dirty(slot)
        }
        Ok(())
    }

    /// Whether the client takes an answer with so many Reason Codes: known before the request is
    /// carried out, so that nothing is done that could not be answered.
    pub(super) fn check_answer(
        &self,
        slot: u32,
        reasons: impl Iterator<Item = ()>,
    ) -> Result<(), Violation> {
        let session = self.roster.session(slot);
        let Some(link) = session.and_then(|session| session.link.as_ref()) else {
            return Ok(());
        };
        let limit = link.limits.packet_bytes_max;
        if limit == PACKET_BYTES_MAX {
            return Ok(());
        }
        let bytes = reasons_packet_len(reasons.count());
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if bytes <= limit { Ok(()) } else { Err(Violation::AnswerTooLarge { bytes, limit }) }
    }

    /// Counts what the Topic Aliases of a client grew by. With the memory budget used up, each
    /// client has room for a few.
    pub(super) fn count_aliases(&mut self, id: ConnectionId) -> Result<(), Violation> {
        let Some(link) = self.roster.link_mut(id) else {
            return Ok(());
        };
        self.grown_bytes += count_held(link);
        let aliases_bytes = link.aliases.bytes();
        self.heed_budget();
        if self.bounds.memory_full && aliases_bytes > ALIASES_BYTES_WHEN_FULL {
            return Err(Violation::TopicAliasesFull);
        }
        Ok(())
    }

    /// Moves what waits in a session into its outbox, as far as there is room.
    pub(super) fn refill(&mut self, slot: u32) {
        let Some(session) = self.roster.session_mut(slot) else {
            return;
        };
        let held_before = Held::by(session);
        let unsent_before = session.unsent_bytes();
        let refilled = session.refill(&self.bounds, &mut self.spare);
        let grew = session.unsent_bytes() > unsent_before;
        let held = Held::by(session);
        self.note_held(held_before, held);
        for (total, sent) in self.counters.messages_sent.iter_mut().zip(refilled.sent) {
            *total += sent;
        }
        self.counters.payload_bytes_sent += refilled.payload_bytes;
        self.counters.packets_sent += refilled.released;
        self.counters.dropped(DropReason::PacketTooLarge, refilled.too_large);
        self.counters.dropped(DropReason::Expired, refilled.expired);
        if !refilled.refused.is_empty() {
            let member = self.roster.session_id(self.shard, slot);
            for delivery in refilled.refused {
                self.leftovers.refused_later(member, delivery);
            }
        }
        self.roster.note_backlog(slot);
        self.note_full(slot);
        if let Some(mids) = refilled.wanted {
            self.load(slot, mids);
        }
        self.note_kept(slot);
        if grew {
            self.mark_dirty(slot);
        }
    }

    /// The same where nothing else would lead to it: what waits is on the disk, and nobody has asked
    /// for it.
    fn refill_if_idle(&mut self, slot: u32) {
        let session = self.roster.session(slot);
        if session.is_some_and(|session| session.link.is_some() && session.queue.is_asleep()) {
            self.refill(slot);
        }
    }

    /// Bytes in an outbox from which on the server does not read the client. Messages stop at
    /// `outbox_bytes_max`; so what is above comes from answers to the client's own packets, and
    /// from one packet of any size.
    pub(super) const fn choke_bytes(&self) -> usize {
        self.bounds.outbox_bytes_max.saturating_mul(2)
    }

    /// A socket took bytes: gives an empty outbox's buffer back, counts what is left, and says
    /// whether something waits for the room.
    pub(super) fn flushed(&mut self, id: ConnectionId) -> bool {
        let choke_bytes = self.choke_bytes();
        let Some(session) = self.roster.connected_mut(id) else {
            return false;
        };
        let queued = !session.queue.is_empty();
        let Some(link) = &mut session.link else {
            return false;
        };
        link.dirty = false;
        if link.outbox.take_waited() >= choke_bytes {
            // Its PINGREQ may wait in a socket that is not read; that it takes what it is sent is
            // the sign of life `[MQTT-3.1.2-22]`.
            link.received_ms = self.bounds.ticks_ms;
        }
        link.outbox.release(&mut self.spare);
        self.grown_bytes += count_held(link);
        queued || !link.resend.is_empty()
    }

    /// Changes a session's window or queue and counts what it then holds; `None` when it is gone.
    pub(super) fn change<R>(
        &mut self,
        slot: u32,
        change: impl FnOnce(&mut Session, &Bounds) -> R,
    ) -> Option<R> {
        let session = self.roster.session_mut(slot)?;
        let held_before = Held::by(session);
        let result = change(session, &self.bounds);
        let held = Held::by(session);
        self.note_held(held_before, held);
        self.roster.note_backlog(slot);
        self.note_full(slot);
        self.note_kept(slot);
        self.heed_budget();
        Some(result)
    }

    pub(super) fn note_held(&mut self, before: Held, after: Held) {
        self.held.queued += after.queued - before.queued;
        self.held.inflight += after.inflight - before.inflight;
        self.held.bytes += after.bytes - before.bytes;
        self.grown_bytes += after.bytes - before.bytes;
    }

    pub(super) fn mark_dirty(&mut self, slot: u32) {
        let Some(session) = self.roster.session_mut(slot) else {
            return;
        };
        let Some(link) = &mut session.link else { return };
        self.grown_bytes += count_held(link);
        if !link.dirty {
            link.dirty = true;
            self.trays.dirty.push(ConnectionId { slot, serial: link.serial });
        }
        self.heed_budget();
    }

    /// The memory budget holds inside a step too: a single message may fill ten thousand outboxes.
    pub(super) fn heed_budget(&mut self) {
        if self.grown_bytes >= self.room_bytes && !self.bounds.memory_full {
            self.bounds.memory_full = true;
            self.bounds.outbox_bytes_max = self.bounds.outbox_bytes_max.min(OUTBOX_BYTES_WHEN_FULL);
        }
    }
}

/// With the memory budget used up, many slow clients together may not fill their outboxes either;
/// this is enough for the packets of one round trip of a client that reads.
const OUTBOX_BYTES_WHEN_FULL: usize = 16 * 1024;

/// The same for the Topic Aliases of one client.
const ALIASES_BYTES_WHEN_FULL: usize = 16 * 1024;

/// Counts what the memory of a connection grew or shrank by since the last time.
pub(super) fn count_held(link: &mut Link) -> i64 {
    let after = link.held_bytes();
    let before = std::mem::replace(&mut link.counted_bytes, after);
    signed(after as u64) - signed(before as u64)
}

pub(super) fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        inflight_max: limits.inflight_max,
        queue_messages_max: limits.queue_messages_max as usize,
        queue_bytes_max: limits.queue_bytes_max,
        queue_full: limits.queue_full,
        outbox_bytes_max: limits.outbox_bytes_max as usize,
        memory_full: false,
        store_full: false,
        ticks_ms: 0,
    }
}
