//! What can wait: dead messages are removed in order, when it is worth it, and free pages are given
//! back to the system.
//!
//! Dead messages are harmless, since a session knows what it is done with; they only take space. One
//! that is removed by itself costs a page or two, a stretch of them no more: the next messages are
//! written where they stood, in the same commit. So stretches go at once, and what is scattered
//! stays until there is more of it than of living messages, and goes then from the lowest name up, a
//! slice with each commit.

use rusqlite::Connection;

use super::StoreError;
use super::books::{Books, Shelf};
use super::census::{Found, Run};
use super::commit::{begin, commit, run};
use super::recover::number;
use super::sqlite::SqliteStore;
use crate::broker::Class;

/// Messages removed with one commit.
const SLICE_ROWS: usize = 4096;
/// Pages given back at once.
const VACUUM_PAGES: u64 = 512;
/// Free pages that are kept for the next messages; fewer when nothing comes.
const BUSY_FREE_PAGES: u64 = (64 << 20) / super::schema::PAGE_BYTES;
const IDLE_FREE_PAGES: u64 = (2 << 20) / super::schema::PAGE_BYTES;

/// Free pages that are cut off at once, when those in use are few enough to be moved at once.
const CUT_FREE_PAGES: u64 = (32 << 20) / super::schema::PAGE_BYTES;
const CUT_USED_PAGES: u64 = (4 << 20) / super::schema::PAGE_BYTES;

/// Useless bytes that are not worth a pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slack {
    pub(super) log: u64,
    pub(super) retained: u64,
    /// When there is nothing else to do.
    pub(super) idle: u64,
}

impl Default for Slack {
    fn default() -> Self {
        Self { log: 16 << 20, retained: 4 << 20, idle: 2 << 20 }
    }
}

/// How far sweeping is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    pub(super) slack: Slack,
    log: Option<Pass>,
    retained: Option<Pass>,
    /// Commits at the last visit of `tidy`.
    commits: u64,
    /// Whether pages were given back since the files were last cut.
    gave_back: bool,
    /// What the last commit that failed was to remove: when the disk failed, it may be removed.
    pub(super) doubtful: Slice,
}

/// A pass over a shelf, lowest name first.
#[derive(Clone, Copy, Debug)]
struct Pass {
    next: u64,
    /// The last note that can go when the end is reached: all it is about is removed then.
    tombs: Option<u64>,
}

/// What one commit removes.
#[derive(Debug, Default)]
pub(super) struct Slice {
    /// Of a pass.
    log: Option<Found>,
    /// Outside of a pass.
    ripe: Option<Found>,
    retained: Option<Found>,
    /// Notes up to this one.
    tombs: Option<u64>,
}

impl Slice {
    /// Removes it from the tables.
    pub(super) fn remove(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (log, retained) = (self.log.as_ref().or(self.ripe.as_ref()), self.retained.as_ref());
        for (shelf, found) in [(Shelf::Log, log), (Shelf::Retained, retained)] {
            let Some(found) = found else { continue };
            let sql = match shelf {
                Shelf::Log => "DELETE FROM log WHERE mid BETWEEN ?1 AND ?2",
                Shelf::Retained => "DELETE FROM retained WHERE mid BETWEEN ?1 AND ?2",
            };
            for stretch in &found.dead {
                let bounds = (stretch.first.cast_signed(), stretch.last.cast_signed());
                run(connection, sql, bounds)?;
            }
            // Somebody waits for these, but they are retained no more.
            for mid in &found.waiting {
                let mid = [mid.cast_signed()];
                run(connection, "REPLACE INTO log SELECT * FROM retained WHERE mid = ?1", mid)?;
                run(connection, "DELETE FROM retained WHERE mid = ?1", mid)?;
            }
        }
        if let Some(seq) = self.tombs {
            run(connection, "DELETE FROM gone WHERE seq <= ?1", [seq.cast_signed()])?;
        }
        Ok(())
    }

    /// Whether it takes a message from a shelf.
    pub(super) fn takes(&self, shelf: Shelf, mid: u64) -> bool {
        let found = match shelf {
            Shelf::Log => self.log.as_ref().or(self.ripe.as_ref()),
            Shelf::Retained => self.retained.as_ref(),
        };
        found.is_some_and(|found| {
            let within = |run: &Run| (run.first..=run.last).contains(&mid);
            found.waiting.contains(&mid) || found.dead.iter().any(within)
        })
    }

    fn is_empty(&self) -> bool {
        let is_unripe = self.ripe.as_ref().is_none_or(|found| found.dead.is_empty());
        self.log.is_none() && self.retained.is_none() && is_unripe
    }
}

impl SqliteStore {
    /// What the next commit is to remove of retained messages; to be asked before the books take the
    /// batch in, since what it brings is not in the table yet.
    pub(super) fn retained_slice(&mut self) -> Slice {
        self.slice_of_retained(self.sweep.slack.retained)
    }

    /// And of the log: what the batch says is done counts.
    pub(super) fn with_log(&mut self, slice: Slice) -> Slice {
        self.slice_of_log(slice, self.sweep.slack.log)
    }

