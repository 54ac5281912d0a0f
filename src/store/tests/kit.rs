//! What a broker would leave for the store, at random, and what must be found of it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use crate::broker::{
    Accepted, Class, Damaged, Envelope, Mid, Position, Recipient, Records, Restore, Run,
    SessionState, Sid, StoredMessage, Waiting, read_subscription,
};
use crate::codec::{Properties, QoS, RetainHandling, SubscriptionOptions, Version};
use crate::session::{Content, Subscription};
use crate::store::{Options, Recovered, SqliteStore, Store, StoreError};

/// Chance that can be repeated.
pub(super) struct Chance(u64);

impl Chance {
    /// Says on standard output what it began with.
    pub(super) fn new(seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        println!("seed {seed}");
        Self(seed)
    }

    pub(super) const fn quiet(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(super) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.below(of.len())]) }
    }
}

pub(super) fn mid(number: u64) -> Mid {
    Mid::new(number).unwrap()
}

/// The payload of a message: told by its name.
pub(super) fn payload(mid: u64, large: bool) -> Vec<u8> {
    let mut chance = Chance(mid);
    let len = if large { 20_000 + chance.below(30_000) } else { chance.below(600) };
    let mut payload = mid.to_le_bytes().to_vec();
    payload.extend((0..len).map(|_| chance.next().to_le_bytes()[0]));
    payload
}

/// Leaves a message for `sids`.
pub(super) fn put_message(
    records: &mut Records,
    number: u64,
    topic: &str,
    sids: &[u64],
    (retained, payload): (bool, &[u8]),
) {
    let content = Content { topic, properties: Properties::EMPTY, payload, expires_ms: None };
    let accepted = Accepted {
        mid: mid(number),
        content,
        qos: QoS::AtLeastOnce,
        retain: retained,
        retained,
        unix_ms: 1_000,
        unix_less_ticks_ms: 0,
    };
    let recipients = sids.iter().map(|sid| Recipient {
        sid: Sid::new(*sid).unwrap(),
        qos: QoS::AtLeastOnce,
        retain: false,
        share: None,
        identifiers: &[],
    });
    records.message(&accepted, recipients, Class::Disk);
}

pub(super) fn put_session(records: &mut Records, sid: u64, version: u64) {
    let state = SessionState {
        client_id: &format!("client{sid}"),
        username: None,
        version: Version::V5,
        expiry_interval_secs: 3600,
        created_unix_ms: version,
        connected_unix_ms: 2,
        disconnected_unix_ms: None,
        will: None,
    };
    records.session(Sid::new(sid).unwrap(), &state, true);
}

fn subscription(identifier: u32) -> Subscription {
    let options = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
    };
    Subscription { options, identifier: Some(identifier) }
}

/// What must be there, and what a broker has in mind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) sessions: BTreeMap<u64, Session>,
    /// By topic: the name, if it is not gone.
    pub(super) retained: BTreeMap<String, (u64, bool)>,
    next_sid: u64,
    pub(super) next_mid: u64,
    /// Names given to messages that are written later.
    late: Vec<u64>,
    large: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) version: u64,
    pub(super) subscriptions: BTreeMap<String, u32>,
    /// Names; whether the session is done with the message, and the store was told.
    pub(super) messages: BTreeMap<u64, bool>,
    pub(super) position: Option<Position>,
    pub(super) received: BTreeSet<u16>,
    pub(super) sent: BTreeMap<u64, (u16, bool)>,
}

impl Truth {
    pub(super) fn new(large: bool) -> Self {
        Self { next_sid: 1, next_mid: 1, large, ..Self::default() }
    }

    /// Says a number by which this state can be told from others: the version of session 1.
    pub(super) fn mark(&mut self, records: &mut Records) {
        self.next_sid = self.next_sid.max(2);
        let session = self.sessions.entry(1).or_default();
        session.version += 1;
        put_session(records, 1, session.version);
    }

    pub(super) fn number(&self) -> u64 {
        self.sessions.get(&1).map_or(0, |session| session.version)
    }

    /// Does something at random; the records of two shards.
    pub(super) fn batch(&mut self, chance: &mut Chance, steps: usize) -> Vec<Records> {
        let mut shards = vec![Records::default(), Records::default()];
        (0..steps).for_each(|_| self.step(chance, &mut shards));
        shards
    }

