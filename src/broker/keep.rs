//! What is to outlive the process: which messages, for whom, and what of a session.
//!
//! A message is written where it is published, once for all sessions that outlive their
//! connections, before any of them gets it. What becomes of it in each of them is said by that
//! session's shard.

use super::desk::Desk;
use super::journal::{Accepted, Armed, Class, Position, Recipient, SessionState};
use super::publish::Publication;
use super::routes::Matched;
use super::share::{Group, Member};
use super::timers::{Purpose, Timer};
use super::{Now, SessionId, Shard, Storing};
use crate::codec::QoS;
use crate::session::{Delivery, Done, Kept, Mid, Parcel, Session, Sid};

/// How long a session may be done with messages before that is written down.
const POSITION_MS: u64 = 1000;

impl Desk {
    /// How long messages of a topic last; nothing lasts without a store.
    pub(super) fn class(&self, class: Class) -> Class {
        if self.storing == Storing::Off { Class::Memory } else { class }
    }

    /// Writes a message down for those of its receivers that outlive their connections, and as the
    /// retained message of its topic under the name that it has as such. `None`: nobody needs it.
    pub(super) fn keep<'r>(
        &mut self,
        parcel: &Parcel<'_>,
        (class, retained): (Class, Option<Mid>),
        recipients: impl Iterator<Item = Recipient<'r>>,
    ) -> Option<Mid> {
        if class == Class::Memory {
            return None;
        }
        let mut recipients = recipients.peekable();
        if retained.is_none() && recipients.peek().is_none() {
            return None;
        }
        let mid = retained.unwrap_or_else(|| self.commons.name_message(self.shard));
        let accepted = Accepted {
            mid,
            content: *parcel.content(),
            qos: parcel.qos(),
            retain: parcel.retain(),
            retained: retained.is_some(),
            unix_ms: parcel.accepted_unix_ms(),
            unix_less_ticks_ms: self.unix_less_ticks_ms(),
        };
        self.trays.records.message(&accepted, recipients, class);
        Some(mid)
    }

    pub(super) const fn unix_less_ticks_ms(&self) -> u64 {
        self.now.unix_ms.saturating_sub(self.now.ticks_ms)
    }

    /// A session does not get a message that was written down for it.
    pub(super) fn settle(&mut self, id: SessionId, mid: Mid) {
        match self.roster.addressed_mut(id).and_then(|session| session.kept.as_mut()) {
            Some(kept) => {
                kept.settle(mid);
                self.note_kept(id.slot);
            }
            None => self.trays.records.done(mid),
        }
    }

    /// Takes up what a step of a session left for the journal.
    pub(super) fn note_kept(&mut self, slot: u32) {
        let Some(session) = self.roster.session_mut(slot) else { return };
        let Some(kept) = &mut session.kept else { return };
        for mid in &kept.freed {
            self.trays.records.done(*mid);
        }
        for (mid, packet_id) in &kept.sent {
            self.trays.records.sent(kept.sid, *mid, *packet_id, false);
        }
        kept.told();
        if kept.has_position() && !kept.stale {
            kept.stale = true;
            self.stale.push(slot);
        }
        self.note_waiting(slot);
    }

    /// Writes down what a session is, apart from its subscriptions and messages; `urgent`: somebody
    /// waits for it, as always where it changes what CONNACK promises.
    pub(super) fn note_state(&mut self, slot: u32, urgent: bool) {
        let Some(session) = self.roster.session(slot) else { return };
        let Some(sid) = session.sid() else { return };
        let state = SessionState {
            client_id: &session.client_id,
            username: session.username.as_deref(),
            version: session.version,
            expiry_interval_secs: session.expiry_interval_secs,
            created_unix_ms: session.created_unix_ms,
            connected_unix_ms: session.connected_unix_ms,
            disconnected_unix_ms: session.disconnected_unix_ms,
            will: session.will.as_deref().map(Armed::Lent),
        };
        let promise = session.promise();
        let changes = session.kept.as_ref().is_some_and(|kept| kept.promise != Some(promise));
        self.trays.records.session(sid, &state, urgent || changes);
        let session = self.roster.session_mut(slot).filter(|_| changes);
        if let Some(kept) = session.and_then(|session| session.kept.as_mut()) {
            kept.promise = Some(promise);
            kept.promise_ticket = self.trays.records.ticket();
        }
    }

    /// Says that nobody needs what a session held that is over.
    pub(super) fn release_all(&mut self, session: &Session) {
        if session.kept.is_none() {
            return;
        }
        for mid in session.queue.mids() {
            self.trays.records.done(mid);
        }
        for (mid, _) in session.inflight.mids().filter(|(_, is_of_use)| *is_of_use) {
            self.trays.records.done(mid);
        }
    }
}

