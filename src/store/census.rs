//! Which messages a table holds, how many recipients each has left, and what it weighs: in memory,
//! twelve bytes a message.
//!
//! A message is *claimed* while it is the retained message of its topic. One without claim and
//! recipients is dead: of no use to anybody, and removed from the table when that is worth it
//! ([`Census::runs`]). The table and its census always name the same messages. Which of them share a
//! row is in `placement`.

use std::collections::{BTreeMap, BTreeSet};

/// Messages of one chunk at most; few in tests, which have few messages.
const CHUNK_MAX: usize = if cfg!(test) { 8 } else { 128 };
const CLAIMED: u32 = 1 << 31;
/// It is in the table.
const PLACED: u32 = 1 << 30;
/// It is the first of its row, which has its name.
const HEAD: u32 = 1 << 29;
const FLAGS: u32 = CLAIMED | PLACED | HEAD;

/// What is known of the messages of a table.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Census {
    /// By the name from which a chunk's names are counted.
    chunks: BTreeMap<u64, Chunk>,
    totals: Totals,
    /// Strips that were dead as a whole when their last message died.
    pub(super) ripe: BTreeSet<u64>,
}

/// Sums over a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Messages.
    pub(super) rows: u64,
    /// Bytes of those that are in use.
    pub(super) live_bytes: u64,
    /// Bytes of those that are dead.
    pub(super) dead_bytes: u64,
    /// Messages that somebody waits for.
    pub(super) waiting: u64,
    /// Messages that are claimed.
    pub(super) claimed: u64,
    /// Bytes of those that somebody waits for, and that are not claimed.
    pub(super) unclaimed_bytes: u64,
}

#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
struct Chunk {
    /// In the order of names.
    entries: Vec<Entry>,
    /// How many are not claimed.
    unclaimed: u32,
    /// How many are dead.
    dead: u32,
}

/// What is known of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name, less that of the chunk.
    offset: u32,
    /// Recipients.
    left: u32,
    /// Bytes, and [`FLAGS`].
    bytes: u32,
}

/// Messages next to each other that need not stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first.
    pub(super) first: u64,
    /// The last.
    pub(super) last: u64,
    /// How many.
    pub(super) rows: usize,
}

/// What [`Census::runs`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Dead messages.
    pub(super) dead: Vec<Run>,
    /// Messages without a claim that somebody waits for.
    pub(super) waiting: Vec<u64>,
    /// Where to go on; `None` at the end.
    pub(super) next: Option<u64>,
}

impl Entry {
    fn new(left: u32, claimed: bool, bytes: u64) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(!FLAGS);
        Self { offset: 0, left, bytes: bytes | if claimed { CLAIMED } else { 0 } }
    }

    const fn is_claimed(self) -> bool {
        self.bytes & CLAIMED != 0
    }

    pub(super) const fn is_dead(self) -> bool {
        self.left == 0 && !self.is_claimed()
    }

    pub(super) const fn is_placed(self) -> bool {
        self.bytes & PLACED != 0
    }

    pub(super) const fn is_head(self) -> bool {
        self.bytes & HEAD != 0
    }

    const fn bytes(self) -> u64 {
        (self.bytes & !FLAGS) as u64
    }
}

impl Census {
    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether a message is there.
    pub(super) fn holds(&self, mid: u64) -> bool {
        self.entry(mid).is_some()
    }

    /// Whether a message is there and in use.
    pub(super) fn is_live(&self, mid: u64) -> bool {
        self.entry(mid).is_some_and(|entry| !entry.is_dead())
    }

    pub(super) fn entry(&self, mid: u64) -> Option<Entry> {
        let (base, chunk) = self.chunks.range(..=mid).next_back()?;
        chunk.find(mid - base).ok().map(|at| chunk.entries[at])
    }

    /// Adds a message; returns what was known of one of that name.
    pub(super) fn put(&mut self, mid: u64, left: u32, claimed: bool, bytes: u64) -> Option<Entry> {
        let before = self.take(mid);
        let mut entry = Entry::new(left, claimed, bytes);
        entry.bytes |= before.map_or(0, |before| before.bytes & (PLACED | HEAD));
        self.restore(mid, Some(entry));
        before
    }

    /// Whether a message is in the table, and whether it is the first of its row.
    pub(super) fn set_place(&mut self, mid: u64, is_head: bool) {
        let flags = PLACED | if is_head { HEAD } else { 0 };
        self.change(mid, |entry| {
            entry.bytes = entry.bytes & !(PLACED | HEAD) | flags;
            true
        });
    }

