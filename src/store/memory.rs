//! A store without a disk, for simulations: it keeps what a disk would keep, and a power cut leaves
//! of it what it would leave of a disk.
//!
//! As in the real one, commits are on the disk in the order in which they were made: a power cut
//! takes some of the last away that nobody waited for, never one from between, never a part of one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::{Backup, Recovered, Store, StoreError, Usage};
use crate::broker::{Class, Damaged, Mid, Record, Records, Restore, Sid, StoredMessage};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// What is on the disk.
    disk: Tables,
    /// Commits that are not, in order.
    unsynced: VecDeque<Vec<Change>>,
    /// What is kept with those.
    tables: Tables,
    /// Recipients that are left.
    left: BTreeMap<Mid, u32>,
    fault: Option<Fault>,
    /// After a failure, until it is opened anew.
    broken: bool,
    usage: Usage,
}

/// What a commit meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No space is left.
    Full,
    /// The disk fails; whether the batch is there after all shows when it is opened anew.
    Failed {
        /// Whether it is.
        kept: bool,
    },
}

/// One change of the tables.
#[derive(Clone, Debug)]
enum Change {
    Message { mid: Mid, envelope: Option<Vec<u8>>, body: Vec<u8>, topic: Option<String> },
    Removed { mid: Mid },
    Gone { mid: Mid, topic: String },
    Session { sid: Sid, state: Vec<u8> },
    SessionEnded { sid: Sid },
    Subscribed { sid: Sid, filter: String, options: Vec<u8> },
    Unsubscribed { sid: Sid, filter: String },
    Received { sid: Sid, packet_id: u16 },
    Released { sid: Sid, packet_id: u16 },
    Sent { sid: Sid, mid: Mid, packet_id: u16, released: bool },
    Position { sid: Sid, cursor: u64, position: Vec<u8> },
    Names { mid: u64, sid: u64 },
}

#[derive(Clone, Debug, Default)]
struct Tables {
    messages: BTreeMap<Mid, (Vec<u8>, Vec<u8>)>,
    /// By topic: since when, and the body unless it is gone.
    retained: BTreeMap<String, (Mid, Option<Vec<u8>>)>,
    sessions: BTreeMap<Sid, Vec<u8>>,
    subscriptions: BTreeMap<(Sid, String), Vec<u8>>,
    positions: BTreeMap<Sid, (u64, Vec<u8>)>,
    received: BTreeSet<(Sid, u16)>,
    sent: BTreeMap<(Sid, Mid), (u16, bool)>,
    last_mid: u64,
    last_sid: u64,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What every commit meets from now on.
    pub const fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
    }

    /// Commits that a power cut may take away.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The power is cut, and comes back: of the unsynced commits the first `kept` are there. The
    /// broker has to [`Store::recover`].
    pub fn crash(&mut self, kept: usize) {
        let kept: Vec<_> = self.unsynced.drain(..).take(kept).flatten().collect();
        kept.into_iter().for_each(|change| self.disk.apply(change));
        self.tables = self.disk.clone();
        self.left.clear();
        self.broken = false;
        self.usage = Usage::default();
    }

    fn changes(&mut self, batch: &[Records]) -> (Vec<Change>, BTreeMap<Mid, u32>) {
        let mut left = BTreeMap::new();
        let mut done: BTreeMap<Mid, u32> = BTreeMap::new();
        let all = || batch.iter().flat_map(Records::iter);
        for record in all() {
            if let Record::Message { mid, recipients, .. } = record {
                left.insert(mid, recipients);
            } else if let Record::Done { mid } = record {
                *done.entry(mid).or_default() += 1;
            }
        }
        for (mid, done) in done {
            let known = left.get(&mid).or_else(|| self.left.get(&mid)).copied();
            if let Some(known) = known {
                left.insert(mid, known.saturating_sub(done));
            }
        }
        let changes = all().filter_map(|record| Change::of(record, &left)).collect();
        (changes, left)
    }

    fn failed(&self, reason: &str) -> StoreError {
        let (path, reason) = (PathBuf::from("(memory)"), reason.to_owned());
        StoreError::Failed { doing: "cannot write", path, reason }
    }

    fn keep(&mut self, changes: Vec<Change>, class: Class) {
        changes.iter().for_each(|change| self.tables.apply(change.clone()));
        self.unsynced.push_back(changes);
        if class == Class::Disk {
            let synced = std::mem::take(&mut self.unsynced);
            synced.into_iter().flatten().for_each(|change| self.disk.apply(change));
        }
    }
}