/// The receivers of a message that outlive their connections.
pub(super) fn recipients<'r>(
    publication: Publication,
    matched: &'r Matched,
    chosen: &'r [(&'r Group, &'r Member)],
) -> impl Iterator<Item = Recipient<'r>> {
    let own = matched.receivers.iter().filter_map(move |receiver| {
        let sid = receiver.sid?;
        let to = publication.address(receiver)?;
        let identifiers = receiver.identifiers.as_slice();
        let (qos, retain) = (to.qos, to.retain);
        let recipient = Recipient { sid, qos, retain, share: None, identifiers };
        (qos != QoS::AtMostOnce).then_some(recipient)
    });
    own.chain(
        chosen
            .iter()
            .filter_map(move |(group, member)| shared_recipient(publication, group, member)),
    )
}

/// Whether a member of a group that outlives its connection gets a message by a subscription of its
/// own already, or by another of these groups.
pub(super) fn gets_it(
    publication: Publication,
    matched: &Matched,
    chosen: &[(&Group, &Member)],
    member: &Member,
) -> bool {
    if member.subscriber.sid.is_none() {
        return false;
    }
    let session = member.session();
    // They stand in the order of their sessions.
    let first = matched.receivers.partition_point(|receiver| receiver.session < session);
    let mut own = matched.receivers[first..].iter().take_while(|own| own.session == session);
    own.any(|receiver| publication.address(receiver).is_some())
        || chosen.iter().any(|(_, other)| other.session() == session)
}

/// A member of a group that outlives its connection.
pub(super) fn shared_recipient<'r>(
    publication: Publication,
    group: &'r Group,
    member: &'r Member,
) -> Option<Recipient<'r>> {
    let subscriber = &member.subscriber;
    let qos = publication.qos.min(subscriber.qos);
    let identifiers = match &subscriber.identifier {
        0 => &[][..],
        identifier => std::slice::from_ref(identifier),
    };
    (qos != QoS::AtMostOnce).then_some(Recipient {
        sid: subscriber.sid?,
        qos,
        retain: publication.retain && subscriber.retain_as_published,
        share: Some(group.text()),
        identifiers,
    })
}

impl Shard {
    /// Has the journal know a session from now on, with all that it is.
    pub(super) fn begin_keeping(&mut self, slot: u32) {
        if self.desk.storing == Storing::Off {
            return;
        }
        let sid = self.commons.name_session();
        let Some(session) = self.desk.roster.session_mut(slot) else { return };
        session.kept = Some(Box::new(Kept::new(sid)));
        self.desk.note_state(slot, true);
        self.reroute(slot);
        let Some(session) = self.desk.roster.session(slot) else { return };
        for (filter, subscription) in session.subscriptions.iter() {
            self.desk.trays.records.subscribed(sid, filter, subscription);
        }
        for packet_id in session.received.iter() {
            self.desk.trays.records.received(sid, packet_id);
        }
        self.keep_waiting(slot, sid);
    }

