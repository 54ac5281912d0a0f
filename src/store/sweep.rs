//! What can wait: dead messages are removed in order, when it is worth it, and free pages are given
//! back to the system.
//!
//! Dead messages are harmless, since a session knows what it is done with; they only take space. One
//! that is removed by itself costs a page or two; a stretch of them costs next to nothing. So a
//! stretch that died goes with the next commit, and before what that one writes, which then takes
//! the pages that became free; others are left until there is more of them than of living ones,
//! and removed then from the lowest name up, a slice with each commit.

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
/// Dead bytes that are never worth it.
const LOG_SLACK_BYTES: u64 = 16 << 20;
const RETAINED_SLACK_BYTES: u64 = 4 << 20;
/// The same when there is nothing else to do.
const IDLE_SLACK_BYTES: u64 = 1 << 20;
/// Pages given back at once.
const VACUUM_PAGES: u64 = 512;
/// Free pages that are kept for the next messages; fewer when nothing comes.
const BUSY_FREE_PAGES: u64 = (64 << 20) / super::schema::PAGE_BYTES;
const IDLE_FREE_PAGES: u64 = (1 << 20) / super::schema::PAGE_BYTES;

/// How far sweeping is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    log: Option<Pass>,
    retained: Option<Pass>,
    /// Commits at the last visit of `tidy`.
    commits: u64,
    /// Whether pages were given back since the files were last cut.
    gave_back: bool,
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
    log: Option<Found>,
    retained: Option<Found>,
    /// Notes up to this one.
    tombs: Option<u64>,
}

impl Slice {
    /// Removes it from the tables.
    pub(super) fn remove(&self, connection: &Connection) -> rusqlite::Result<()> {
        for (shelf, found) in [(Shelf::Log, &self.log), (Shelf::Retained, &self.retained)] {
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

    const fn is_empty(&self) -> bool {
        self.log.is_none() && self.retained.is_none()
    }
}

impl SqliteStore {
    /// What the next commit is to remove.
    pub(super) fn slice_for_commit(&mut self) -> Slice {
        self.slice(LOG_SLACK_BYTES, RETAINED_SLACK_BYTES)
    }

    fn slice(&mut self, log_slack: u64, retained_slack: u64) -> Slice {
        let mut slice = Slice::default();
        if !self.knows_all {
            return slice;
        }
        let books = &self.books;
        let log = books.log();
        if self.sweep.log.is_none() && log.dead_bytes > log.live_bytes.max(log_slack) {
            self.sweep.log = Some(Pass { next: 0, tombs: None });
        }
        let retained = books.retained();
        let useless = retained.dead_bytes + retained.unclaimed_bytes + books.tomb_bytes();
        if self.sweep.retained.is_none() && useless > retained.live_bytes.max(retained_slack) {
            let tombs = books.settled_tombs();
            self.sweep.retained = Some(Pass { next: 0, tombs });
        }
        if let Some(pass) = &self.sweep.log {
            slice.log = Some(books.census(Shelf::Log).runs(pass.next, SLICE_ROWS, false));
        } else {
            let ripe = books.census(Shelf::Log).ripe(SLICE_ROWS);
            slice.log = Some(ripe).filter(|ripe| !ripe.dead.is_empty());
        }
        if let Some(pass) = &self.sweep.retained {
            let found = books.census(Shelf::Retained).runs(pass.next, SLICE_ROWS, true);
            slice.tombs = if found.next.is_none() { pass.tombs } else { None };
            slice.retained = Some(found);
        }
        slice
    }

    /// A slice is removed.
    pub(super) fn swept(&mut self, slice: Slice) {
        if let Some(found) = slice.log {
            self.sweep.log = Pass::behind(self.sweep.log, &found);
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
        let slack = if is_idle { IDLE_SLACK_BYTES } else { LOG_SLACK_BYTES };
        let slice = self.slice(slack, slack.min(RETAINED_SLACK_BYTES));
        let more = if slice.is_empty() {
            self.give_back(is_idle)?
        } else {
            self.remove(slice)?;
            true
        };
        self.sweep.commits = self.counts.commits;
        Ok(more)
    }

    fn remove(&mut self, slice: Slice) -> Result<(), StoreError> {
        self.maintaining(|connection| slice.remove(connection))?;
        self.swept(slice);
        Ok(())
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
        if self.meter.frames() >= u64::from(self.options.checkpoint_pages) {
            self.move_pages()?;
        }
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