    /// Makes known of a name what `entry` says; returns what was known before.
    pub(super) fn restore(&mut self, mid: u64, entry: Option<Entry>) -> Option<Entry> {
        let before = self.take(mid);
        if let Some(entry) = entry {
            self.totals.add(entry);
            self.insert(mid, entry);
        }
        before
    }

    fn take(&mut self, mid: u64) -> Option<Entry> {
        let (base, chunk) = self.chunks.range_mut(..=mid).next_back()?;
        let at = chunk.find(mid - base).ok()?;
        let entry = chunk.entries.remove(at);
        chunk.count(entry, u32::wrapping_sub);
        self.totals.subtract(entry);
        if chunk.entries.is_empty() {
            let base = *base;
            self.chunks.remove(&base);
        }
        Some(entry)
    }

    fn insert(&mut self, mid: u64, mut entry: Entry) {
        if let Some((&base, chunk)) = self.chunks.range_mut(..=mid).next_back()
            && let Ok(offset) = u32::try_from(mid - base)
        {
            let at = chunk.find(mid - base).unwrap_or_else(|at| at);
            if chunk.entries.len() < CHUNK_MAX {
                entry.offset = offset;
                chunk.entries.insert(at, entry);
                chunk.count(entry, u32::wrapping_add);
                return;
            }
            if at < chunk.entries.len() {
                let upper = chunk.split(CHUNK_MAX / 2);
                let first = base + u64::from(upper.entries[0].offset);
                self.chunks.insert(first, upper.rebased());
                return self.insert(mid, entry);
            }
        }
        let mut chunk = Chunk::default();
        entry.offset = 0;
        chunk.count(entry, u32::wrapping_add);
        chunk.entries.push(entry);
        self.chunks.insert(mid, chunk);
    }

    /// A recipient is done with a message; `false` when it is not there, or has none left.
    pub(super) fn release(&mut self, mid: u64) -> bool {
        self.change(mid, |entry| match entry.left {
            0 => false,
            left => {
                entry.left = left - 1;
                true
            }
        })
    }

    /// Takes a [`Self::release`] back.
    pub(super) fn regain(&mut self, mid: u64) {
        self.change(mid, |entry| {
            entry.left += 1;
            true
        });
    }

    /// So many recipients are not done with a message.
    pub(super) fn expect(&mut self, mid: u64, left: u32) {
        self.change(mid, |entry| {
            entry.left = left;
            true
        });
    }

    /// A message is the retained one of its topic, or not; `false` when nothing changed.
    pub(super) fn claim(&mut self, mid: u64, claimed: bool) -> bool {
        self.change(mid, |entry| {
            let changes = entry.is_claimed() != claimed;
            entry.bytes ^= if changes { CLAIMED } else { 0 };
            changes
        })
    }

    fn change(&mut self, mid: u64, change: impl FnOnce(&mut Entry) -> bool) -> bool {
        let Some((base, chunk)) = self.chunks.range_mut(..=mid).next_back() else { return false };
        let Ok(at) = chunk.find(mid - base) else { return false };
        let before = chunk.entries[at];
        if !change(&mut chunk.entries[at]) {
            return false;
        }
        let after = chunk.entries[at];
        chunk.count(before, u32::wrapping_sub);
        chunk.count(after, u32::wrapping_add);
        // Those behind it are done with later, mostly.
        let next = chunk.entries.get(at + 1).copied();
        let may_be_ripe = after.is_dead()
            && after.is_placed()
            && next.is_none_or(|it| it.is_dead() || it.is_head());
        self.totals.subtract(before);
        self.totals.add(after);
        if may_be_ripe {
            self.note_ripe(mid);
        }
        true
    }

    /// Dead messages from a name on, and with `unclaimed` those without a claim that somebody waits
    /// for: `rows_max` at most.
    pub(super) fn runs(&self, from: u64, rows_max: usize, unclaimed: bool) -> Found {
        let mut found = Found::default();
        let mut run: Option<Run> = None;
        let mut rows = 0;
        let start = self.chunks.range(..=from).next_back().map_or(from, |(base, _)| *base);
        for (base, chunk) in self.chunks.range(start..) {
            if chunk.dead == 0 && !(unclaimed && chunk.unclaimed > 0) {
                found.dead.extend(run.take());
                continue;
            }
            for entry in &chunk.entries {
                let mid = base + u64::from(entry.offset);
                if mid < from {
                    continue;
                }
                let goes = entry.is_dead() || unclaimed && !entry.is_claimed();
                if goes && rows == rows_max {
                    found.dead.extend(run);
                    found.next = Some(mid);
                    return found;
                }
                rows += usize::from(goes);
                if entry.is_dead() {
                    let run = run.get_or_insert(Run { first: mid, last: mid, rows: 0 });
                    run.last = mid;
                    run.rows += 1;
                    continue;
                }
                found.dead.extend(run.take());
                if goes {
                    found.waiting.push(mid);
                }
            }
        }
        found.dead.extend(run);
        found
    }

