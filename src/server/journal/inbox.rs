//! What waits for the journal's thread: records of the shards, their questions, and those of
//! operators.
//!
//! The lock here is a leaf: nothing else is taken while it is held, and nobody holds it while
//! something is written. The thread is woken only when it sleeps and what came is worth it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::batch::Batch;
use crate::broker::{Load, Mid, Records, StoredMessage, Trays};
use crate::store::{Backup, StoreError};

/// Bytes that wait above which those who bring more are not read.
pub(super) const CROWDED_BYTES: u64 = 32 << 20;
/// Bytes below which they are read again.
const ROOMY_BYTES: u64 = CROWDED_BYTES / 2;
/// Empty records kept for their buffers.
const SPARE_MAX: usize = 64;
/// Records that weighed more served a burst, and their buffers go back to the allocator.
const SPARE_BYTES_MAX: u64 = 256 << 10;

/// A question of an operator, or of the server itself.
#[derive(Debug)]
pub(super) enum Request {
    /// To write all that waits now, whatever would suit; the answer says that it was tried.
    Flush(Sender<()>),
    /// To begin a copy of what is kept.
    Backup {
        /// In this new file.
        file: PathBuf,
        /// The copy, for the one who asks to write it.
        begun: Sender<Result<Backup, StoreError>>,
    },
    /// To read messages.
    Look {
        /// Which.
        mids: Vec<Mid>,
        /// Each, in order; `None` where it is not there any more.
        seen: Sender<Vec<Option<StoredMessage>>>,
    },
}

/// What wakes the thread before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wakes {
    /// Whatever comes.
    Everything,
    /// Records that somebody waits for, and questions.
    Urgent,
    /// Questions: records would have to wait anyhow.
    Questions,
}

/// What the thread takes out.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) batch: Batch,
    pub(super) loads: Vec<(u16, Load)>,
    pub(super) requests: Vec<Request>,
    /// No more will come.
    pub(super) ended: bool,
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    content: Mutex<Content>,
    bell: Condvar,
    /// Whether more waits than should.
    crowded: AtomicBool,
    /// How often that came about.
    pauses: AtomicU64,
    waiting_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Content {
    batch: Batch,
    loads: Vec<(u16, Load)>,
    requests: Vec<Request>,
    spare: Vec<Records>,
    /// Bytes here and in the thread's hands.
    waiting_bytes: u64,
    /// What wakes the thread; `None` while it is awake.
    wakes: Option<Wakes>,
    ended: bool,
    /// The thread is gone for good: nothing is taken any more.
    closed: bool,
}

impl Inbox {
    /// Takes what a shard left. Called while the shard is held and before its letters are posted.
    pub(super) fn take_in(&self, shard: u16, trays: &mut Trays) {
        if trays.records.is_empty() && trays.loads.is_empty() {
            return;
        }
        let mut content = self.content();
        if content.closed {
            trays.records.clear();
            trays.loads.clear();
            return;
        }
        let mut rank = Wakes::Everything;
        if !trays.records.is_empty() {
            let spare = content.spare.pop().unwrap_or_default();
            let records = trays.records.take(spare);
            if records.urgent().is_some() {
                rank = Wakes::Urgent;
            }
            let bytes = content.batch.push(shard, records);
            self.note_waiting(&mut content, |waiting| waiting + bytes);
        }
        if !trays.loads.is_empty() {
            content.loads.extend(trays.loads.drain(..).map(|load| (shard, load)));
            rank = Wakes::Questions;
        }
        self.ring(content, rank);
    }

    /// Whether those who bring more are not to be read.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Acquire)
    }

    pub(super) fn pauses(&self) -> u64 {
        self.pauses.load(Ordering::Relaxed)
    }

    pub(super) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes.load(Ordering::Relaxed)
    }

    /// Asks something; the request is dropped, and with it its way back, when nobody will answer.
    pub(super) fn ask(&self, request: Request) {
        let mut content = self.content();
        if !content.closed && !content.ended {
            content.requests.push(request);
            self.ring(content, Wakes::Questions);
        }
    }

    /// No more will come: the thread is to write the rest and end.
    pub(super) fn end(&self) {
        let mut content = self.content();
        content.ended = true;
        self.ring(content, Wakes::Questions);
    }

    /// Nobody reads here any more.
    pub(super) fn close(&self) {
        let mut content = self.content();
        *content = Content { closed: true, ..Content::default() };
        self.note_waiting(&mut content, |_| 0);
    }

    /// For the thread: waits as long as `wait` says (`None`: until something comes) or until
    /// something comes that is worth waking up, and takes all there is.
    pub(super) fn wait(&self, wait: Option<Duration>, wakes: Wakes, taken: &mut Taken) {
        let mut content = self.content();
        if wait != Some(Duration::ZERO) && !content.is_worth(wakes) {
            content.wakes = Some(wakes);
            content = match wait {
                None => {
                    let asleep = |content: &mut Content| content.wakes.is_some();
                    let woken = self.bell.wait_while(content, asleep);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
                Some(wait) => {
                    let asleep = |content: &mut Content| content.wakes.is_some();
                    let woken = self.bell.wait_timeout_while(content, wait, asleep);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            content.wakes = None;
        }
        taken.batch.append(&mut content.batch);
        taken.loads.append(&mut content.loads);
        taken.requests.append(&mut content.requests);
        taken.ended = content.ended;
    }

    /// For the thread: so many bytes are written. Their buffers may be used again. Says whether
    /// those who were not read may be read again.
    pub(super) fn release(&self, bytes: u64, empty: &mut Vec<(Records, u64)>) -> bool {
        if bytes == 0 && empty.is_empty() {
            return false;
        }
        let mut content = self.content();
        for (records, weight) in empty.drain(..) {
            if content.spare.len() < SPARE_MAX && weight <= SPARE_BYTES_MAX {
                content.spare.push(records);
            }
        }
        self.note_waiting(&mut content, |waiting| waiting.saturating_sub(bytes))
    }

    /// Says whether there is room again.
    fn note_waiting(&self, content: &mut Content, change: impl FnOnce(u64) -> u64) -> bool {
        content.waiting_bytes = change(content.waiting_bytes);
        self.waiting_bytes.store(content.waiting_bytes, Ordering::Relaxed);
        let was_crowded = self.crowded.load(Ordering::Relaxed);
        if !was_crowded && content.waiting_bytes > CROWDED_BYTES {
            self.pauses.fetch_add(1, Ordering::Relaxed);
            self.crowded.store(true, Ordering::Release);
        }
        let roomy = was_crowded && content.waiting_bytes < ROOMY_BYTES;
        if roomy {
            self.crowded.store(false, Ordering::Release);
        }
        roomy
    }

    /// Wakes the thread if it sleeps and what came, of this rank, is worth it.
    fn ring(&self, mut content: MutexGuard<'_, Content>, rank: Wakes) {
        if content.wakes.is_some_and(|wakes| rank >= wakes) {
            content.wakes = None;
            drop(content);
            self.bell.notify_one();
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Whether what is here already would have woken the thread.
    fn is_worth(&self, wakes: Wakes) -> bool {
        let asked = self.ended || !self.loads.is_empty() || !self.requests.is_empty();
        asked
            || match wakes {
                Wakes::Everything => !self.batch.is_empty(),
                Wakes::Urgent => self.batch.urgent().is_some(),
                Wakes::Questions => false,
            }
    }
}
