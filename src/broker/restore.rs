//! A restart: from records to sessions, subscriptions and retained messages.
//!
//! All that waited is parked, but for what may have to leave at once: QoS 2 messages under way, and
//! messages of Shared Subscriptions. Time went on meanwhile: what expired is gone, and sessions and
//! Wills are due when they were due. Who was connected when the broker ended is away from now on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::depart::SessionTimers;
use super::desk::Held;
use super::journal::{Addressed, Armed};
use super::routes::Subscriber;
use super::{
    Commons, Damaged, Envelope, Mid, Now, Position, Restore, SessionState, Shard, Sid,
    StoredMessage, Waiting, read_subscription,
};
use crate::session::{Delivery, Identifiers, Inflight, Kept, Message, Parked, Session};
use crate::topic::TopicFilter;

/// How far behind the last Packet Identifier that was written down new ones begin: those given out
/// since must not be mistaken for others by an acknowledgement that comes late. It is written down
/// with the next connection, so that they begin elsewhere after each restart.
const IDENTIFIERS_PASSED: u32 = 16 * 1024;

/// Takes in what the store kept, and gives each shard its part.
#[derive(Debug)]
pub struct Restoration {
    commons: Arc<Commons>,
    now: Now,
    drafts: BTreeMap<Sid, Draft>,
    /// Who wants the body of the message at hand.
    wanting: Vec<(Sid, Wanted)>,
    /// Retained messages that have expired meanwhile.
    expired: Vec<(Mid, Box<str>)>,
}

/// What one shard gets of it, for [`Shard::restore`].
#[derive(Debug, Default)]
pub struct Restored {
    sessions: Vec<Draft>,
    expired: Vec<(Mid, Box<str>)>,
}

/// A session, before it has a place.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) session: Box<Session>,
    sid: Sid,
    position: Position,
    /// QoS 2 messages under way, with their Packet Identifiers, and whether PUBREC came.
    pub(super) sent: BTreeMap<Mid, (u16, bool)>,
    /// Those of them that are to be sent again.
    again: BTreeMap<Mid, Delivery>,
    /// Messages of Shared Subscriptions, with their texts.
    shared: Vec<(Box<str>, Delivery)>,
}

/// How one session gets the message at hand.
#[derive(Debug)]
struct Wanted {
    qos: crate::codec::QoS,
    retain: bool,
    share: Option<Box<str>>,
    identifiers: Identifiers,
}

impl Restoration {
    /// For the shards of `commons`.
    #[must_use]
    pub fn new(commons: Arc<Commons>, now: Now) -> Self {
        let (wanting, expired) = (Vec::new(), Vec::new());
        Self { commons, now, drafts: BTreeMap::new(), wanting, expired }
    }

    /// One part for each shard.
    #[must_use]
    pub fn finish(self) -> Vec<Restored> {
        let shards = 0..self.commons.shards();
        let mut parts: Vec<Restored> = shards.map(|_| Restored::default()).collect();
        for draft in self.drafts.into_values() {
            parts[self.commons.home(&draft.session.client_id)].sessions.push(draft);
        }
        parts[0].expired = self.expired;
        parts
    }

    const fn unix_less_ticks_ms(&self) -> u64 {
        self.now.unix_ms.saturating_sub(self.now.ticks_ms)
    }
}

impl Restore for Restoration {
    fn session(&mut self, sid: Sid, state: &[u8]) -> Result<(), Damaged> {
        let state = SessionState::open(state).ok_or(Damaged)?;
        let mut draft = Draft::new(&state, sid);
        draft.session.will = match state.will {
            Some(Armed::Read(will)) => Some(will),
            Some(Armed::Lent(_)) | None => None,
        };
        self.drafts.insert(sid, draft);
        Ok(())
    }

    fn subscription(&mut self, sid: Sid, filter: &str, options: &[u8]) -> Result<(), Damaged> {
        let subscription = read_subscription(options).ok_or(Damaged)?;
        TopicFilter::parse(filter).map_err(|_| Damaged)?;
        if let Some(draft) = self.drafts.get_mut(&sid) {
            draft.session.subscriptions.insert(filter, subscription);
        }
        Ok(())
    }

