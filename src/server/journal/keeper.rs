//! What the journal's thread does, without the thread: takes records in, writes all that is there
//! at once, answers loads, and goes on after a failure of the disk.
//!
//! Time comes in as a number, and what came of it goes out through the fields of [`Outcome`]; so
//! what must never happen can be tried without a disk and without waiting. It owns the store.

use std::collections::BTreeMap;

use super::batch::{Batch, Kept};
use super::inbox::Wakes;
use super::latency::Latency;
use super::loads::{self, Loads};
use crate::broker::{Class, Load, Loaded, Mid, Now, Records, StoredMessage, Storing};
use crate::server::clock::Clock;
use crate::store::{Store, StoreError, Usage};

/// How long records wait for others when nobody waits for them.
const LAZY_MS: u64 = 1000;
/// Between two tries while no space is left.
const FULL_RETRY_MS: u64 = 1000;
/// Before the store is opened anew after a failure; doubled each time that fails.
const REOPEN_MS_MIN: u64 = 100;
/// The longest of these pauses.
const REOPEN_MS_MAX: u64 = 30_000;
/// Bytes of one transaction after a failure: a little space is soon found.
const PIECE_BYTES: u64 = 1 << 20;
/// Between two slices of maintenance that has more to do, while records keep coming.
const MAINTAIN_BUSY_MS: u64 = 20;
/// After a failure of maintenance, which what is to be kept need not suffer from.
const MAINTAIN_FAILED_MS: u64 = 60_000;
/// Before maintenance looks again whether there is something to do.
const MAINTAIN_IDLE_MS: u64 = 1000;

/// How it stands with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    /// No space: the same is tried again.
    Full {
        retry_ms: u64,
    },
    /// It failed: it has to be opened anew first.
    Failed {
        retry_ms: u64,
        pause_ms: u64,
    },
}

/// What came of a turn, for the thread to carry away; it empties it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// By shard: all records up to this ticket are kept, and how many they were.
    pub(super) durable: BTreeMap<u16, (u64, usize)>,
    /// Answers, each to its shard.
    pub(super) loaded: Vec<(u16, Loaded)>,
    /// Bytes that wait no more.
    pub(super) freed_bytes: u64,
    /// Records to be used again for their buffers, with what they weighed.
    pub(super) empty: Vec<(Records, u64)>,
    /// Another state than before.
    pub(super) changed: Option<Storing>,
    /// What went wrong.
    pub(super) errors: Vec<StoreError>,
    /// Messages that could not be read, and are tried again.
    pub(super) unread: Vec<StoreError>,
    /// Messages that are not what they were, and are left out.
    pub(super) damaged: Vec<StoreError>,
    /// When the last commit returned, milliseconds since 1970.
    pub(super) committed_unix_ms: Option<u64>,
}

pub(in crate::server) struct Keeper {
    store: Box<dyn Store>,
    pending: Batch,
    loads: Loads,
    health: Health,
    /// Since when `pending` holds something.
    since_ms: u64,
    /// When the disk was last asked to sync.
    synced_ms: Option<u64>,
    /// The least time between two syncs.
    pub(super) sync_delay_ms_max: u64,
    /// Maintenance may have something to do.
    unkempt: bool,
    /// Something was committed since it last looked.
    busy: bool,
    maintain_ms: u64,
    pub(super) latency: Latency,
    pub(super) outcome: Outcome,
}

impl Keeper {
    pub(in crate::server) fn new(store: Box<dyn Store>) -> Self {
        Self {
            store,
            pending: Batch::default(),
            loads: Loads::default(),
            health: Health::Well,
            since_ms: 0,
            synced_ms: None,
            sync_delay_ms_max: 0,
            unkempt: true,
            busy: false,
            maintain_ms: 0,
            latency: Latency::default(),
            outcome: Outcome::default(),
        }
    }

    pub(super) fn usage(&self) -> Usage {
        self.store.usage()
    }

    /// For what nobody but an operator asks.
    pub(super) fn store(&mut self) -> &mut dyn Store {
        &mut *self.store
    }

    /// Whether the store can be asked something.
    pub(super) const fn is_open(&self) -> bool {
        !matches!(self.health, Health::Failed { .. })
    }