    fn step(&mut self, chance: &mut Chance, shards: &mut [Records]) {
        let sids: Vec<u64> = self.sessions.keys().copied().collect();
        let one = chance.pick(&sids);
        let begins = chance.one_in(20) && sids.len() < 12;
        // A session speaks through its own shard.
        let of = if begins { Some(self.next_sid) } else { one };
        let any = chance.below(2);
        let what = chance.below(20);
        let shard = match of {
            Some(sid) if begins || what < 10 && what != 6 => usize::try_from(sid % 2).unwrap(),
            _ => any,
        };
        let records = &mut shards[shard];
        match (what, one) {
            _ if begins => self.begin_session(records),
            (0 | 1, Some(sid)) if chance.one_in(10) => self.end_session(sid, records),
            (2, Some(sid)) => self.subscribe(sid, chance, records),
            (3, Some(sid)) => self.receive(sid, chance, records),
            (4, Some(sid)) => self.send(sid, chance, records),
            (5, Some(sid)) => self.position(sid, records),
            (6, _) => self.clear_topic(chance, records),
            (7..=9, Some(sid)) => self.done(sid, chance, records),
            (10, _) if self.late.len() < 3 => {
                self.late.push(self.next_mid);
                self.next_mid += 1;
            }
            _ => self.message(&sids, chance, records),
        }
    }

    fn begin_session(&mut self, records: &mut Records) {
        let sid = self.next_sid;
        self.next_sid += 1;
        self.sessions.insert(sid, Session::default());
        put_session(records, sid, 0);
    }

    fn end_session(&mut self, sid: u64, records: &mut Records) {
        // By the first session states are told apart.
        if sid == 1 {
            return;
        }
        let session = self.sessions.remove(&sid).unwrap();
        records.session_ended(Sid::new(sid).unwrap());
        for (name, done) in session.messages {
            if !done {
                records.done(mid(name));
            }
        }
        // What is said of it now is left out.
        records.received(Sid::new(sid).unwrap(), 9);
        records.position(Sid::new(sid).unwrap(), &Position::default());
    }

    fn subscribe(&mut self, sid: u64, chance: &mut Chance, records: &mut Records) {
        let session = self.sessions.get_mut(&sid).unwrap();
        let filter = format!("filter/{}", chance.below(4));
        if session.subscriptions.remove(&filter).is_some() && chance.one_in(2) {
            records.unsubscribed(Sid::new(sid).unwrap(), &filter);
        } else {
            let identifier = u32::try_from(1 + chance.below(100)).unwrap();
            records.subscribed(Sid::new(sid).unwrap(), &filter, &subscription(identifier));
            session.subscriptions.insert(filter, identifier);
        }
        session.version += 1;
        put_session(records, sid, session.version);
    }

    fn receive(&mut self, sid: u64, chance: &mut Chance, records: &mut Records) {
        let session = self.sessions.get_mut(&sid).unwrap();
        let packet_id = u16::try_from(1 + chance.below(5)).unwrap();
        if session.received.remove(&packet_id) {
            records.released(Sid::new(sid).unwrap(), packet_id);
        } else {
            session.received.insert(packet_id);
            records.received(Sid::new(sid).unwrap(), packet_id);
        }
    }

    fn send(&mut self, sid: u64, chance: &mut Chance, records: &mut Records) {
        let session = self.sessions.get_mut(&sid).unwrap();
        let cursor = session.position.as_ref().map_or(0, |position| position.cursor);
        let waiting: Vec<u64> =
            session.messages.keys().copied().filter(|mid| *mid > cursor).collect();
        let Some(name) = chance.pick(&waiting) else { return };
        let packet_id = u16::try_from(1 + chance.below(60_000)).unwrap();
        let released = session.sent.contains_key(&name);
        session.sent.insert(name, (packet_id, released));
        records.sent(Sid::new(sid).unwrap(), mid(name), packet_id, released);
    }

    fn position(&mut self, sid: u64, records: &mut Records) {
        let first_late = self.late.iter().min().copied().unwrap_or(self.next_mid);
        let session = self.sessions.get_mut(&sid).unwrap();
        let first = session.messages.iter().find(|(_, done)| !**done).map(|(mid, _)| *mid);
        let cursor = first.unwrap_or(first_late).min(first_late) - 1;
        let above = session.messages.iter().filter(|(mid, done)| **done && **mid > cursor);
        let mut above: Vec<_> = above.map(|(name, _)| Run::of(mid(*name))).collect();
        let before = session.position.iter().flat_map(|position| &position.above);
        above.extend(before.filter(|run| run.last.get() > cursor));
        above.sort_unstable();
        let position = Position { cursor, above, next_packet_id: 7 };
        records.position(Sid::new(sid).unwrap(), &position);
        let is_above = |mid: &u64| {
            position.above.iter().any(|run| (run.first.get()..=run.last.get()).contains(mid))
        };
        session.sent.retain(|mid, _| *mid > cursor && !is_above(mid));
        session.messages.retain(|_, done| !*done);
        session.position = Some(position);
    }