    /// Forgets the messages of a run, which are removed from the table.
    pub(super) fn forget(&mut self, run: Run) {
        let start =
            self.chunks.range(..=run.first).next_back().map_or(run.first, |(base, _)| *base);
        let mut empty = Vec::new();
        for (base, chunk) in self.chunks.range_mut(start..=run.last) {
            let within = |mid| mid >= run.first && mid <= run.last;
            let (mut dead, totals) = (0, &mut self.totals);
            chunk.entries.retain(|entry| {
                let goes = within(base + u64::from(entry.offset)) && entry.is_dead();
                if goes {
                    dead += 1;
                    totals.subtract(*entry);
                }
                !goes
            });
            chunk.dead -= dead;
            chunk.unclaimed -= dead;
            if chunk.entries.is_empty() {
                empty.push(*base);
            } else if chunk.entries.len() * 4 < chunk.entries.capacity() {
                chunk.entries.shrink_to_fit();
            }
        }
        for base in empty {
            self.chunks.remove(&base);
        }
    }

    /// What is known from a name on, in order.
    pub(super) fn from(&self, mid: u64) -> impl Iterator<Item = (u64, Entry)> + '_ {
        let base = self.chunks.range(..=mid).next_back().map_or(mid, |(base, _)| *base);
        self.chunks.range(base..).flat_map(move |(&base, chunk)| {
            let first = if base < mid { chunk.find(mid - base).unwrap_or_else(|at| at) } else { 0 };
            chunk.entries[first..].iter().map(move |entry| (base + u64::from(entry.offset), *entry))
        })
    }

    /// What is known before a name, the nearest first.
    pub(super) fn before(&self, mid: u64) -> impl Iterator<Item = (u64, Entry)> + '_ {
        self.chunks.range(..mid).rev().flat_map(move |(&base, chunk)| {
            let end = chunk.find(mid - base).unwrap_or_else(|at| at);
            let entries = chunk.entries[..end].iter().rev();
            entries.map(move |entry| (base + u64::from(entry.offset), *entry))
        })
    }

    /// All names, in order.
    pub(super) fn mids(&self) -> impl Iterator<Item = u64> + '_ {
        self.chunks.iter().flat_map(|(base, chunk)| {
            chunk.entries.iter().map(move |entry| base + u64::from(entry.offset))
        })
    }
}

impl Chunk {
    fn find(&self, offset: u64) -> Result<usize, usize> {
        let Ok(offset) = u32::try_from(offset) else { return Err(self.entries.len()) };
        if self.entries.last().is_some_and(|last| last.offset < offset) {
            return Err(self.entries.len());
        }
        self.entries.binary_search_by_key(&offset, |entry| entry.offset)
    }

    fn count(&mut self, entry: Entry, by: fn(u32, u32) -> u32) {
        if !entry.is_claimed() {
            self.unclaimed = by(self.unclaimed, 1);
        }
        if entry.is_dead() {
            self.dead = by(self.dead, 1);
        }
    }

    fn split(&mut self, at: usize) -> Self {
        let mut upper = Self::default();
        for entry in self.entries.split_off(at) {
            self.count(entry, u32::wrapping_sub);
            upper.count(entry, u32::wrapping_add);
            upper.entries.push(entry);
        }
        upper
    }

    /// Counts names from the first one.
    fn rebased(mut self) -> Self {
        let first = self.entries.first().map_or(0, |entry| entry.offset);
        self.entries.iter_mut().for_each(|entry| entry.offset -= first);
        self
    }
}

impl Totals {
    fn add(&mut self, entry: Entry) {
        self.change(entry, u64::wrapping_add);
    }

    fn subtract(&mut self, entry: Entry) {
        self.change(entry, u64::wrapping_sub);
    }

