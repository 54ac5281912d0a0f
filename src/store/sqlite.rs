//! [`SqliteStore`]: the store of the broker, one SQLite database.
//!
//! One connection, used by one thread. This file holds the parts together; `commit`, `recover`,
//! `sweep` and `backup` beside it do the work.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::{Connection, OptionalExtension};

use super::backup::Backup;
use super::books::{Books, Shelf};
use super::reopen::Boot;
use super::schema::{self, Options};
use super::seal::Seal;
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
    /// Tells a copy that is under way that it is spoilt.
    pub(super) spoilt: Arc<AtomicBool>,
    /// Keeps others out; the last to go. A copy that is under way has it too.
    pub(super) lock: Arc<File>,
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

    /// The shelf that holds a message.
    fn shelf_of(&self, mid: u64) -> [Shelf; 2] {
        if self.books.census(Shelf::Retained).holds(mid) {
            [Shelf::Retained, Shelf::Log]
        } else {
            [Shelf::Log, Shelf::Retained]
        }
    }
}

impl Shelf {
    pub(super) const fn select(self) -> &'static str {
        match self {
            Self::Log => "SELECT envelope, body FROM log WHERE mid = ?",
            Self::Retained => "SELECT envelope, body FROM retained WHERE mid = ?",
        }
    }
}

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
        for shelf in self.shelf_of(mid) {
            let mut statement = self
                .connection
                .prepare_cached(shelf.select())
                .map_err(|error| self.failed(&error))?;
            let found = statement.query_row([mid.cast_signed()], |row| {
                let (envelope, body) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
                let envelope = match envelope {
                    [] => Some(&[][..]),
                    sealed => Seal::envelope(mid).open(sealed),
                };
                Ok(match (envelope, Seal::body(mid).open(body)) {
                    (Some(envelope), Some(body)) => {
                        read(envelope, body);
                        true
                    }
                    _ => false,
                })
            });
            match found.optional().map_err(|error| self.failed(&error))? {
                Some(true) => return Ok(true),
                Some(false) => return Err(self.damaged(format_args!("message {mid}"))),
                None => {}
            }
        }
        Ok(false)
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