    fn position(&mut self, sid: Sid, cursor: u64, position: &[u8]) -> Result<(), Damaged> {
        let position = Position::open(cursor, position).ok_or(Damaged)?;
        if let Some(draft) = self.drafts.get_mut(&sid) {
            draft.position = position;
        }
        Ok(())
    }

    fn received(&mut self, sid: Sid, packet_id: u16) {
        if let Some(draft) = self.drafts.get_mut(&sid) {
            draft.session.received.insert(packet_id);
        }
    }

    fn sent(&mut self, sid: Sid, mid: Mid, packet_id: u16, released: bool) {
        if let Some(draft) = self.drafts.get_mut(&sid)
            && !draft.is_done_with(mid)
        {
            draft.sent.insert(mid, (packet_id, released));
        }
    }

    fn retained(&mut self, mid: Mid, body: &[u8]) -> Result<(), Damaged> {
        let offset = self.unix_less_ticks_ms();
        let StoredMessage { message, stored_unix_ms } =
            StoredMessage::open(body, offset).ok_or(Damaged)?;
        if message.has_expired(self.now.ticks_ms) {
            self.expired.push((mid, message.topic().into()));
        }
        self.commons.restore_retained(message, (stored_unix_ms, self.now.ticks_ms), mid);
        Ok(())
    }

    fn message(&mut self, mid: Mid, envelope: &[u8]) -> Result<Waiting, Damaged> {
        self.wanting.clear();
        let envelope = Envelope::open(envelope).ok_or(Damaged)?;
        let has_expired = envelope.expires_unix_ms.is_some_and(|at_ms| at_ms <= self.now.unix_ms);
        let offset = self.unix_less_ticks_ms();
        let expires_ms = envelope.expires_unix_ms.map(|at_ms| at_ms.saturating_sub(offset));
        let mut waiting = Waiting::default();
        for addressed in envelope.recipients() {
            let Addressed { sid, qos, retain, share, identifiers } = addressed.ok_or(Damaged)?;
            let Some(draft) = self.drafts.get_mut(&sid).filter(|draft| !draft.is_done_with(mid))
            else {
                continue;
            };
            match draft.sent.get(&mid) {
                // Only PUBREL is to be sent again.
                Some((_, true)) => continue,
                // What was sent once goes out again, expired or not `[MQTT-4.3.3-7]`.
                Some((_, false)) => {}
                None if has_expired => continue,
                None if share.is_none() => {
                    let bytes = envelope.content_bytes;
                    draft.session.queue.park(Parked::new(mid, bytes, expires_ms, qos, retain));
                    waiting.recipients += 1;
                    continue;
                }
                None => {}
            }
            waiting.recipients += 1;
            waiting.wants_body = true;
            let share = share.map(Into::into);
            self.wanting.push((sid, Wanted { qos, retain, share, identifiers }));
        }
        Ok(waiting)
    }

    fn body(&mut self, mid: Mid, body: &[u8]) -> Result<(), Damaged> {
        let stored = StoredMessage::open(body, self.unix_less_ticks_ms()).ok_or(Damaged)?;
        for (sid, wanted) in std::mem::take(&mut self.wanting) {
            if let Some(draft) = self.drafts.get_mut(&sid) {
                draft.take_in(mid, &stored.message, wanted);
            }
        }
        Ok(())
    }
}

impl Draft {
    /// A session that has nothing yet, not even its Will.
    pub(super) fn new(state: &SessionState<'_>, sid: Sid) -> Self {
        let mut session =
            Session::new(state.client_id.into(), state.version, state.created_unix_ms);
        session.username = state.username.map(Into::into);
        session.clean_start = false;
        session.expiry_interval_secs = state.expiry_interval_secs;
        session.connected_unix_ms = state.connected_unix_ms;
        session.disconnected_unix_ms = state.disconnected_unix_ms;
        Self {
            session: Box::new(session),
            sid,
            position: Position::default(),
            sent: BTreeMap::new(),
            again: BTreeMap::new(),
            shared: Vec::new(),
        }
    }

    fn is_done_with(&self, mid: Mid) -> bool {
        self.position.is_done(mid)
    }