    /// Records that are not written.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn take(&mut self, batch: &mut Batch, loads: &mut Vec<(u16, Load)>, now: Now) {
        if self.pending.is_empty() {
            self.since_ms = now.ticks_ms;
        }
        self.pending.append(batch);
        self.loads.take(loads);
    }

    /// When there is something to do though nothing comes, in [`Now::ticks_ms`].
    pub(super) fn deadline(&self) -> Option<u64> {
        let load_ms = self.loads.deadline();
        match self.health {
            Health::Failed { retry_ms, .. } => return Some(retry_ms),
            Health::Full { retry_ms } => return Some(retry_ms.min(load_ms.unwrap_or(u64::MAX))),
            Health::Well => {}
        }
        let maintain_ms = self.unkempt.then_some(self.maintain_ms);
        let commit_ms = (!self.pending.is_empty()).then(|| self.commit_ms());
        maintain_ms.into_iter().chain(commit_ms).chain(load_ms).min()
    }

    /// What is worth waking up for before that.
    pub(super) fn wakes(&self) -> Wakes {
        if self.health != Health::Well {
            Wakes::Questions
        } else if self.pending.is_empty() {
            Wakes::Everything
        } else if self.pending.urgent().is_none() {
            Wakes::Urgent
        } else {
            Wakes::Questions
        }
    }

    /// Does what is due; with `all`, also what could wait.
    pub(super) fn work(&mut self, now: Now, all: bool) {
        let ms = now.ticks_ms;
        match self.health {
            Health::Well => {
                if !self.pending.is_empty() && (all || self.commit_ms() <= ms) {
                    let class = if all { Class::Disk } else { Class::Os };
                    self.commit(class, now);
                }
            }
            Health::Full { retry_ms } => {
                if all || retry_ms <= ms {
                    // Its own errors say no more than those of the commit behind it.
                    let _ = self.store.maintain();
                    self.write_anew(REOPEN_MS_MIN, now);
                }
            }
            Health::Failed { retry_ms, pause_ms } => {
                if all || retry_ms <= ms {
                    self.reopen(pause_ms, now);
                }
            }
        }
        self.answer(now);
    }

    /// Does a slice of maintenance if it is due: when what came of [`Self::work`] is carried away,
    /// as nobody should wait for this.
    pub(super) fn tidy(&mut self, now: Now) {
        if self.health == Health::Well && self.unkempt && self.maintain_ms <= now.ticks_ms {
            self.maintain(now);
        }
    }

    /// When what is pending is due.
    fn commit_ms(&self) -> u64 {
        match self.pending.urgent() {
            None => self.since_ms + LAZY_MS,
            Some(Class::Memory | Class::Os) => self.since_ms,
            Some(Class::Disk) => {
                let next = self.synced_ms.map_or(0, |synced_ms| synced_ms + self.sync_delay_ms_max);
                next.max(self.since_ms)
            }
        }
    }

    /// Writes all that is pending, in one transaction.
    fn commit(&mut self, least: Class, now: Now) {
        let pieces = self.pending.records().len();
        if let Err(error) = self.commit_front(pieces, least, now) {
            self.fall(error, REOPEN_MS_MIN, now);
        }
    }

    fn commit_front(&mut self, pieces: usize, least: Class, now: Now) -> Result<(), StoreError> {
        let batch = &self.pending.records()[..pieces];
        let urgent = batch.iter().filter_map(Records::urgent).max();
        let class = urgent.map_or(least, |urgent| urgent.max(least));
        if class == Class::Disk {
            self.synced_ms = Some(now.ticks_ms);
        }
        let began = Clock::instant();
        self.store.commit(batch, class)?;
        self.latency.note(Clock::instant().saturating_duration_since(began));
        (self.unkempt, self.busy) = (true, true);
        self.outcome.committed_unix_ms = Some(now.unix_ms);
        for Kept { shard, bytes, mut records } in self.pending.take_front(pieces) {
            self.outcome.freed_bytes += bytes;
            // Else nobody waits for it.
            if records.urgent().is_some() {
                let durable = self.outcome.durable.entry(shard).or_default();
                durable.0 = records.ticket();
                durable.1 += records.len();
            }
            records.clear();
            self.outcome.empty.push((records, bytes));
        }
        Ok(())
    }

    /// After a failure: piece by piece, and all of it on the disk. `pause_ms` is that before the
    /// next try, when this one fails too.
    fn write_anew(&mut self, pause_ms: u64, now: Now) {
        while !self.pending.is_empty() {
            let pieces = self.pending.pieces_within(PIECE_BYTES);
            if let Err(error) = self.commit_front(pieces, Class::Disk, now) {
                return self.fall(error, pause_ms, now);
            }
        }
        self.health = Health::Well;
        self.outcome.changed = Some(Storing::Well);
    }

    fn reopen(&mut self, pause_ms: u64, now: Now) {
        let next_ms = (pause_ms * 2).min(REOPEN_MS_MAX);
        match self.store.reopen() {
            Ok(()) => self.write_anew(next_ms, now),
            Err(error) => self.fall(error, next_ms, now),
        }
    }

    fn fall(&mut self, error: StoreError, pause_ms: u64, now: Now) {
        let (health, storing) = if matches!(error, StoreError::Full { .. }) {
            (Health::Full { retry_ms: now.ticks_ms + FULL_RETRY_MS }, Storing::Full)
        } else {
            let retry_ms = now.ticks_ms + pause_ms;
            (Health::Failed { retry_ms, pause_ms }, Storing::Failed)
        };
        self.health = health;
        self.outcome.changed = Some(storing);
        self.outcome.errors.push(error);
    }

    fn maintain(&mut self, now: Now) {
        let ms = now.ticks_ms;
        match self.store.maintain() {
            Ok(more) => {
                // It does more when it finds nothing new, so it is asked once more.
                let was_busy = std::mem::take(&mut self.busy);
                self.unkempt = more || was_busy;
                self.maintain_ms = match (more, was_busy) {
                    (true, false) => ms,
                    (true, true) => ms + MAINTAIN_BUSY_MS,
                    (false, _) => ms + MAINTAIN_IDLE_MS,
                };
            }
            // What is to be kept may still find room.
            Err(StoreError::Full { .. }) => self.maintain_ms = ms + MAINTAIN_IDLE_MS,
            Err(error) => {
                self.maintain_ms = ms + MAINTAIN_FAILED_MS;
                self.fall(error, REOPEN_MS_MIN, now);
            }
        }
    }

    /// Reads what sessions need, from what is pending or from the store.
    fn answer(&mut self, now: Now) {
        if self.is_open() {
            self.loads.answer(&mut *self.store, &self.pending, now, &mut self.outcome);
        }
    }
}

impl Keeper {
    /// Reads messages for an operator; `None` where one is not there any more, or cannot be read now.
    pub(super) fn look(&mut self, mids: &[Mid], now: Now) -> Vec<Option<StoredMessage>> {
        loads::look(mids, &mut *self.store, &self.pending, now)
    }
}