    fn clear_topic(&mut self, chance: &mut Chance, records: &mut Records) {
        let topic = format!("topic/{}", chance.below(6));
        let held = self.retained.get(&topic).copied();
        // It expired, or somebody removed it.
        let name = match held {
            Some((name, true)) if chance.one_in(2) => name,
            _ => {
                self.next_mid += 1;
                self.next_mid - 1
            }
        };
        self.retained.insert(topic.clone(), (name, false));
        records.retained_gone(mid(name), &topic, Some(Class::Disk));
    }

    fn done(&mut self, sid: u64, chance: &mut Chance, records: &mut Records) {
        let session = self.sessions.get_mut(&sid).unwrap();
        let most = 1 + chance.below(4);
        for (name, done) in session.messages.iter_mut().filter(|(_, done)| !**done).take(most) {
            *done = true;
            records.done(mid(*name));
        }
    }

    fn message(&mut self, sids: &[u64], chance: &mut Chance, records: &mut Records) {
        // The store reckons with a bound.
        let overdue = self.late.first().is_some_and(|late| late + 10 < self.next_mid);
        let late = if overdue || chance.one_in(2) { self.late.first().copied() } else { None };
        self.late.retain(|name| Some(*name) != late);
        let name = late.unwrap_or_else(|| {
            self.next_mid += 1;
            self.next_mid - 1
        });
        let retained = chance.one_in(3);
        let topic = format!("topic/{}", chance.below(6));
        let to: Vec<u64> = sids.iter().copied().filter(|_| chance.one_in(3)).collect();
        let large = self.large && chance.one_in(2);
        put_message(records, name, &topic, &to, (retained, &payload(name, large)));
        for sid in to {
            self.sessions.get_mut(&sid).unwrap().messages.insert(name, false);
        }
        if retained && self.retained.get(&topic).is_none_or(|(known, _)| *known < name) {
            self.retained.insert(topic, (name, true));
        }
    }

    /// Fails unless a store that was just opened has all of this and nothing else, except for
    /// messages that a session is done with since its last position. Goes on from what is there.
    pub(super) fn check(&mut self, store: &mut dyn Store) -> Recovered {
        let mut picture = Picture::default();
        let recovered = store.recover(&mut picture, &mut |_| {}).unwrap();
        self.compare(&picture);
        assert_eq!(recovered.sessions, self.sessions.len() as u64);
        assert_eq!(recovered.retained, picture.retained.len() as u64);
        let messages: BTreeSet<u64> = picture
            .sessions
            .values()
            .flat_map(|session| session.messages.keys().copied())
            .collect();
        assert_eq!(recovered.messages, messages.len() as u64);
        assert_eq!(store.usage().messages, recovered.messages);
        assert!(recovered.last_mid + 1 >= self.next_mid - self.late.len() as u64);
        assert!(recovered.last_sid + 1 >= self.next_sid || self.next_sid == 1);
        for name in messages {
            let read = store.load(mid(name), &mut |envelope, body| {
                assert!(Envelope::open(envelope).is_some());
                check_body(name, body);
            });
            assert!(read.unwrap(), "message {name} can be read");
        }
        for (sid, session) in &mut self.sessions {
            session.messages = picture.sessions[sid].messages.clone();
        }
        recovered
    }

    /// Whether all is there and can be read. Fails when something is wrong that the store does not
    /// say is damaged.
    pub(super) fn is_there_or_missed(&mut self, path: &Path) -> bool {
        let mut store = match SqliteStore::open(path, Options::default()) {
            Ok(store) => store,
            Err(
                StoreError::Damaged { .. } | StoreError::Foreign { .. } | StoreError::Newer { .. },
            ) => {
                return false;
            }
            Err(error) => panic!("{error}"),
        };
        let mut picture = Picture::default();
        match store.recover(&mut picture, &mut |_| {}) {
            Ok(_) => {}
            Err(StoreError::Damaged { .. }) => return false,
            Err(error) => panic!("{error}"),
        }
        self.compare(&picture);
        let names: BTreeSet<u64> = picture
            .sessions
            .values()
            .flat_map(|session| session.messages.keys().copied())
            .collect();
        names.into_iter().all(|name| {
            match store.load(mid(name), &mut |_, body| check_body(name, body)) {
                Ok(found) => {
                    assert!(found, "message {name} is there");
                    true
                }
                Err(StoreError::Damaged { .. }) => false,
                Err(error) => panic!("{error}"),
            }
        })
    }