    /// Writes down what waits for a session already.
    fn keep_waiting(&mut self, slot: u32, sid: Sid) {
        let Some(session) = self.desk.roster.session_mut(slot) else { return };
        let mut inflight = std::mem::take(&mut session.inflight);
        let mut queue = std::mem::take(&mut session.queue);
        for (packet_id, delivery) in inflight.kept_mut() {
            if let Some(mid) = self.keep_delivery(sid, delivery)
                && delivery.qos == QoS::ExactlyOnce
            {
                self.desk.trays.records.sent(sid, mid, packet_id, false);
            }
        }
        for delivery in queue.ready_mut() {
            self.keep_delivery(sid, delivery);
        }
        if let Some(session) = self.desk.roster.session_mut(slot) {
            session.inflight = inflight;
            session.queue = queue;
        }
    }

    fn keep_delivery(&mut self, sid: Sid, delivery: &mut Delivery) -> Option<Mid> {
        if delivery.qos == QoS::AtMostOnce {
            return None;
        }
        let group = delivery.share.and_then(|share| self.commons.group(share));
        let class = self.limits.durability.class(delivery.message.topic());
        let (qos, retain) = (delivery.qos, delivery.retain);
        let share = group.as_deref().map(Group::text);
        let identifiers = delivery.identifiers.as_slice();
        let recipient = Recipient { sid, qos, retain, share, identifiers };
        let message = std::sync::Arc::clone(&delivery.message);
        let parcel = Parcel::stored(&message);
        let class = self.desk.class(class);
        delivery.mid = self.desk.keep(&parcel, (class, None), std::iter::once(recipient));
        delivery.mid
    }

    /// Puts the subscriptions of a session into the routes anew, as its name has changed.
    fn reroute(&mut self, slot: u32) {
        let id = self.session_id(slot);
        let presence = self.desk.roster.known_presence(slot);
        let Some(session) = self.desk.roster.session(slot) else { return };
        for (text, subscription) in session.subscriptions.iter() {
            let Ok(filter) = crate::topic::TopicFilter::parse(text) else { continue };
            let subscriber = super::routes::Subscriber::new(id, session.sid(), subscription);
            let presence = presence.as_ref().filter(|_| filter.share().is_some());
            self.commons.subscribe(filter, subscriber, presence, true);
        }
    }

    /// Writes down what sessions are done with; a second is over.
    pub(super) fn note_positions(&mut self) {
        self.positions_timed = false;
        for slot in std::mem::take(&mut self.desk.stale) {
            self.note_position(slot);
        }
        // What this names is in a mailbox now, and will have been read when the next second is over.
        self.horizon = self.commons.horizon();
    }

    /// Writes down what a session is done with, if that was not done already.
    pub(super) fn note_position(&mut self, slot: u32) {
        let session = self.desk.roster.session_mut(slot);
        let is_stale = |session: &&mut Session| session.kept.as_ref().is_some_and(|it| it.stale);
        let Some(session) = session.filter(is_stale) else { return };
        let next_packet_id = session.inflight.upcoming();
        let Some(Done { sid, cursor, above }) = session.position(self.horizon) else { return };
        let position = Position { cursor, above, next_packet_id };
        self.desk.trays.records.position(sid, &position);
    }

    /// Writes down with which Packet Identifier a session goes on, for the first connection after a
    /// restart; whether this is that one. Else the next life would begin with the same, while the client
    /// waits for PUBREL under it.
    pub(super) fn tell_identifier(&mut self, slot: u32) -> bool {
        let session = self.desk.roster.session_mut(slot);
        let Some(kept) = session.and_then(|session| session.kept.as_mut()) else { return false };
        let is_untold = std::mem::take(&mut kept.identifier_untold);
        if is_untold {
            kept.stale = true;
            self.note_position(slot);
        }
        is_untold
    }

    /// Writes down at once what sessions are done with, for a copy of what is kept.
    pub fn tell_positions(&mut self, now: Now) {
        self.begin(now);
        self.note_positions();
        self.finish();
    }

    /// The positions of sessions are written down a second after the first of them has moved.
    pub(super) fn time_positions(&mut self) {
        if !self.desk.stale.is_empty() && !std::mem::replace(&mut self.positions_timed, true) {
            let (at_ms, purpose) = (self.now.ticks_ms + POSITION_MS, Purpose::Position);
            self.timers.set(Timer { at_ms, purpose, slot: 0, serial: 0, since_ms: 0 });
        }
    }
}