    fn slice_of_retained(&mut self, slack: u64) -> Slice {
        let mut slice = Slice::default();
        if !self.knows_all {
            return slice;
        }
        let books = &self.books;
        let totals = books.retained();
        let useless = totals.dead_bytes + totals.unclaimed_bytes + books.tomb_bytes();
        if self.sweep.retained.is_none() && useless > totals.live_bytes.max(slack) {
            let tombs = books.settled_tombs();
            self.sweep.retained = Some(Pass { next: 0, tombs });
        }
        if let Some(pass) = &self.sweep.retained {
            let found = books.census(Shelf::Retained).runs(pass.next, SLICE_ROWS, true);
            slice.tombs = if found.next.is_none() { pass.tombs } else { None };
            slice.retained = Some(found);
        }
        slice
    }

    fn slice_of_log(&mut self, mut slice: Slice, slack: u64) -> Slice {
        if !self.knows_all {
            return slice;
        }
        let totals = self.books.log();
        if self.sweep.log.is_none() && totals.dead_bytes > totals.live_bytes.max(slack) {
            self.sweep.log = Some(Pass { next: 0, tombs: None });
        }
        let census = self.books.census_mut(Shelf::Log);
        if let Some(pass) = &self.sweep.log {
            slice.log = Some(census.runs(pass.next, SLICE_ROWS, false));
        } else {
            slice.ripe = Some(census.ripe(SLICE_ROWS));
        }
        slice
    }

    /// A slice is removed.
    pub(super) fn swept(&mut self, slice: Slice) {
        if let Some(found) = slice.log {
            self.sweep.log = Pass::behind(self.sweep.log, &found);
            found.forget(&mut self.books, Shelf::Log);
        }
        if let Some(found) = slice.ripe {
            found.forget(&mut self.books, Shelf::Log);
        }
        if let Some(found) = slice.retained {
            self.sweep.retained = Pass::behind(self.sweep.retained, &found);
            for mid in &found.waiting {
                self.books.move_to_log(*mid);
            }
            found.forget(&mut self.books, Shelf::Retained);
        }
        if let Some(seq) = slice.tombs {
            self.books.forget_tombs(seq);
        }
    }

    /// A slice of what can wait.
    pub(super) fn tidy(&mut self) -> Result<bool, StoreError> {
        if let Some(error) = self.ailing.take() {
            return Err(error);
        }
        let is_idle = self.sweep.commits == self.counts.commits;
        let Slack { log, retained, idle } = self.sweep.slack;
        let most = |busy| if is_idle { idle.min(busy) } else { busy };
        let slice = self.slice_of_retained(most(retained));
        let slice = self.slice_of_log(slice, most(log));
        let more = if slice.is_empty() {
            // The next visit may find nothing else to do.
            self.give_back(is_idle)? || !is_idle
        } else {
            self.remove(slice)?;
            true
        };
        self.sweep.commits = self.counts.commits;
        Ok(more)
    }

    fn remove(&mut self, slice: Slice) -> Result<(), StoreError> {
        match self.maintaining(|connection| slice.remove(connection)) {
            Ok(()) => {
                self.swept(slice);
                Ok(())
            }
            Err(error) => {
                self.sweep.doubtful = slice;
                Err(error)
            }
        }
    }

    /// A transaction that nobody waits for.
    fn maintaining(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        self.wait_for(Class::Os)?;
        let done = begin(&self.connection)
            .and_then(|()| work(&self.connection))
            .and_then(|()| commit(&self.connection, Class::Os));
        if let Err(error) = done {
            self.roll_back();
            return Err(self.failed(&error));
        }
        self.count_commit(Class::Os);
        self.move_pages_when_many();
        Ok(())
    }

    /// Gives some free pages back when there are many, and cuts the files in the end.
    fn give_back(&mut self, is_idle: bool) -> Result<bool, StoreError> {
        let count = |pragma| {
            let pages = self.connection.pragma_query_value(None, pragma, |row| number(row, 0));
            pages.map_err(|error| self.failed(&error))
        };
        let free = count("freelist_count")?;
        let kept = if is_idle { IDLE_FREE_PAGES } else { BUSY_FREE_PAGES };
        if free > kept {
            let pages = count("page_count")?;
            if is_idle && free >= CUT_FREE_PAGES && pages - free <= CUT_USED_PAGES {
                self.cut_off()?;
                self.sweep.gave_back = true;
                return Ok(true);
            }
            if free * 4 > pages || self.sweep.gave_back {
                self.maintaining(|connection| {
                    let sql = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
                    let mut statement = connection.prepare(&sql)?;
                    let mut pages = statement.query([])?;
                    // Each step frees one page.
                    while pages.next()?.is_some() {}
                    Ok(())
                })?;
                self.sweep.gave_back = true;
                return Ok(true);
            }
        }
        if self.sweep.gave_back && is_idle {
            self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")?;
            self.sweep.gave_back = false;
        }
        Ok(false)
    }

    /// Moves the pages in use to the front and cuts the free ones off. One by one, each of these
    /// would be looked for in the list of all: minutes for a gigabyte.
    fn cut_off(&mut self) -> Result<(), StoreError> {
        let mut set = |mode| {
            self.maintaining(|connection| connection.pragma_update(None, "auto_vacuum", mode))
        };
        let cut = set("FULL");
        // Whatever came of it: later commits are to leave the free pages to the next ones.
        let back = set("INCREMENTAL");
        cut.and(back)
    }
}

impl Pass {
    fn behind(pass: Option<Self>, found: &Found) -> Option<Self> {
        pass.zip(found.next).map(|(pass, next)| Self { next, ..pass })
    }
}

impl Found {
    fn forget(&self, books: &mut Books, shelf: Shelf) {
        self.dead.iter().for_each(|stretch: &Run| books.census_mut(shelf).forget(*stretch));
    }
}
