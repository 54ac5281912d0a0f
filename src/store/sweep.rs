//! What can wait: dead messages are removed in order, when it is worth it, and free pages are given
//! back to the system.
//!
//! Dead messages are harmless, since a session knows what it is done with; they only take space. A
//! row that has only such costs some pages when it is removed by itself, a stretch of them no more: the
//! next messages are written where they stood, in the same commit. So stretches go at once. What is scattered over rows with living messages stays until there is
//! more of it than of those, and goes then from the lowest name up, a slice with each commit: rows of
//! which half or more is dead are written anew without it.

use rusqlite::Connection;

use super::StoreError;
use super::books::Shelf;
use super::census::{Found, Run};
use super::commit::{begin, commit, run};
use super::pack::{Moved, Packer, Placed, thin_out};
use super::placement::Sparse;
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
    /// Dead bytes of the log that the last pass had to leave.
    left_bytes: u64,
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
    log: Option<Sparse>,
    /// Outside of a pass.
    ripe: Option<Sparse>,
    retained: Option<Found>,
    /// Notes up to this one.
    tombs: Option<u64>,
}

impl Slice {
    /// Removes it from the tables. What is retained no more, and somebody waits for, is to be written
    /// to the log.
    pub(super) fn remove(&self, connection: &Connection) -> rusqlite::Result<Vec<Moved>> {
        for sparse in self.of_log() {
            for stretch in &sparse.dead {
                let bounds = (stretch.first.cast_signed(), stretch.last.cast_signed());
                run(connection, "DELETE FROM log WHERE mid BETWEEN ?1 AND ?2", bounds)?;
            }
            sparse.thin.iter().try_for_each(|thin| thin_out(connection, thin))?;
        }
        let mut moved = Vec::new();
        if let Some(found) = &self.retained {
            for stretch in &found.dead {
                let bounds = (stretch.first.cast_signed(), stretch.last.cast_signed());
                run(connection, "DELETE FROM retained WHERE mid BETWEEN ?1 AND ?2", bounds)?;
            }
            for mid in &found.waiting {
                moved.extend(Moved::take(connection, *mid)?);
            }
        }
        if let Some(seq) = self.tombs {
            run(connection, "DELETE FROM gone WHERE seq <= ?1", [seq.cast_signed()])?;
        }
        Ok(moved)
    }

    /// Whether it takes a message from a shelf.
    pub(super) fn takes(&self, shelf: Shelf, mid: u64) -> bool {
        match shelf {
            Shelf::Log => self.of_log().any(|sparse| sparse.takes(mid)),
            Shelf::Retained => self.retained.as_ref().is_some_and(|found| {
                let within = |run: &Run| (run.first..=run.last).contains(&mid);
                found.waiting.contains(&mid) || found.dead.iter().any(within)
            }),
        }
    }

    fn of_log(&self) -> impl Iterator<Item = &Sparse> {
        self.log.iter().chain(&self.ripe)
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
        // What is moved to the log is not to meet rows that are removed.
        let moves = slice.retained.as_ref().is_some_and(|found| !found.waiting.is_empty());
        if !self.knows_all || moves {
            return slice;
        }
        let totals = self.books.log();
        let left_bytes = self.sweep.left_bytes;
        let tolerable = totals.live_bytes.max(slack).max(left_bytes + left_bytes / 4);
        if self.sweep.log.is_none() && totals.dead_bytes > tolerable {
            self.sweep.log = Some(Pass { next: 0, tombs: None });
        }
        let census = self.books.census_mut(Shelf::Log);
        if let Some(pass) = &self.sweep.log {
            slice.log = Some(census.sparse(pass.next, SLICE_ROWS));
        } else {
            slice.ripe = Some(census.dead_strips(SLICE_ROWS));
        }
        slice
    }

    /// Messages found their places in the log; some came from the other shelf.
    pub(super) fn moved(&mut self, moved: &[Moved], placed: Placed) {
        moved.iter().for_each(|moved| self.books.move_to_log(moved.mid));
        let census = self.books.census_mut(Shelf::Log);
        for (mid, is_head) in placed.places {
            census.place(mid, is_head);
        }
        self.open = placed.open;
    }

    /// A slice is removed.
    pub(super) fn swept(&mut self, slice: Slice) {
        if let Some(sparse) = &slice.log {
            self.sweep.log = Pass::behind(self.sweep.log, sparse.next);
        }
        let census = self.books.census_mut(Shelf::Log);
        slice.of_log().for_each(|sparse| sparse.forget(census));
        // What the last row holds is known no more.
        let open = self.open.take_if(|open| slice.of_log().any(|it| it.is_about(open.key())));
        drop(open);
        if slice.log.is_some() && self.sweep.log.is_none() {
            self.sweep.left_bytes = self.books.log().dead_bytes;
        }
        if let Some(found) = slice.retained {
            self.sweep.retained = Pass::behind(self.sweep.retained, found.next);
            let census = self.books.census_mut(Shelf::Retained);
            found.dead.iter().for_each(|stretch| census.forget(*stretch));
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
        self.strip_read.key = None;
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
        let (mut moved, mut placed) = (Vec::new(), Placed::default());
        let (books, open) = (std::mem::take(&mut self.books), self.open.take());
        let removed = self.maintaining(|connection| {
            moved = slice.remove(connection)?;
            let messages: Vec<_> = moved.iter().map(Moved::fresh).collect();
            placed = Packer::new(connection, books.census(Shelf::Log))?.write(&messages, open)?;
            Ok(())
        });
        self.books = books;
        match removed {
            Ok(()) => {
                self.moved(&moved, placed);
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
    fn behind(pass: Option<Self>, next: Option<u64>) -> Option<Self> {
        pass.zip(next).map(|(pass, next)| Self { next, ..pass })
    }
}
