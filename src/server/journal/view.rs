//! The journal as an operator sees it: state, sizes, wear.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::broker::{Now, Stats, Storing};
use crate::store::Usage;

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Between two samples of what was written: a day has 96.
const SAMPLE_MS: u64 = DAY_MS / 96;
/// A rate over less than this says nothing.
const RATE_MS_MIN: u64 = 60 * 1000;

/// How it stands with what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreView {
    /// [`Storing::Off`]: nothing is kept, and the rest says nothing.
    pub state: Storing,
    /// Since when it is in this state, milliseconds since 1970.
    pub since_unix_ms: u64,
    /// What went wrong, while it is neither off nor well.
    pub reason: Option<String>,
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Bytes of records in use.
    pub live_bytes: u64,
    /// Messages that somebody waits for.
    pub messages: u64,
    /// Bytes written since the start.
    pub written_bytes: u64,
    /// Bytes written in the last 24 hours, or at this rate; `None` in the first minute.
    pub written_per_day_bytes: Option<u64>,
    /// Commits since the start.
    pub commits: u64,
    /// Of those, how many waited for the disk.
    pub syncs: u64,
    /// Records kept since the start.
    pub records: u64,
    /// Messages that needed no writing.
    pub spared: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: u64,
    /// When the last commit returned, milliseconds since 1970.
    pub committed_unix_ms: Option<u64>,
    /// The time within which half of the last commits returned, microseconds.
    pub commit_p50_us: u64,
    /// The same for 99 of a hundred.
    pub commit_p99_us: u64,
}

/// Where the journal's thread writes how it stands, and others read it.
#[derive(Debug)]
pub(super) struct Board {
    picture: Mutex<Picture>,
}

#[derive(Debug)]
struct Picture {
    view: StoreView,
    wear: Wear,
    /// Times that a commit, a read or opening anew failed.
    failures: u64,
    /// Messages that were not what they were.
    damaged: u64,
}

/// What was written in the last day.
#[derive(Debug)]
struct Wear {
    began_ms: u64,
    /// Time and bytes since the start; the first is the one a day ago.
    samples: VecDeque<(u64, u64)>,
}

impl Board {
    pub(super) fn new(now: Now) -> Self {
        let view =
            StoreView { state: Storing::Well, since_unix_ms: now.unix_ms, ..StoreView::default() };
        let wear = Wear { began_ms: now.ticks_ms, samples: VecDeque::new() };
        Self { picture: Mutex::new(Picture { view, wear, failures: 0, damaged: 0 }) }
    }

    /// The store as it is now.
    pub(super) fn note_usage(&self, usage: &Usage, percentiles_us: (u64, u64), now: Now) {
        let mut picture = self.picture();
        picture.wear.note(now.ticks_ms, usage.written_bytes);
        let view = &mut picture.view;
        view.file_bytes = usage.file_bytes;
        view.live_bytes = usage.live_bytes;
        view.messages = usage.messages;
        view.written_bytes = usage.written_bytes;
        view.commits = usage.commits;
        view.syncs = usage.syncs;
        view.records = usage.records;
        view.spared = usage.spared;
        (view.commit_p50_us, view.commit_p99_us) = percentiles_us;
    }

    pub(super) fn note_commit(&self, unix_ms: u64) {
        self.picture().view.committed_unix_ms = Some(unix_ms);
    }

    pub(super) fn note_state(&self, state: Storing, reason: Option<String>, unix_ms: u64) {
        let mut picture = self.picture();
        let view = &mut picture.view;
        if view.state != state {
            view.state = state;
            view.since_unix_ms = unix_ms;
        }
        view.reason = reason;
    }

    pub(super) fn count_failure(&self) {
        self.picture().failures += 1;
    }

    pub(super) fn count_damaged(&self) {
        self.picture().damaged += 1;
    }

    pub(super) fn view(&self, waiting_bytes: u64, now: Now) -> StoreView {
        let picture = self.picture();
        let mut view = picture.view.clone();
        view.waiting_bytes = waiting_bytes;
        view.written_per_day_bytes = picture.wear.per_day(now.ticks_ms, view.written_bytes);
        view
    }

    pub(super) fn add_to(&self, stats: &mut Stats) {
        let picture = self.picture();
        let view = &picture.view;
        stats.set("store.state", view.state as u64);
        stats.set("store.file_bytes", view.file_bytes);
        stats.set("store.live_bytes", view.live_bytes);
        stats.set("store.messages", view.messages);
        stats.set("store.written_bytes", view.written_bytes);
        stats.set("store.commits", view.commits);
        stats.set("store.syncs", view.syncs);
        stats.set("store.records", view.records);
        stats.set("store.spared", view.spared);
        stats.set("store.commit_p50_us", view.commit_p50_us);
        stats.set("store.commit_p99_us", view.commit_p99_us);
        stats.set("store.failures", picture.failures);
        stats.set("store.damaged", picture.damaged);
    }

    fn picture(&self) -> MutexGuard<'_, Picture> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wear {
    fn note(&mut self, ticks_ms: u64, written_bytes: u64) {
        if self.samples.back().is_some_and(|last| last.0 + SAMPLE_MS > ticks_ms) {
            return;
        }
        self.samples.push_back((ticks_ms, written_bytes));
        while self.samples.get(1).is_some_and(|second| second.0 + DAY_MS <= ticks_ms) {
            self.samples.pop_front();
        }
    }

    /// A broker that slept for days has written little: what counts is the last sample before the
    /// day began.
    fn per_day(&self, ticks_ms: u64, written_bytes: u64) -> Option<u64> {
        let day_began_ms = ticks_ms.saturating_sub(DAY_MS);
        let before = self.samples.iter().take_while(|sample| sample.0 <= day_began_ms).last();
        let (from_ms, bytes) = before.map_or((self.began_ms, 0), |sample| (day_began_ms, sample.1));
        let span_ms = ticks_ms.saturating_sub(from_ms.max(day_began_ms));
        if span_ms < RATE_MS_MIN {
            return None;
        }
        let written = u128::from(written_bytes.saturating_sub(bytes));
        u64::try_from(written * u128::from(DAY_MS) / u128::from(span_ms)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_a_day_is_extrapolated_first_and_then_measured() {
        const HOUR: u64 = 3600 * 1000;
        let mut wear = Wear { began_ms: 0, samples: VecDeque::new() };
        wear.note(1, 100);
        assert_eq!(wear.per_day(59_999, 1000), None);
        assert_eq!(wear.per_day(HOUR, 1000), Some(24_000));
        // 1000 bytes an hour for two days, then twice as much.
        for quarter in 1..=4 * 48 {
            wear.note(quarter * SAMPLE_MS, quarter * 250);
        }
        assert_eq!(wear.per_day(48 * HOUR, 48_000), Some(24_000));
        for quarter in 1..=4 * 24 {
            wear.note(48 * HOUR + quarter * SAMPLE_MS, 48_000 + quarter * 500);
        }
        assert_eq!(wear.per_day(72 * HOUR, 96_000), Some(48_000));
        assert!(wear.samples.len() < 100);
        // Nothing for a week.
        assert_eq!(wear.per_day(240 * HOUR, 96_000), Some(0));
    }
}