impl Change {
    fn of(record: Record<'_>, left: &BTreeMap<Mid, u32>) -> Option<Self> {
        Some(match record {
            Record::Message { mid, retained, envelope, body, .. } => {
                let topic = StoredMessage::topic(body).filter(|_| retained).map(str::to_owned);
                let waits = left.get(&mid).is_some_and(|left| *left > 0);
                if topic.is_none() && !waits {
                    return None;
                }
                let envelope = waits.then(|| envelope.to_vec());
                Self::Message { mid, envelope, body: body.to_vec(), topic }
            }
            Record::Done { .. } => return None,
            Record::RetainedGone { mid, topic } => Self::Gone { mid, topic: topic.to_owned() },
            Record::Session { sid, state } => Self::Session { sid, state: state.to_vec() },
            Record::SessionEnded { sid } => Self::SessionEnded { sid },
            Record::Subscribed { sid, filter, options } => {
                Self::Subscribed { sid, filter: filter.to_owned(), options: options.to_vec() }
            }
            Record::Unsubscribed { sid, filter } => {
                Self::Unsubscribed { sid, filter: filter.to_owned() }
            }
            Record::Received { sid, packet_id } => Self::Received { sid, packet_id },
            Record::Released { sid, packet_id } => Self::Released { sid, packet_id },
            Record::Sent { sid, mid, packet_id, released } => {
                Self::Sent { sid, mid, packet_id, released }
            }
            Record::Position { sid, cursor, position } => {
                Self::Position { sid, cursor, position: position.to_vec() }
            }
        })
    }
}

impl Tables {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Message { mid, envelope, body, topic } => {
                if let Some(topic) = topic
                    && self.retained.get(&topic).is_none_or(|(known, _)| *known < mid)
                {
                    self.retained.insert(topic, (mid, Some(body.clone())));
                }
                if let Some(envelope) = envelope {
                    self.messages.insert(mid, (envelope, body));
                }
            }
            Change::Removed { mid } => {
                self.messages.remove(&mid);
            }
            Change::Gone { mid, topic } => {
                if self.retained.get(&topic).is_none_or(|(known, _)| *known <= mid) {
                    self.retained.insert(topic, (mid, None));
                }
            }
            Change::Session { sid, state } => {
                self.sessions.insert(sid, state);
            }
            Change::SessionEnded { sid } => self.end_session(sid),
            Change::Unsubscribed { sid, filter } => {
                self.subscriptions.remove(&(sid, filter));
            }
            Change::Released { sid, packet_id } => {
                self.received.remove(&(sid, packet_id));
            }
            Change::Names { mid, sid } => {
                self.last_mid = self.last_mid.max(mid);
                self.last_sid = self.last_sid.max(sid);
            }
            Change::Subscribed { sid, .. }
            | Change::Received { sid, .. }
            | Change::Sent { sid, .. }
            | Change::Position { sid, .. }
                if !self.sessions.contains_key(&sid) => {}
            Change::Subscribed { sid, filter, options } => {
                self.subscriptions.insert((sid, filter), options);
            }
            Change::Received { sid, packet_id } => {
                self.received.insert((sid, packet_id));
            }
            Change::Sent { sid, mid, packet_id, released } => {
                self.sent.insert((sid, mid), (packet_id, released));
            }
            Change::Position { sid, cursor, position } => {
                self.sent.retain(|(of, mid), _| *of != sid || mid.get() > cursor);
                self.positions.insert(sid, (cursor, position));
            }
        }
    }

    fn end_session(&mut self, sid: Sid) {
        self.sessions.remove(&sid);
        self.subscriptions.retain(|(of, _), _| *of != sid);
        self.positions.remove(&sid);
        self.received.retain(|(of, _)| *of != sid);
        self.sent.retain(|(of, _), _| *of != sid);
    }

    fn hand_over_sessions(&self, into: &mut dyn Restore) -> Result<(), Damaged> {
        for (sid, state) in &self.sessions {
            into.session(*sid, state)?;
        }
        for ((sid, filter), options) in &self.subscriptions {
            into.subscription(*sid, filter, options)?;
        }
        for (sid, (cursor, position)) in &self.positions {
            into.position(*sid, *cursor, position)?;
        }
        self.received.iter().for_each(|(sid, packet_id)| into.received(*sid, *packet_id));
        for ((sid, mid), (packet_id, released)) in &self.sent {
            into.sent(*sid, *mid, *packet_id, *released);
        }
        Ok(())
    }

    /// Returns how many wait for each message.
    fn hand_over(&self, into: &mut dyn Restore) -> Result<BTreeMap<Mid, u32>, Damaged> {
        self.hand_over_sessions(into)?;
        for (mid, body) in self.retained.values() {
            if let Some(body) = body {
                into.retained(*mid, body)?;
            }
        }
        let mut left = BTreeMap::new();
        for (mid, (envelope, body)) in &self.messages {
            let waiting = into.message(*mid, envelope)?;
            if waiting.wants_body {
                into.body(*mid, body)?;
            }
            left.insert(*mid, waiting.recipients);
        }
        Ok(left)
    }
}