    fn compare(&self, picture: &Picture) {
        let expected: Vec<_> = self.sessions.keys().collect();
        assert_eq!(picture.sessions.keys().collect::<Vec<_>>(), expected, "sessions");
        for (sid, session) in &self.sessions {
            let found = &picture.sessions[sid];
            let plain =
                |session: &Session| Session { messages: BTreeMap::new(), ..session.clone() };
            assert_eq!(plain(found), plain(session), "session {sid}");
            for (name, done) in &session.messages {
                assert!(*done || found.messages.contains_key(name), "message {name} of {sid}");
            }
            for name in found.messages.keys() {
                assert!(
                    session.messages.contains_key(name),
                    "message {name} is too much for {sid}"
                );
            }
        }
        let held = self.retained.iter().filter(|(_, (_, held))| *held);
        let held: BTreeMap<_, _> = held.map(|(topic, (mid, _))| (topic.clone(), *mid)).collect();
        assert_eq!(picture.retained, held, "retained messages");
    }
}

fn check_body(mid: u64, body: &[u8]) {
    let stored = StoredMessage::open(body, 0).unwrap();
    let read = stored.message.payload();
    assert!(
        read == payload(mid, false) || read == payload(mid, true),
        "the payload of message {mid}"
    );
}

/// What a store handed over.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) sessions: BTreeMap<u64, Session>,
    pub(super) retained: BTreeMap<String, u64>,
    last_mid: u64,
    wanted: Option<u64>,
}

impl Restore for Picture {
    fn session(&mut self, sid: Sid, state: &[u8]) -> Result<(), Damaged> {
        let state = SessionState::open(state).ok_or(Damaged)?;
        assert_eq!(state.client_id, format!("client{sid}"));
        let session = Session { version: state.created_unix_ms, ..Session::default() };
        assert!(self.sessions.insert(sid.get(), session).is_none());
        Ok(())
    }

    fn subscription(&mut self, sid: Sid, filter: &str, options: &[u8]) -> Result<(), Damaged> {
        let subscription = read_subscription(options).ok_or(Damaged)?;
        if let Some(session) = self.sessions.get_mut(&sid.get()) {
            session.subscriptions.insert(filter.to_owned(), subscription.identifier.unwrap());
        }
        Ok(())
    }

    fn position(&mut self, sid: Sid, cursor: u64, position: &[u8]) -> Result<(), Damaged> {
        let position = Position::open(cursor, position).ok_or(Damaged)?;
        if let Some(session) = self.sessions.get_mut(&sid.get()) {
            session.position = Some(position);
        }
        Ok(())
    }

    fn received(&mut self, sid: Sid, packet_id: u16) {
        if let Some(session) = self.sessions.get_mut(&sid.get()) {
            session.received.insert(packet_id);
        }
    }

    fn sent(&mut self, sid: Sid, mid: Mid, packet_id: u16, released: bool) {
        if let Some(session) = self.sessions.get_mut(&sid.get()) {
            session.sent.insert(mid.get(), (packet_id, released));
        }
    }

    fn retained(&mut self, mid: Mid, body: &[u8]) -> Result<(), Damaged> {
        assert_eq!(self.last_mid, 0, "retained messages come before the others");
        check_body(mid.get(), body);
        let topic = StoredMessage::topic(body).ok_or(Damaged)?;
        let known = self.retained.entry(topic.to_owned()).or_default();
        *known = mid.get().max(*known);
        Ok(())
    }

    fn message(&mut self, mid: Mid, envelope: &[u8]) -> Result<Waiting, Damaged> {
        let mid = mid.get();
        assert!(self.last_mid < mid, "{mid} comes behind {}", self.last_mid);
        assert_eq!(self.wanted, None, "a body that was wanted comes at once");
        self.last_mid = mid;
        let mut recipients = 0;
        for recipient in Envelope::open(envelope).ok_or(Damaged)?.recipients() {
            let sid = recipient.ok_or(Damaged)?.sid.get();
            let Some(session) = self.sessions.get_mut(&sid) else { continue };
            let name = Mid::new(mid).ok_or(Damaged)?;
            let done = session.position.as_ref().is_some_and(|position| position.is_done(name));
            if !done {
                recipients += 1;
                session.messages.insert(mid, false);
            }
        }
        let wants_body = mid.is_multiple_of(3) && recipients > 0;
        self.wanted = wants_body.then_some(mid);
        Ok(Waiting { recipients, wants_body })
    }

    fn body(&mut self, mid: Mid, body: &[u8]) -> Result<(), Damaged> {
        assert_eq!(self.wanted.take(), Some(mid.get()));
        check_body(mid.get(), body);
        Ok(())
    }
}
