//! What shards share: routes, retained messages, limits, totals. The only locks below the server.
//!
//! A publisher writes retained messages, then reads the routes; a subscriber writes the routes,
//! then reads retained messages. So nothing is missed, and at worst something is seen twice.
//! Each lock is held for one look-up or one change, never while a shard steps.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::retained::{Found, RetainedStore};
use super::routes::{Matched, Routes, Subscriber};
use super::share::{Group, Presence};
use super::status::is_reserved;
use super::{Directions, Limits, Now, RetainedView, SessionId, Stats};
use crate::session::{Message, Mid, ShareId, Sid};
use crate::topic::TopicFilter;

/// What becomes of the retained message of a topic when a new one finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unkept {
    /// The new one is refused, and its publisher told.
    Stay,
    /// The new one is passed on: better none than one that is no longer true.
    Forget,
}

/// How it stands with what is to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Storing {
    /// There is no store: nothing outlives the process.
    #[default]
    Off,
    /// What shards leave in their trays is written.
    Well,
    /// No space is left: what is to be kept is refused where its sender can be told, and waits
    /// where not.
    Full,
    /// The disk failed: as when it is full.
    Failed,
}

/// Shared by all shards of a broker.
#[derive(Debug)]
pub struct Commons {
    shards: usize,
    hash_seed: u64,
    routes: RwLock<Routes>,
    /// Counts changes of the routes, so that shards know when what they remember is stale.
    routes_serial: AtomicU64,
    /// Grows when a member of a group that is away keeps what one with room could have.
    kept_serial: AtomicU64,
    retained: RwLock<RetainedStore>,
    retained_bytes: AtomicU64,
    limits: RwLock<Arc<Limits>>,
    limits_serial: AtomicU64,
    directions: RwLock<Arc<Directions>>,
    /// Bytes of queues and outboxes in all shards.
    waiting_bytes: AtomicI64,
    /// Sessions with full queues, where publishers are to hear of it.
    full: RwLock<BTreeSet<SessionId>>,
    /// How many they are, for the many publishers that meet none.
    full_count: AtomicUsize,
    /// Bytes in the store of messages that wait.
    stored_queue_bytes: AtomicU64,
    sessions: AtomicU64,
    connected: AtomicU64,
    connected_max: AtomicU64,
    retained_refused: AtomicU64,
    storing: AtomicU8,
    /// The last names given to a message and to a session.
    last_mid: AtomicU64,
    last_sid: AtomicU64,
    /// For each shard a name that is not above those it has given to messages which may not be in
    /// the mailboxes yet; `u64::MAX` while there are none.
    unposted: Box<[AtomicU64]>,
}

/// What became of a message that was to be retained.
#[derive(Debug)]
pub(super) struct Retaining {
    /// Whether it is kept as it should be.
    pub(super) is_kept: bool,
    /// Its place among what happened to its topic, where that is to be written down.
    pub(super) mid: Option<Mid>,
    /// Topics whose retained messages have expired, to be written down too.
    pub(super) expired: Vec<(Mid, Box<str>)>,
}

impl Commons {
    /// For `shards` shards; `hash_seed` is unpredictable in production (it guards hash
    /// tables against chosen topic names) and fixed in simulation.
    #[must_use]
    pub fn new(shards: usize, limits: Limits, hash_seed: u64) -> Arc<Self> {
        Arc::new(Self {
            shards: shards.max(1),
            hash_seed,
            routes: RwLock::new(Routes::new(hash_seed)),
            routes_serial: AtomicU64::new(0),
            kept_serial: AtomicU64::new(0),
            retained: RwLock::new(RetainedStore::default()),
            retained_bytes: AtomicU64::new(0),
            limits: RwLock::new(Arc::new(limits)),
            limits_serial: AtomicU64::new(0),
            directions: RwLock::default(),
            waiting_bytes: AtomicI64::new(0),
            full: RwLock::default(),
            full_count: AtomicUsize::new(0),
            stored_queue_bytes: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            connected: AtomicU64::new(0),
            connected_max: AtomicU64::new(0),
            retained_refused: AtomicU64::new(0),
            storing: AtomicU8::new(Storing::Off as u8),
            last_mid: AtomicU64::new(0),
            last_sid: AtomicU64::new(0),
            unposted: (0..shards.max(1)).map(|_| AtomicU64::new(u64::MAX)).collect(),
        })
    }

