//! The end of a connection, of a Will's delay, and of a session.

use super::admit::keep_alive_ms;
use super::desk::Held;
use super::timers::{FAR_MS, Purpose, Timer};
use super::{Closing, ConnectionId, Departure, Event, Lost, Now, Shard, signed};
use crate::codec::{Disconnect, ReasonCode};
use crate::session::{Session, Violation};
use crate::topic::TopicFilter;

/// Why timers are set for a session whose client is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionTimers {
    /// It went.
    Left,
    /// The broker began anew: a Will goes out when all who may want it are there.
    Restored,
}

impl Shard {
    /// The connection ended outside. `ByPeer` leaves nothing in `closing`: the caller has the
    /// socket in its hand.
    pub fn lost(&mut self, id: ConnectionId, how: Lost, now: Now) {
        self.begin(now);
        let departure = match how {
            Lost::ByPeer => Departure::ByPeer,
            Lost::PartialPacketsFull => Departure::PartialPacketsFull,
            Lost::ServerShuttingDown => self.commons.directions().departure(),
            Lost::AdministrativeAction => Departure::AdministrativeAction,
        };
        self.end_connection(id, departure);
        self.finish();
    }

    /// All connections are about to end: what one of them leaves is not sent to another first.
    pub fn withdraw(&self) {
        self.desk.roster.withdraw();
    }

    /// DISCONNECT from the client.
    pub(super) fn disconnect(
        &mut self,
        id: ConnectionId,
        disconnect: &Disconnect<'_>,
    ) -> Result<(), Violation> {
        let expiry_max = self.limits.session_expiry_secs_max;
        let Some(session) = self.desk.roster.session_mut(id.slot) else {
            return Ok(());
        };
        if let Some(secs) = disconnect.properties.session_expiry_interval() {
            if session.expiry_interval_secs == 0 && secs > 0 && expiry_max > 0 {
                return Err(Violation::SessionExpiryFromZero);
            }
            session.expiry_interval_secs = secs.min(expiry_max);
        }
        // Only 0x00 discards the Will `[MQTT-3.14.4-3]`.
        let departure = if disconnect.reason == ReasonCode::Success {
            Departure::Normal
        } else {
            Departure::WithWill
        };
        self.end_connection(id, departure);
        Ok(())
    }

    /// Ends a connection, whoever wants it: farewell, Will, and the session's end or its wait
    /// `[MQTT-3.1.2-23]` `[MQTT3-4.1.0-1]` `[MQTT31-15]`. Whether a DISCONNECT could be sent or not, the connection is closed
    /// `[MQTT-4.13.2-1]` `[MQTT-3.14.4-2]`, and as it has no link any more nothing follows
    /// `[MQTT-3.14.4-1]`.
    pub(super) fn end_connection(&mut self, id: ConnectionId, departure: Departure) {
        if self.desk.roster.connected(id).is_none() {
            return;
        }
        self.say_goodbye(id, departure);
        let Some(mut link) = self.desk.roster.disconnect(id.slot) else {
            return;
        };
        self.desk.grown_bytes -= signed(link.counted_bytes as u64);
        if departure != Departure::ByPeer {
            // Whose session is not on the disk yet has heard nothing, and hears nothing.
            let farewell = if link.is_shut() { Vec::new() } else { link.outbox.take() };
            self.desk.trays.closing.push(Closing { id, farewell });
        }
        self.desk.counters.disconnections += 1;
        self.commons.note_disconnected();
        let now = self.now;
        let Some(session) = self.desk.roster.session_mut(id.slot) else {
            return;
        };
        session.disconnected_unix_ms = Some(now.unix_ms);
        session.away_since_ms = Some(now.ticks_ms);
        let client_id = session.client_id.clone();
        self.desk.trays.note(Event::Disconnected { client_id, peer: link.peer, departure });
        // `[MQTT-3.1.2-10]`
        let discards = departure == Departure::Normal && session.will.take().is_some();
        if !session.outlives_connection() {
            return self.end_session(id.slot);
        }
        self.desk.change(id.slot, |session, _| session.queue.park_all());
        // A client that comes back without a Will is not to be taken for lost with the old one.
        self.desk.note_state(id.slot, discards);
        self.recall_own(id.slot);
        self.set_session_timers(id.slot, SessionTimers::Left);
    }

    /// The client of a slot is away: sees to the end of its session and to its Will.
    pub(super) fn set_session_timers(&mut self, slot: u32, since: SessionTimers) {
        let Some(session) = self.desk.roster.session(slot) else { return };
        let expiry_secs = session.expiry_interval_secs;
        let will_delay_secs = session.will.as_ref().map(|will| will.delay_secs);
        if expiry_secs != u32::MAX {
            self.set_session_timer(slot, Purpose::SessionExpiry, expiry_secs);
        }
        match will_delay_secs {
            Some(0) if since == SessionTimers::Left => self.publish_will(slot),
            Some(secs) => self.set_session_timer(slot, Purpose::WillDelay, secs),
            None => {}
        }
    }

