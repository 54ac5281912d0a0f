//! The journal's thread and its disk (`server/journal`), without thread and disk: what shards leave
//! waits here until somebody has it written, and what came of it until it is told to them.
//!
//! When that happens is the business of the schedule. Nothing here knows what is right.

use std::collections::VecDeque;

use mqttd::broker::{
    Class, Envelope, Load, Loaded, Mid, Now, Record, Records, Sid, StoredMessage, Trays,
};
use mqttd::session::Identifiers;
use mqttd::store::{Fault, MemoryStore, Store};

use crate::chance::Chance;

/// What is told to a shard.
#[derive(Debug)]
pub(crate) enum Report {
    Durable(u64),
    Loaded(Loaded),
}

/// How a broker ends without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process: what was written is there.
    Kill,
    /// The machine: what was synced is there, and perhaps more.
    PowerCut,
}

#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) store: MemoryStore,
    /// What is not written, in order, and whose it is.
    pending: Vec<Records>,
    origins: Vec<usize>,
    loads: VecDeque<(usize, Load)>,
    reports: Vec<VecDeque<Report>>,
    /// Nothing is written before.
    busy_until_ms: u64,
    trouble: Option<(Fault, u64)>,
    pub(crate) commits: u64,
    pub(crate) loaded: u64,
}

impl Disk {
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            store: MemoryStore::new(),
            pending: Vec::new(),
            origins: Vec::new(),
            loads: VecDeque::new(),
            reports: (0..shards).map(|_| VecDeque::new()).collect(),
            busy_until_ms: 0,
            trouble: None,
            commits: 0,
            loaded: 0,
        }
    }

    /// Takes what a shard left; before its letters are on their way.
    pub(crate) fn take_in(&mut self, shard: usize, trays: &mut Trays) {
        if !trays.records.is_empty() {
            self.pending.push(trays.records.take(Records::default()));
            self.origins.push(shard);
        }
        self.loads.extend(trays.loads.drain(..).map(|load| (shard, load)));
    }

    /// What shards left one by one and is not written.
    pub(crate) const fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether something would come of it if all was done now.
    pub(crate) fn moves(&self, ms: u64) -> bool {
        let reports = self.reports.iter().any(|reports| !reports.is_empty());
        let works = ms >= self.busy_until_ms && self.trouble.is_none_or(|(_, at_ms)| ms >= at_ms);
        reports || works && !(self.pending.is_empty() && self.loads.is_empty())
    }

    /// When it works again.
    pub(crate) fn deadline(&self, ms: u64) -> Option<u64> {
        let trouble_ms = self.trouble.map_or(0, |(_, at_ms)| at_ms);
        Some(trouble_ms.max(self.busy_until_ms)).filter(|at_ms| *at_ms > ms)
    }

    /// It does nothing for a while.
    pub(crate) const fn stall(&mut self, until_ms: u64) {
        self.busy_until_ms = until_ms;
    }

    /// It fails for a while.
    pub(crate) fn fail(&mut self, fault: Fault, until_ms: u64) {
        if self.trouble.is_none() {
            self.store.set_fault(Some(fault));
            self.trouble = Some((fault, until_ms));
        }
    }

    /// All is well from now on.
    pub(crate) const fn heal(&mut self) {
        self.busy_until_ms = 0;
        if let Some((_, until_ms)) = &mut self.trouble {
            *until_ms = 0;
        }
    }

    /// Writes the first `count` of what shards left.
    ///
    /// Nobody tells shards that the store keeps nothing: what they would refuse then has to wait.
    pub(crate) fn commit(&mut self, count: usize, ms: u64) {
        if ms < self.busy_until_ms {
            return;
        }
        let mut least = Class::Os;
        if let Some((fault, until_ms)) = self.trouble
            && ms >= until_ms
        {
            self.store.set_fault(None);
            self.trouble = None;
            if matches!(fault, Fault::Failed { .. }) {
                self.store.reopen().expect("it is well again");
                least = Class::Disk;
            }
        }
        let count = count.min(self.pending.len());
        let urgent = self.pending[..count].iter().filter_map(Records::urgent).max();
        let class = urgent.map_or(least, |urgent| urgent.max(least));
        if count > 0 && self.store.commit(&self.pending[..count], class).is_err() {
            return;
        }
        self.commits += u64::from(count > 0);
        let written = self.pending.drain(..count);
        for (records, shard) in written.zip(self.origins.drain(..count)) {
            self.reports[shard].push_back(Report::Durable(records.ticket()));
        }
    }

    /// What can wait.
    pub(crate) fn maintain(&mut self) {
        if self.trouble.is_none() {
            self.store.maintain().expect("all is well");
        }
    }

    /// Reads the first of what sessions need.
    pub(crate) fn answer(&mut self, ms: u64, now: Now) {
        let works = ms >= self.busy_until_ms && self.trouble.is_none();
        if let Some((shard, load)) = works.then(|| self.loads.pop_front()).flatten() {
            let offset_ms = now.unix_ms - now.ticks_ms;
            let mut messages = Vec::new();
            for mid in &load.mids {
                messages.push((*mid, self.read(*mid, load.sid, offset_ms)));
            }
            self.loaded += messages.len() as u64;
            self.reports[shard]
                .push_back(Report::Loaded(Loaded { session: load.session, messages }));
        }
    }

    fn read(
        &mut self,
        wanted: Mid,
        sid: Sid,
        offset_ms: u64,
    ) -> Option<(StoredMessage, Identifiers)> {
        let open = |envelope: &[u8], body: &[u8]| {
            let mut recipients = Envelope::open(envelope)?.recipients().flatten();
            let own = recipients.find(|recipient| recipient.sid == sid)?;
            Some((StoredMessage::open(body, offset_ms)?, own.identifiers))
        };
        for record in self.pending.iter().flat_map(Records::iter) {
            if let Record::Message { mid, envelope, body, .. } = record
                && mid == wanted
            {
                return open(envelope, body);
            }
        }
        let mut found = None;
        let mut read = |envelope: &[u8], body: &[u8]| found = open(envelope, body);
        self.store.load(wanted, &mut read).expect("it can be read");
        found
    }

    /// The next report for a shard.
    pub(crate) fn report(&mut self, shard: usize) -> Option<Report> {
        self.reports[shard].pop_front()
    }

    /// The broker is gone. What was being written is there as a whole, or not.
    pub(crate) fn crash(&mut self, how: Crash, shards: usize, chance: &mut Chance) {
        let count = chance.below(self.pending.len() + 1);
        if chance.once_in(2) && self.trouble.is_none() && count > 0 {
            self.store.commit(&self.pending[..count], Class::Os).expect("all is well");
        }
        let written = self.store.unsynced();
        let kept = if how == Crash::Kill { written } else { chance.below(written + 1) };
        self.store.crash(kept);
        let store = std::mem::take(&mut self.store);
        let (commits, loaded) = (self.commits, self.loaded);
        *self = Self { store, commits, loaded, ..Self::new(shards) };
        self.store.set_fault(None);
    }
}