    fn change(&mut self, entry: Entry, by: fn(u64, u64) -> u64) {
        self.rows = by(self.rows, 1);
        let bytes = if entry.is_dead() { &mut self.dead_bytes } else { &mut self.live_bytes };
        *bytes = by(*bytes, entry.bytes());
        if entry.left > 0 {
            self.waiting = by(self.waiting, 1);
        }
        if entry.is_claimed() {
            self.claimed = by(self.claimed, 1);
        } else if entry.left > 0 {
            self.unclaimed_bytes = by(self.unclaimed_bytes, entry.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known of a message, the long way: recipients, whether it is claimed, bytes.
    type Plain = BTreeMap<u64, (u32, bool, u64)>;

    fn is_dead(plain: &Plain, mid: u64) -> bool {
        plain.get(&mid).is_some_and(|(left, claimed, _)| *left == 0 && !claimed)
    }

    fn compare(census: &Census, plain: &Plain) {
        assert!(census.mids().eq(plain.keys().copied()));
        let (mut live, mut dead) = (0, 0);
        for (mid, (left, claimed, bytes)) in plain {
            assert_eq!(census.is_live(*mid), *left > 0 || *claimed);
            *(if is_dead(plain, *mid) { &mut dead } else { &mut live }) += bytes;
        }
        let totals = census.totals();
        assert_eq!((totals.live_bytes, totals.dead_bytes), (live, dead));
        assert_eq!(totals.rows, plain.len() as u64);
        let waiting = plain.values().filter(|(left, ..)| *left > 0).count();
        assert_eq!(totals.waiting, waiting as u64);
        let claimed = plain.values().filter(|(_, claimed, _)| *claimed).count();
        assert_eq!(totals.claimed, claimed as u64);
    }

    fn check_runs(found: &Found, plain: &Plain) {
        let mut last = None;
        for run in &found.dead {
            assert!(last < Some(run.first) && run.first <= run.last);
            let rows = plain.range(run.first..=run.last);
            assert_eq!(rows.clone().count(), run.rows);
            assert!(rows.into_iter().all(|(mid, _)| is_dead(plain, *mid)));
            last = Some(run.last);
        }
    }

    #[test]
    fn it_knows_what_a_plain_list_knows() {
        let mut seed = 5_u64;
        let mut chance = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for stride in [1, 3, 1 << 31] {
            let (mut census, mut plain) = (Census::default(), Plain::new());
            for step in 0..4000 {
                let mid = 1 + chance(300 + step / 10) * stride;
                match chance(10) {
                    0..=3 => {
                        let (left, claimed, bytes) = (chance(3), chance(4) == 0, chance(1000));
                        let left = u32::try_from(left).unwrap();
                        census.put(mid, left, claimed, bytes);
                        plain.insert(mid, (left, claimed, bytes));
                    }
                    4..=6 => {
                        let known = plain.get_mut(&mid).filter(|(left, ..)| *left > 0);
                        assert_eq!(census.release(mid), known.is_some());
                        known.into_iter().for_each(|(left, ..)| *left -= 1);
                    }
                    7 => {
                        let known = plain.get_mut(&mid).filter(|(_, claimed, _)| *claimed);
                        assert_eq!(census.claim(mid, false), known.is_some());
                        known.into_iter().for_each(|(_, claimed, _)| *claimed = false);
                    }
                    8 if chance(20) == 0 => {
                        let found = census.runs(chance(300) * stride, 20, false);
                        check_runs(&found, &plain);
                        for run in found.dead {
                            census.forget(run);
                            plain.retain(|mid, _| *mid < run.first || *mid > run.last);
                        }
                    }
                    _ => {
                        let taken = census.restore(mid, None);
                        assert_eq!(taken.is_some(), plain.remove(&mid).is_some());
                        assert_eq!(census.restore(mid, taken), None);
                        if let Some(taken) = taken {
                            let known = (taken.left, taken.is_claimed(), taken.bytes());
                            plain.insert(mid, known);
                        }
                    }
                }
            }
            compare(&census, &plain);
            let mut next = Some(0);
            let mut removed = 0;
            while let Some(from) = next {
                let found = census.runs(from, 7, true);
                removed += found.dead.iter().map(|run| run.rows).sum::<usize>();
                removed += found.waiting.len();
                check_runs(&found, &plain);
                next = found.next;
            }
            let unclaimed = plain.values().filter(|(_, claimed, _)| !claimed).count();
            assert_eq!(removed, unclaimed);
        }
    }
}