    /// Ends a session for good; a Will still waiting is published `[MQTT-3.1.3-9]`.
    pub(super) fn end_session(&mut self, slot: u32) {
        self.publish_will(slot);
        let session_id = self.session_id(slot);
        let is_member = self.desk.roster.is_member(slot);
        let Some(mut session) = self.desk.roster.remove(slot) else {
            return;
        };
        if !session.subscriptions.is_empty() {
            // Only valid filters were subscribed.
            let texts = session.subscriptions.iter().map(|(text, _)| text);
            let filters = texts.filter_map(|text| TopicFilter::parse(text).ok());
            self.commons.unsubscribe(filters, session_id);
        }
        self.desk.note_held(Held::by(&session), Held::default());
        self.desk.forget_full(session_id, &session);
        if is_member {
            self.bequeath(session_id, &mut session);
        }
        // Of what goes to others it is said when they have it.
        self.desk.release_all(&session);
        self.desk.note_ended(&session);
        self.commons.end_session();
        if session.outlives_connection() {
            let queue_messages = session.queue.len();
            let client_id = session.client_id;
            self.desk.trays.note(Event::SessionEnded { client_id, queue_messages });
        }
    }

    /// Publishes the Will, once `[MQTT-3.1.2-8]` `[MQTT-3.1.2-10]`, and retained where it asks for it
    /// `[MQTT-3.1.2-14]` `[MQTT-3.1.2-15]`.
    fn publish_will(&mut self, slot: u32) {
        let Some(session) = self.desk.roster.session_mut(slot) else {
            return;
        };
        let Some(will) = session.will.take() else {
            return;
        };
        let from = self.session_id(slot);
        let content = will.content(self.now.ticks_ms);
        self.route(Some(from), content, will.qos(), will.retain);
        // Behind the message: a crash in between publishes it twice rather than never. Not later, as a
        // client that comes back is not to be taken for lost once more.
        self.desk.note_state(slot, true);
    }

    /// The client of a slot comes back: publishes its Will when that was due before, and its timer has
    /// not come yet, as right after a restart `[MQTT-3.1.3-9]`.
    pub(super) fn publish_overdue_will(&mut self, slot: u32) {
        let Some(session) = self.desk.roster.session(slot) else { return };
        let due =
            session.away_since_ms.zip(session.will.as_ref()).is_some_and(|(since_ms, will)| {
                self.now.ticks_ms >= since_ms + u64::from(will.delay_secs) * 1000
            });
        if due {
            self.publish_will(slot);
        }
    }

    /// Sets a timer for something that is due `secs` after the session of a slot went away.
    fn set_session_timer(&mut self, slot: u32, purpose: Purpose, secs: u32) {
        let Some(session) = self.desk.roster.session(slot) else { return };
        let Some(since_ms) = session.away_since_ms else { return };
        let due_ms = since_ms + u64::from(secs) * 1000;
        let at_ms = due_ms.min(self.now.ticks_ms + FAR_MS);
        let serial = self.desk.roster.serial(slot);
        self.timers.set(Timer { at_ms, purpose, slot, serial, since_ms });
    }

    /// A timer came: does it still mean anything?
    pub(super) fn due(&mut self, timer: Timer) {
        match timer.purpose {
            Purpose::KeepAlive => self.keep_alive_due(timer),
            Purpose::WillDelay => self.will_due(timer),
            Purpose::SessionExpiry => self.expiry_due(timer),
            Purpose::Recall => self.recall_again(),
            Purpose::Position => self.note_positions(),
            Purpose::MessageExpiry => self.expire_messages(),
        }
    }

    fn keep_alive_due(&mut self, timer: Timer) {
        let id = ConnectionId { slot: timer.slot, serial: timer.serial };
        let Some(link) = self.desk.roster.link_mut(id) else {
            return;
        };
        let (secs, received_ms) = (link.keep_alive_secs, link.received_ms);
        if received_ms + keep_alive_ms(secs) <= self.now.ticks_ms {
            self.violated(id, Violation::KeepAliveTimeout);
        } else {
            self.watch_keep_alive(id, secs, received_ms);
        }
    }

    /// The session a timer was set for, if it is still away as it was then `[MQTT-4.1.0-1]`.
    fn away(&self, timer: &Timer) -> Option<&Session> {
        let session = self.desk.roster.session(timer.slot)?;
        let same = self.desk.roster.serial(timer.slot) == timer.serial
            && session.away_since_ms == Some(timer.since_ms);
        same.then_some(session)
    }

    fn will_due(&mut self, timer: Timer) {
        let session = self.away(&timer);
        let Some(will) = session.and_then(|session| session.will.as_ref()) else { return };
        let delay_secs = will.delay_secs;
        if self.is_over(&timer, delay_secs) {
            self.publish_will(timer.slot);
        } else {
            self.set_session_timer(timer.slot, timer.purpose, delay_secs);
        }
    }

    /// `[MQTT-4.1.0-2]`
    fn expiry_due(&mut self, timer: Timer) {
        let Some(session) = self.away(&timer) else { return };
        let expiry_secs = session.expiry_interval_secs;
        if self.is_over(&timer, expiry_secs) {
            self.desk.counters.sessions_expired += 1;
            self.end_session(timer.slot);
        } else {
            self.set_session_timer(timer.slot, timer.purpose, expiry_secs);
        }
    }

    const fn is_over(&self, timer: &Timer, secs: u32) -> bool {
        self.now.ticks_ms >= timer.since_ms + secs as u64 * 1000
    }
}
