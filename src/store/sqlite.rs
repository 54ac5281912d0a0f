//! [`SqliteStore`]: the store of the broker, one SQLite database.
//!
//! One connection, used by one thread. This file holds the parts together; `commit`, `recover`,
//! `sweep` and `backup` beside it do the work.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::Connection;

use super::backup::Backup;
use super::books::{Books, Shelf};
use super::pack::Open;
use super::recover::blob;
use super::reopen::Boot;
use super::schema::{self, Options};
use super::seal::Seal;
use super::strip::{Messages, Torn};
use super::wal::{self, Meter};
use super::{Recovered, Store, StoreError, Usage, reopen};
use crate::broker::{Class, Mid, Records, Restore};

/// A store in a file.
#[derive(Debug)]
pub struct SqliteStore {
    pub(super) connection: Connection,
    /// Looks whether the connection has left anything.
    _boot: Boot,
    pub(super) path: PathBuf,
    pub(super) options: Options,
    pub(super) books: Books,
    /// Whether the books say what the tables hold: after a recovery, or when there was nothing.
    pub(super) knows_all: bool,
    pub(super) meter: Meter,
    /// What `synchronous` is set for.
    pub(super) class: Class,
    pub(super) counts: Counts,
    pub(super) torn_bytes: u64,
    /// What went wrong behind a commit that succeeded; the next call says it.
    pub(super) ailing: Option<StoreError>,
    pub(super) sweep: super::sweep::Sweep,
    /// The last row of the log, when it may take more.
    pub(super) open: Option<Open>,
    pub(super) strip_read: StripRead,
    /// Tells a copy that is under way that it is spoilt.
    pub(super) spoilt: Arc<AtomicBool>,
    /// Keeps others out; the last to go. A copy that is under way has it too.
    pub(super) lock: Arc<File>,
}

/// The row of the log that was read last, until something is written.
#[derive(Debug, Default)]
pub(super) struct StripRead {
    pub(super) key: Option<u64>,
    strip: Vec<u8>,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) commits: u64,
    pub(super) syncs: u64,
    pub(super) records: u64,
    pub(super) spared: u64,
}