    /// Number of shards.
    #[must_use]
    pub const fn shards(&self) -> usize {
        self.shards
    }

    /// The home shard of a client: the same in every run (FNV-1a), as images and journals of an
    /// earlier life must find their shard.
    #[must_use]
    pub fn home(&self, client_id: &str) -> usize {
        let hash = fnv(client_id);
        let shards = self.shards as u64;
        usize::try_from((hash ^ (hash >> 32)) % shards).expect("below the number of shards")
    }

    /// Puts new limits in force; shards take them up at their next step.
    pub fn set_limits(&self, limits: Limits) {
        *write(&self.limits) = Arc::new(limits);
        self.limits_serial.fetch_add(1, Ordering::Release);
        // What shards remember of a topic has its class in it.
        self.routes_serial.fetch_add(1, Ordering::Release);
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Arc<Limits> {
        Arc::clone(&read(&self.limits))
    }

    /// Puts new directions in force, for all clients that come or go from now on.
    pub fn set_directions(&self, directions: Directions) {
        *write(&self.directions) = Arc::new(directions);
    }

    /// The directions in force.
    #[must_use]
    pub fn directions(&self) -> Arc<Directions> {
        Arc::clone(&read(&self.directions))
    }

    /// Names of messages and sessions go on behind those an earlier life gave.
    pub fn continue_names(&self, last_mid: u64, last_sid: u64) {
        self.last_mid.fetch_max(last_mid, Ordering::SeqCst);
        self.last_sid.fetch_max(last_sid, Ordering::SeqCst);
    }

    /// The name of the next message that shard `shard` accepts.
    pub(super) fn name_message(&self, shard: u16) -> Mid {
        let unposted = &self.unposted[usize::from(shard)];
        if unposted.load(Ordering::Relaxed) == u64::MAX {
            // Said before the name is given; see `horizon`.
            unposted.store(self.last_mid.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
        }
        Mid::MIN.saturating_add(self.last_mid.fetch_add(1, Ordering::SeqCst))
    }

    /// The name of the next session.
    pub(super) fn name_session(&self) -> Sid {
        Sid::MIN.saturating_add(self.last_sid.fetch_add(1, Ordering::SeqCst))
    }

    /// All letters of a shard are in the mailboxes.
    pub(super) fn note_posted(&self, shard: u16) {
        let unposted = &self.unposted[usize::from(shard)];
        if unposted.load(Ordering::Relaxed) != u64::MAX {
            unposted.store(u64::MAX, Ordering::SeqCst);
        }
    }

    /// Messages with this name or a smaller one are where they belong, or in a mailbox.
    pub(super) fn horizon(&self) -> u64 {
        let last = self.last_mid.load(Ordering::SeqCst);
        let unposted = self.unposted.iter().map(|name| name.load(Ordering::SeqCst) - 1);
        unposted.fold(last, u64::min)
    }

    /// Says how it stands with the store; shards take it up at their next step.
    pub fn set_storing(&self, storing: Storing) {
        self.storing.store(storing as u8, Ordering::Release);
    }

    /// How it stands with the store.
    #[must_use]
    pub fn storing(&self) -> Storing {
        match self.storing.load(Ordering::Acquire) {
            1 => Storing::Well,
            2 => Storing::Full,
            3 => Storing::Failed,
            _ => Storing::Off,
        }
    }

    /// Says how many bytes the store has of messages that wait for sessions; shards take it up at
    /// their next step.
    pub fn set_stored_queue_bytes(&self, bytes: u64) {
        self.stored_queue_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn stored_queue_bytes(&self) -> u64 {
        self.stored_queue_bytes.load(Ordering::Relaxed)
    }

    /// A session has become full, or is so no more.
    pub(super) fn note_full(&self, session: SessionId, is_full: bool) {
        let mut full = write(&self.full);
        if is_full {
            full.insert(session);
        } else {
            full.remove(&session);
        }
        self.full_count.store(full.len(), Ordering::Relaxed);
    }

    /// Whether any session is full.
    pub(super) fn has_full(&self) -> bool {
        self.full_count.load(Ordering::Relaxed) > 0
    }

    /// Asks something of the sessions that are full.
    pub(super) fn full_among<R>(&self, ask: impl FnOnce(&BTreeSet<SessionId>) -> R) -> R {
        ask(&read(&self.full))
    }

    /// Retained messages whose topic matches `filter`, in topic order, `max` at most; each picture
    /// is made when it is taken.
    pub fn retained(
        &self,
        filter: &str,
        max: usize,
        now: Now,
    ) -> impl Iterator<Item = RetainedView> + use<> {
        let offset = now.unix_ms.saturating_sub(now.ticks_ms);
        let found = self.retained_matching(filter, now.ticks_ms, max);
        found.retained.into_iter().map(move |retained| retained.view(offset))
    }

    /// Deletes the retained message of a topic, if there is one; `by`: the shard that writes it
    /// down; `always`: when there is none, too, as it may not be on the disk yet that another deleted
    /// it.
    pub(super) fn forget_retained(&self, topic: &str, by: Option<u16>, always: bool) -> Retaining {
        let mut store = write(&self.retained);
        let is_kept = store.forget(topic);
        self.retained_bytes.store(store.bytes(), Ordering::Relaxed);
        let mid = by.filter(|_| is_kept || always).map(|shard| self.name_message(shard));
        Retaining { is_kept, mid, expired: Vec::new() }
    }

    /// What is retained for a topic was so before a restart,
    /// unless what is there came later. One that has expired leaves nothing.
    pub(super) fn restore_retained(
        &self,
        message: Arc<Message>,
        (stored_unix_ms, ticks_ms): (u64, u64),
        mid: Mid,
    ) {
        let mut store = write(&self.retained);
        if store.mid(message.topic()) > Some(mid) {
            return;
        }
        if message.has_expired(ticks_ms) {
            store.forget(message.topic());
        } else {
            store.store(message, stored_unix_ms, Some(mid));
        }
        self.retained_bytes.store(store.bytes(), Ordering::Relaxed);
    }

    /// Counters and gauges of what is shared.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        stats.set("clients.connected_max", self.connected_max.load(Ordering::Relaxed));
        stats.set("sessions", self.sessions.load(Ordering::Relaxed));
        let routes = read(&self.routes);
        stats.set("subscriptions", routes.len() as u64);
        stats.set("subscriptions.shared", routes.groups().members() as u64);
        drop(routes);
        let retained = read(&self.retained);
        stats.set("retained.messages", retained.clients_len() as u64);
        stats.set("retained.bytes", retained.clients_bytes());
        drop(retained);
        stats.set("retained.refused", self.retained_refused.load(Ordering::Relaxed));
        stats.set("memory.used_bytes", self.memory_bytes());
        stats.set("memory.limit_bytes", self.limits().memory_bytes_max);
        stats
    }

    /// Bytes counted against the memory budget.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let waiting = self.waiting_bytes.load(Ordering::Relaxed).max(0).unsigned_abs();
        waiting + self.retained_bytes.load(Ordering::Relaxed)
    }

    pub(super) const fn hash_seed(&self) -> u64 {
        self.hash_seed
    }

    pub(super) fn limits_serial(&self) -> u64 {
        self.limits_serial.load(Ordering::Acquire)
    }

    pub(super) fn routes_serial(&self) -> u64 {
        self.routes_serial.load(Ordering::Acquire)
    }

    pub(super) fn kept_serial(&self) -> u64 {
        self.kept_serial.load(Ordering::SeqCst)
    }

    pub(super) fn note_kept(&self) {
        self.kept_serial.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn find(&self, topic: &str) -> Matched {
        let mut matched = read(&self.routes).find(topic);
        matched.class = self.limits().durability.class(topic);
        matched
    }

    pub(super) fn subscribe(
        &self,
        filter: TopicFilter<'_>,
        subscriber: Subscriber,
        presence: Option<&Arc<Presence>>,
        known: bool,
    ) {
        write(&self.routes).subscribe(filter, subscriber, presence, known);
        self.routes_serial.fetch_add(1, Ordering::Release);
    }

    /// The group a message came by; `None` when nobody is in it any more.
    pub(super) fn group(&self, id: ShareId) -> Option<Arc<Group>> {
        read(&self.routes).groups().by_id(id).cloned()
    }

    /// The group of a Shared Subscription.
    pub(super) fn group_named(&self, text: &str) -> Option<Arc<Group>> {
        read(&self.routes).groups().named(text).cloned()
    }

    pub(super) fn unsubscribe<'f>(
        &self,
        filters: impl Iterator<Item = TopicFilter<'f>>,
        session: SessionId,
    ) {
        let mut routes = write(&self.routes);
        for filter in filters {
            routes.unsubscribe(filter, session);
        }
        drop(routes);
        self.routes_serial.fetch_add(1, Ordering::Release);
    }

    /// Keeps a retained message, unless a limit is reached. One of a topic that has one already is
    /// never one too many. `by`: the shard that writes it down.
    pub(super) fn retain(
        &self,
        message: Arc<Message>,
        now: Now,
        without_room: Unkept,
        by: Option<u16>,
    ) -> Retaining {
        let limits = self.limits();
        let mut store = write(&self.retained);
        let expired = store.forget_expired(now.ticks_ms);
        let name = |topic| by.map(|shard| (self.name_message(shard), topic));
        let expired = expired.into_iter().filter_map(name).collect();
        let known = store.weight(message.topic());
        // The broker's own status is small, and true in hard times too.
        let is_status = is_reserved(message.topic());
        let grows = known.is_none_or(|weight| message.weight() > weight);
        let too_many =
            known.is_none() && store.clients_len() as u64 >= limits.retained_messages_max;
        if !is_status && (too_many || grows && self.memory_bytes() >= limits.memory_bytes_max) {
            let forgets = without_room == Unkept::Forget && store.forget(message.topic());
            self.retained_bytes.store(store.bytes(), Ordering::Relaxed);
            self.retained_refused.fetch_add(1, Ordering::Relaxed);
            let mid = by.filter(|_| forgets).map(|shard| self.name_message(shard));
            return Retaining { is_kept: false, mid, expired };
        }
        // In the order in which they take each other's place.
        let mid = by.filter(|_| !is_status).map(|shard| self.name_message(shard));
        let stored_unix_ms = message.accepted_unix_ms();
        store.store(message, stored_unix_ms, mid);
        self.retained_bytes.store(store.bytes(), Ordering::Relaxed);
        Retaining { is_kept: true, mid, expired }
    }

    /// Number of retained messages.
    pub(super) fn retained_len(&self) -> usize {
        read(&self.retained).len()
    }

    pub(super) fn retained_matching(&self, filter: &str, ticks_ms: u64, max: usize) -> Found {
        read(&self.retained).find(filter, ticks_ms, max)
    }

    /// Takes up what a shard's queues and outboxes grew or shrank by.
    pub(super) fn count_waiting(&self, delta_bytes: i64) {
        if delta_bytes != 0 {
            self.waiting_bytes.fetch_add(delta_bytes, Ordering::Relaxed);
        }
    }

    /// Counts a session in; `false` when there are as many as there may be.
    pub(super) fn begin_session(&self, sessions_max: u64) -> bool {
        let begin = |sessions| (sessions < sessions_max).then_some(sessions + 1);
        self.sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, begin).is_ok()
    }

    pub(super) fn note_connected(&self) {
        let connected = self.connected.fetch_add(1, Ordering::Relaxed) + 1;
        self.connected_max.fetch_max(connected, Ordering::Relaxed);
    }

    pub(super) fn note_disconnected(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn end_session(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// FNV-1a.
pub(super) fn fnv(text: &str) -> u64 {
    let next = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, next)
}

// A panic while a lock was held leaves plain data behind, never half a change that a reader would
// trip over; the server ends a shard that panicked and says so.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
