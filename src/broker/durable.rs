//! What waits for the disk: acknowledgements until what they say is there, and parked messages until
//! they are read back.

use super::desk::{Desk, count_held};
use super::timers::{Purpose, Timer};
use super::{ConnectionId, Load, Loaded, Shard};
use crate::codec::{Packet, encode};
use crate::session::{DropReason, Mid, Session};

/// How long an expired message may lie in a queue that nobody reads.
const EXPIRY_MS: u64 = 10_000;

impl Desk {
    /// As [`Self::send`], for an acknowledgement: when it `waits`, or others do before it, it is sent
    /// once what this step leaves is on the disk.
    pub(super) fn acknowledge(&mut self, slot: u32, packet: &Packet<'_>, waits: bool) {
        let Some(session) = self.roster.session_mut(slot) else {
            return;
        };
        let Some(link) = &mut session.link else {
            return;
        };
        if !waits && link.held.is_none() {
            return self.send(slot, packet);
        }
        let version = link.version;
        encode(packet, version, link.held_buffer());
        self.counters.packets_sent += 1;
        self.note_waiting(slot);
    }

    /// The ticket of the last record that somebody waits for.
    pub(super) const fn ticket(&self) -> u64 {
        self.trays.records.urgent_ticket()
    }

    /// Nothing goes out to a client before what this step leaves is on the disk.
    pub(super) fn shut(&mut self, id: ConnectionId) {
        if let Some(link) = self.roster.link_mut(id) {
            link.held.get_or_insert_default().shut_gate();
            self.note_waiting(id.slot);
        }
    }

    /// What SUBACK brings comes behind it, if it waits.
    pub(super) fn hold_messages(&mut self, id: ConnectionId) {
        let link = self.roster.link_mut(id);
        if let Some(held) = link.and_then(|link| link.held.as_mut()) {
            held.hold_messages();
        }
    }

    /// Takes in messages that came from the disk.
    pub(super) fn loaded(&mut self, loaded: Loaded) {
        let Loaded { session: id, messages } = loaded;
        if self.roster.addressed_mut(id).is_none() {
            return;
        }
        let mut lost = 0;
        self.change(id.slot, |session, _| {
            for (mid, content) in messages {
                let is_lost = content.is_none();
                let content = content.map(|(stored, identifiers)| (stored.message, identifiers));
                if session.queue.arrived(mid, content).is_some() && is_lost {
                    session.messages_dropped += 1;
                    lost += 1;
                    session.kept.iter_mut().for_each(|kept| kept.settle(mid));
                }
            }
            session.queue.loaded();
            if session.link.is_none() {
                session.queue.park_all();
            }
        });
        self.dropped(id.slot, DropReason::Lost, lost);
        self.refill(id.slot);
    }

    /// Takes up that a connection has packets that wait.
    pub(super) fn note_waiting(&mut self, slot: u32) {
        let session = self.roster.session_mut(slot);
        let Some(link) = session.and_then(|session| session.link.as_mut()) else { return };
        let Some(held) = &mut link.held else { return };
        if held.is_fresh() && !held.listed {
            held.listed = true;
            self.fresh.push(ConnectionId { slot, serial: link.serial });
        }
        self.grown_bytes += count_held(link);
    }

    /// The step is over: what waits waits for what it left.
    pub(super) fn seal(&mut self) {
        let ticket = self.ticket();
        for id in self.fresh.drain(..) {
            let link = self.roster.link_mut(id);
            let Some(held) = link.and_then(|link| link.held.as_mut()) else { continue };
            held.listed = false;
            held.seal(ticket);
            self.waiting.push_back((ticket, id));
        }
        self.release();
    }

    /// All records up to `ticket` are on the disk.
    pub(super) fn durable(&mut self, ticket: u64) {
        self.durable = self.durable.max(ticket);
        while let Some((ticket, client_id)) = self.ended_in_order.front()
            && *ticket <= self.durable
        {
            if self.ended.get(client_id) == Some(ticket) {
                self.ended.remove(client_id);
            }
            self.ended_in_order.pop_front();
        }
        self.release();
    }

    /// A session is over: its client is not told of another one before that is on the disk.
    pub(super) fn note_ended(&mut self, session: &Session) {
        let Some(sid) = session.sid() else { return };
        self.trays.records.session_ended(sid);
        let ticket = self.ticket();
        self.ended.insert(session.client_id.clone(), ticket);
        self.ended_in_order.push_back((ticket, session.client_id.clone()));
    }

    /// Sends what need not wait any more.
    fn release(&mut self) {
        while let Some(&(ticket, id)) = self.waiting.front()
            && ticket <= self.durable
        {
            self.waiting.pop_front();
            let Some(link) = self.roster.link_mut(id) else { continue };
            let Some(held) = &mut link.held else { continue };
            let held_messages = held.holds_messages();
            held.release(self.durable, link.outbox.buffer(&mut self.spare));
            let brings_messages = held_messages && !held.holds_messages();
            if held.is_empty() {
                link.held = None;
            }
            self.mark_dirty(id.slot);
            if brings_messages {
                self.refill(id.slot);
            }
        }
    }

    /// Asks the journal for messages of a session.
    pub(super) fn load(&mut self, slot: u32, mids: Vec<Mid>) {
        let id = self.roster.session_id(self.shard, slot);
        if let Some(sid) = self.roster.session(slot).and_then(Session::sid) {
            self.trays.loads.push(Load { session: id, sid, mids });
        }
    }

    /// A message that waits for a session expires some day.
    pub(super) fn note_expiry(&mut self, slot: u32, expires_ms: Option<u64>) {
        if expires_ms.is_some() {
            self.expiring.insert(slot);
        }
    }
}

impl Shard {
    /// All records up to a ticket are on the disk: what waited for them goes out.
    pub fn durable(&mut self, ticket: u64, now: super::Now) {
        self.begin(now);
        self.desk.durable(ticket);
        self.finish();
    }

    /// Messages came from the disk.
    pub fn loaded(&mut self, loaded: Loaded, now: super::Now) {
        self.begin(now);
        self.desk.loaded(loaded);
        self.finish();
    }

    /// Messages that wait are looked at again when some of them may have expired.
    pub(super) fn time_expiry(&mut self) {
        if !self.desk.expiring.is_empty() && !std::mem::replace(&mut self.expiry_timed, true) {
            let (at_ms, purpose) = (self.now.ticks_ms + EXPIRY_MS, Purpose::MessageExpiry);
            self.timers.set(Timer { at_ms, purpose, slot: 0, serial: 0, since_ms: 0 });
        }
    }

    /// Removes what has expired, wherever it stands in a queue, from the disk too.
    pub(super) fn expire_messages(&mut self) {
        self.expiry_timed = false;
        let ticks_ms = self.now.ticks_ms;
        for slot in std::mem::take(&mut self.desk.expiring) {
            let earliest = self.desk.roster.session(slot).map(|session| session.queue.earliest());
            let mut dropped = 0;
            if earliest.flatten().is_some_and(|at_ms| at_ms <= ticks_ms) {
                let expire = |session: &mut Session| session.expire(ticks_ms);
                dropped = self.desk.change(slot, |session, _| expire(session)).unwrap_or(0);
            }
            self.desk.counters.dropped(DropReason::Expired, dropped);
            let session = self.desk.roster.session(slot);
            if session.is_some_and(|session| session.queue.earliest().is_some()) {
                self.desk.expiring.insert(slot);
            }
        }
    }
}