impl SqliteStore {
    /// Opens the store at `path`, or makes one there; the folder exists.
    ///
    /// # Errors
    /// Another process has it open, a newer program or another one wrote it, it is damaged, or the
    /// system refuses.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let lock = schema::lock(path)?;
        if super::repair::unfinished(path).exists() {
            let what = "its repair was begun and not completed; `mqttd store repair` completes it";
            return Err(StoreError::Damaged { path: path.to_owned(), what: what.to_owned() });
        }
        let boot = Boot::of(path);
        if boot.is_in_doubt {
            reopen::doubt(path, &lock)?;
        }
        let inspected = wal::inspect(path)?;
        if let Some(lost) = inspected.lost {
            return Err(lost.error(&wal::beside(path)));
        }
        let connection = schema::connect(path, options)?;
        let mut store = Self {
            meter: Meter::new(wal::beside(path)),
            connection,
            _boot: boot,
            path: path.to_owned(),
            options,
            books: Books::default(),
            knows_all: false,
            class: Class::Disk,
            counts: Counts::default(),
            torn_bytes: inspected.torn_bytes,
            ailing: None,
            sweep: super::sweep::Sweep::default(),
            open: None,
            strip_read: StripRead::default(),
            spoilt: Arc::default(),
            lock: Arc::new(lock),
        };
        store.knows_all = store.is_untouched()?;
        store.read_bounds()?;
        Ok(store)
    }

    /// Whether nothing was ever kept here.
    fn is_untouched(&self) -> Result<bool, StoreError> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM meta)";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| self.failed(&error))
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::of_sqlite("cannot use", &self.path, error)
    }

    pub(super) fn damaged(&self, what: impl std::fmt::Display) -> StoreError {
        let what =
            format!("{what}; `mqttd store repair` keeps what is sound and says what is lost");
        StoreError::Damaged { path: self.path.clone(), what }
    }

    /// Reads a message of the log; `None` when it is not there.
    fn load_queued(
        &mut self,
        mid: u64,
        read: &mut dyn FnMut(&[u8], &[u8]),
    ) -> rusqlite::Result<Option<Result<(), Torn>>> {
        let census = self.books.census(Shelf::Log);
        let (sql, key) = match census.row_of(mid) {
            Some(row) if census.is_live(mid) => (LOG, row),
            None if !self.knows_all => (LOG_BEFORE, mid),
            _ => return Ok(None),
        };
        let mut hand = |strip: &[u8], apart: &[u8]| {
            let found = Messages::of(strip, !apart.is_empty()).named(mid).transpose()?;
            let body = found.and_then(|found| Ok((found, found.body(apart).ok_or(Torn)?)));
            Some(body.map(|(found, body)| read(found.envelope, body)))
        };
        if self.strip_read.key == Some(key) {
            return Ok(hand(&self.strip_read.strip, &[]));
        }
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([key.cast_signed()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let (strip, apart) = (blob(row, 0)?, blob(row, 1)?);
        if apart.is_empty() {
            // A session takes what waits for it in order, mostly.
            self.strip_read.key = Some(key);
            self.strip_read.strip.clear();
            self.strip_read.strip.extend_from_slice(strip);
        }
        Ok(hand(strip, apart))
    }

    /// Reads a message that was retained when it came.
    fn load_retained(
        &self,
        mid: u64,
        read: &mut dyn FnMut(&[u8], &[u8]),
    ) -> rusqlite::Result<Option<Result<(), Torn>>> {
        let mut statement = self.connection.prepare_cached(RETAINED)?;
        let mut rows = statement.query([mid.cast_signed()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let envelope = match blob(row, 0)? {
            [] => Some(&[][..]),
            sealed => Seal::envelope(mid).open(sealed),
        };
        let sound = envelope.zip(Seal::body(mid).open(blob(row, 1)?));
        Ok(Some(sound.map(|(envelope, body)| read(envelope, body)).ok_or(Torn)))
    }
}

/// Reads a row.
pub(super) const LOG: &str = "SELECT strip, body FROM log WHERE mid = ?";
const LOG_BEFORE: &str = "SELECT strip, body FROM log WHERE mid <= ? ORDER BY mid DESC LIMIT 1";
pub(super) const RETAINED: &str = "SELECT envelope, body FROM retained WHERE mid = ?";

impl Store for SqliteStore {
    fn recover(
        &mut self,
        into: &mut dyn Restore,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Recovered, StoreError> {
        self.read_all(into, progress)
    }

    fn commit(&mut self, batch: &[Records], class: Class) -> Result<(), StoreError> {
        self.keep(batch, class)
    }

    fn load(&mut self, mid: Mid, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<bool, StoreError> {
        let mid = mid.get();
        let found = match self.load_queued(mid, read) {
            Ok(None) => self.load_retained(mid, read),
            found => found,
        };
        match found.map_err(|error| self.failed(&error))? {
            Some(Ok(())) => Ok(true),
            Some(Err(Torn)) => Err(self.damaged(format_args!("message {mid}"))),
            None => Ok(false),
        }
    }

    fn maintain(&mut self) -> Result<bool, StoreError> {
        self.tidy()
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        self.open_anew()
    }

    fn begin_backup(&mut self, file: &Path) -> Result<Backup, StoreError> {
        Self::begin_backup(self, file)
    }

    fn usage(&self) -> Usage {
        let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        let (log, retained) = (self.books.log(), self.books.retained());
        Usage {
            file_bytes: size(&self.path) + size(&wal::beside(&self.path)),
            live_bytes: log.live_bytes + retained.live_bytes,
            queue_bytes: log.live_bytes,
            messages: log.waiting + retained.waiting,
            written_bytes: self.meter.bytes(),
            commits: self.counts.commits,
            syncs: self.counts.syncs,
            records: self.counts.records,
            spared: self.counts.spared,
        }
    }
}
