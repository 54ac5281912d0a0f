//! A store in memory, which fails, waits, and tells what it was asked as a test wants it.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::PATIENCE;
use crate::broker::{Class, Mid, Record, Records, Restore};
use crate::store::{Backup, Recovered, Store, StoreError, Usage};

/// The test's hand on the store.
#[derive(Clone, Default)]
pub(crate) struct Double(Arc<State>);

/// The store.
struct Held(Double);

#[derive(Default)]
struct State {
    inner: Mutex<Inner>,
    bell: Condvar,
}

#[derive(Default)]
pub(crate) struct Inner {
    /// What it was asked, in order.
    pub(crate) calls: Vec<Call>,
    /// What comes of the next calls that write, open, or read; then all goes well.
    pub(crate) failures: VecDeque<Fault>,
    /// Whether every commit finds no space.
    pub(crate) full: bool,
    /// Whether every commit fails.
    pub(crate) refuses: bool,
    /// Commits that still find space.
    pub(crate) room: Option<usize>,
    /// Whether messages cannot be read.
    pub(crate) unreadable: bool,
    /// Messages that are damaged.
    pub(crate) damaged: Vec<Mid>,
    pub(crate) messages: BTreeMap<Mid, (Vec<u8>, Vec<u8>)>,
    /// Whether maintenance has more to do.
    pub(crate) unkempt: bool,
    /// Commits do not return.
    held: bool,
    /// Commits that wait to return.
    waiting: usize,
    pub(crate) records: u64,
    /// How many sessions `recover` finds.
    pub(crate) sessions: u64,
    pub(crate) closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Disk,
    Panic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// So many records.
    Commit(usize, Class),
    Reopen,
    Maintain,
    Backup,
}

impl Double {
    pub(crate) fn store(&self) -> Box<dyn Store> {
        Box::new(Held(self.clone()))
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fail(&self, faults: &[Fault]) {
        self.inner().failures.extend(faults);
    }

    /// Takes what it was asked since the last time.
    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.inner().calls)
    }

    /// From now on commits do not return.
    pub(crate) fn hold(&self) {
        self.inner().held = true;
    }

    pub(crate) fn let_go(&self) {
        self.inner().held = false;
        self.0.bell.notify_all();
    }

    /// Waits until something is so.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&Inner) -> bool) {
        let (inner, late) = self
            .0
            .bell
            .wait_timeout_while(self.inner(), PATIENCE, |inner| !is_so(inner))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!late.timed_out(), "{what}; asked: {:?}", inner.calls);
    }

    /// Waits until a commit is held.
    pub(crate) fn wait_until_held(&self) {
        self.wait_for("a commit is under way", |inner| inner.waiting > 0);
    }

    fn call(&self, call: Call) -> Result<(), StoreError> {
        let mut inner = self.inner();
        inner.calls.push(call);
        self.0.bell.notify_all();
        if matches!(call, Call::Commit(..)) {
            inner.waiting += 1;
            inner = self
                .0
                .bell
                .wait_while(inner, |inner| inner.held)
                .unwrap_or_else(PoisonError::into_inner);
            inner.waiting -= 1;
            if inner.refuses {
                return Err(broken());
            }
            if inner.full || inner.room == Some(0) {
                return Err(full());
            }
            inner.room = inner.room.map(|room| room - 1);
        }
        inner.fault()
    }
}

impl Inner {
    fn fault(&mut self) -> Result<(), StoreError> {
        match self.failures.pop_front() {
            None => Ok(()),
            Some(Fault::Disk) => Err(broken()),
            Some(Fault::Panic) => panic!("on purpose"),
        }
    }
}

fn full() -> StoreError {
    StoreError::Full { path: PathBuf::from("double.db") }
}

fn broken() -> StoreError {
    let (path, reason) = (PathBuf::from("double.db"), "Input/output error".to_owned());
    StoreError::Failed { doing: "cannot write", path, reason }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.inner().closed = true;
        self.0.0.bell.notify_all();
    }
}

impl Store for Held {
    fn recover(
        &mut self,
        _into: &mut dyn Restore,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Recovered, StoreError> {
        let mut inner = self.0.inner();
        inner.fault()?;
        (1..=inner.sessions).for_each(progress);
        Ok(Recovered { sessions: inner.sessions, last_mid: 100, ..Recovered::default() })
    }

    fn commit(&mut self, batch: &[Records], class: Class) -> Result<(), StoreError> {
        let count = batch.iter().map(Records::len).sum();
        self.0.call(Call::Commit(count, class))?;
        let mut inner = self.0.inner();
        inner.records += count as u64;
        for record in batch.iter().flat_map(Records::iter) {
            if let Record::Message { mid, envelope, body, .. } = record {
                inner.messages.insert(mid, (envelope.to_vec(), body.to_vec()));
            }
        }
        drop(inner);
        self.0.0.bell.notify_all();
        Ok(())
    }

    fn load(&mut self, mid: Mid, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<bool, StoreError> {
        let inner = self.0.inner();
        if inner.unreadable {
            return Err(broken());
        }
        if inner.damaged.contains(&mid) {
            let (path, what) = (PathBuf::from("double.db"), format!("message {mid}"));
            return Err(StoreError::Damaged { path, what });
        }
        let found = inner.messages.get(&mid);
        found.inspect(|(envelope, body)| read(envelope, body));
        Ok(found.is_some())
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
        self.0.call(Call::Maintain)?;
        Ok(self.0.inner().unkempt)
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        self.0.call(Call::Reopen)
    }

    fn begin_backup(&mut self, file: &Path) -> Result<Backup, StoreError> {
        self.0.call(Call::Backup)?;
        Err(StoreError::Exists { path: file.to_owned() })
    }

    fn usage(&self) -> Usage {
        let inner = self.0.inner();
        Usage { records: inner.records, messages: inner.messages.len() as u64, ..Usage::default() }
    }
}