/// The highest names that a batch has.
fn names(batch: &[Records]) -> Change {
    let (mut mid, mut sid) = (0, 0);
    for record in batch.iter().flat_map(Records::iter) {
        match record {
            Record::Message { mid: name, .. }
            | Record::Done { mid: name }
            | Record::RetainedGone { mid: name, .. }
            | Record::Sent { mid: name, .. } => mid = name.get().max(mid),
            Record::Position { cursor, .. } => mid = cursor.max(mid),
            Record::Session { sid: name, .. } => sid = name.get().max(sid),
            Record::SessionEnded { .. }
            | Record::Subscribed { .. }
            | Record::Unsubscribed { .. }
            | Record::Received { .. }
            | Record::Released { .. } => {}
        }
    }
    Change::Names { mid, sid }
}

impl Store for MemoryStore {
    fn recover(
        &mut self,
        into: &mut dyn Restore,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Recovered, StoreError> {
        let tables = &self.tables;
        self.left = tables.hand_over(into).map_err(|damaged| StoreError::Damaged {
            path: PathBuf::from("(memory)"),
            what: damaged.to_string(),
        })?;
        progress(self.left.len() as u64);
        Ok(Recovered {
            sessions: tables.sessions.len() as u64,
            subscriptions: tables.subscriptions.len() as u64,
            retained: tables.retained.values().filter(|(_, body)| body.is_some()).count() as u64,
            messages: self.left.values().filter(|left| **left > 0).count() as u64,
            last_mid: tables.last_mid,
            last_sid: tables.last_sid,
            torn_bytes: 0,
            damaged: 0,
        })
    }

    fn commit(&mut self, batch: &[Records], class: Class) -> Result<(), StoreError> {
        if self.broken {
            return Err(self.failed("it failed before"));
        }
        let (mut changes, left) = self.changes(batch);
        changes.push(names(batch));
        match self.fault {
            None => {}
            Some(Fault::Full) => return Err(StoreError::Full { path: PathBuf::from("(memory)") }),
            Some(Fault::Failed { kept }) => {
                self.broken = true;
                if kept {
                    self.keep(changes, Class::Os);
                }
                return Err(self.failed("the disk fails"));
            }
        }
        self.keep(changes, class);
        self.left.extend(left);
        self.usage.commits += 1;
        self.usage.syncs += u64::from(class == Class::Disk);
        self.usage.records += batch.iter().map(|records| records.len() as u64).sum::<u64>();
        Ok(())
    }

    fn load(&mut self, mid: Mid, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<bool, StoreError> {
        let found = self.tables.messages.get(&mid);
        if let Some((envelope, body)) = found {
            read(envelope, body);
        }
        Ok(found.is_some())
    }

    /// Removes dead messages.
    fn maintain(&mut self) -> Result<bool, StoreError> {
        if self.broken || self.fault.is_some() {
            return Err(self.failed("it failed before"));
        }
        let dead: Vec<Mid> =
            self.left.iter().filter(|(_, left)| **left == 0).map(|(mid, _)| *mid).collect();
        self.left.retain(|_, left| *left > 0);
        let removed = dead.into_iter().map(|mid| Change::Removed { mid }).collect();
        self.keep(removed, Class::Os);
        Ok(false)
    }

    /// What was committed before a failure is synced then.
    fn reopen(&mut self) -> Result<(), StoreError> {
        if self.fault.is_some() {
            return Err(self.failed("the disk fails"));
        }
        self.broken = false;
        self.keep(Vec::new(), Class::Disk);
        Ok(())
    }

    fn begin_backup(&mut self, _file: &Path) -> Result<Backup, StoreError> {
        Err(self.failed("a store in memory has no file to copy"))
    }

    fn usage(&self) -> Usage {
        let live = |mid: &Mid| self.left.get(mid).is_none_or(|left| *left > 0);
        let messages = self.tables.messages.iter().filter(|(mid, _)| live(mid));
        let weight = |(_, (envelope, body)): (&Mid, &(Vec<u8>, Vec<u8>))| {
            (envelope.len() + body.len()) as u64
        };
        let retained = self.tables.retained.values().filter_map(|(_, body)| body.as_ref());
        let queue_bytes = messages.clone().map(weight).sum::<u64>();
        Usage {
            queue_bytes,
            live_bytes: queue_bytes + retained.map(|body| body.len() as u64).sum::<u64>(),
            messages: messages.count() as u64,
            ..self.usage
        }
    }
}