    fn take_in(&mut self, mid: Mid, message: &Arc<Message>, wanted: Wanted) {
        let Wanted { qos, retain, share, identifiers } = wanted;
        let message = Arc::clone(message);
        let delivery = Delivery { message, mid: Some(mid), qos, retain, share: None, identifiers };
        if self.sent.contains_key(&mid) {
            self.again.insert(mid, delivery);
        } else if let Some(share) = share {
            self.shared.push((share, delivery));
        }
    }

    /// Puts together what is under way to the client.
    fn inflight(&mut self) -> Inflight {
        let next = u32::from(self.position.next_packet_id.max(1)) - 1 + IDENTIFIERS_PASSED;
        let next = u16::try_from(next % u32::from(u16::MAX)).unwrap_or(0) + 1;
        let mut inflight = Inflight::restored(next);
        for (mid, (packet_id, is_released)) in &self.sent {
            match self.again.remove(mid) {
                Some(delivery) => inflight.restore(*packet_id, *mid, Some(delivery)),
                None if *is_released => inflight.restore(*packet_id, *mid, None),
                // Its message is gone: so nobody waits for it any more.
                None => {}
            }
        }
        inflight
    }
}

impl Shard {
    /// Takes in what an earlier life left; before the first connection.
    pub fn restore(&mut self, restored: Restored, now: Now) {
        self.begin(now);
        for draft in restored.sessions {
            self.restore_session(draft);
        }
        for (mid, topic) in restored.expired {
            self.desk.trays.records.retained_gone(mid, &topic, None);
        }
        self.finish();
    }

    pub(super) fn restore_session(&mut self, mut draft: Draft) {
        let inflight = draft.inflight();
        let Draft { mut session, sid, position, shared, .. } = draft;
        let was_connected = session.disconnected_unix_ms.is_none();
        let since_unix_ms = session.disconnected_unix_ms.unwrap_or(self.now.unix_ms);
        let away_ms = self.now.unix_ms.saturating_sub(since_unix_ms);
        session.disconnected_unix_ms = Some(since_unix_ms);
        session.away_since_ms = Some(self.now.ticks_ms.saturating_sub(away_ms));
        let mut kept = Kept::restored(sid, position.cursor, position.above);
        kept.promise = Some(session.promise());
        kept.identifier_untold = true;
        session.kept = Some(Box::new(kept));
        session.inflight = inflight;
        self.commons.begin_session(u64::MAX);
        let Some(slot) = self.desk.roster.insert(*session) else { return };
        self.restore_subscriptions(slot);
        let commons = Arc::clone(&self.commons);
        if let Some(session) = self.desk.roster.session_mut(slot) {
            for (text, mut delivery) in shared {
                delivery.share = commons.group_named(&text).map(|group| group.id());
                session.queue.push(delivery);
            }
            session.queue.park_all();
            let held = Held::by(session);
            self.desk.note_held(Held::default(), held);
        }
        let earliest = self.desk.roster.session(slot).and_then(|session| session.queue.earliest());
        self.desk.note_expiry(slot, earliest);
        self.desk.roster.note_backlog(slot);
        self.desk.note_full(slot);
        if was_connected {
            self.desk.note_state(slot, false);
        }
        self.set_session_timers(slot, SessionTimers::Restored);
    }

    fn restore_subscriptions(&mut self, slot: u32) {
        let id = self.session_id(slot);
        let Some(session) = self.desk.roster.session(slot) else { return };
        let is_shared = |filter: &str| filter.starts_with("$share/");
        let shares = session.subscriptions.iter().any(|(filter, _)| is_shared(filter));
        let presence = shares.then(|| self.desk.roster.presence(slot));
        let Some(session) = self.desk.roster.session(slot) else { return };
        for (text, subscription) in session.subscriptions.iter() {
            let Ok(filter) = TopicFilter::parse(text) else { continue };
            let subscriber = Subscriber::new(id, session.sid(), subscription);
            let presence = presence.as_ref().filter(|_| filter.share().is_some());
            self.commons.subscribe(filter, subscriber, presence, false);
        }
    }
}
