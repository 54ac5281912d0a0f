//! Opening anew after the disk failed.
//!
//! A sync that failed leaves the last commit in the system's memory, perhaps not on the disk, and no
//! later sync says so again. Were such a commit moved into the database, a power cut on the way would
//! leave a part of it there, and nothing beside it to complete it. So what stands beside the database
//! is written anew and synced, what the system remembers is dropped, and all pages are moved into the
//! database, before anything else is kept.
//!
//! The process may be killed before it has done so, and the next one cannot see that a sync failed. So
//! a store that was not closed is treated the same when it is opened, as long as the system remembers:
//! until the machine is started anew, of which a file beside the database tells. That file needs no
//! sync, since a power cut that takes it takes what the system remembers too. After one nothing is
//! written anew: what was acknowledged is not to be touched, as another cut may tear what is just written.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::books::Shelf;
use super::recover::{blob, number};
use super::sqlite::SqliteStore;
use super::strip::{Messages, Torn};
use super::sweep::Slice;
use super::{StoreError, schema, wal};
use crate::broker::Class;

/// Bytes that are written at once.
const PIECE_BYTES: usize = 1 << 20;

/// A message in a table: name, bytes, and whether it is the first of its row.
pub(super) type Found = (u64, u64, bool);

impl SqliteStore {
    pub(super) fn open_anew(&mut self) -> Result<(), StoreError> {
        self.spoilt.store(true, std::sync::atomic::Ordering::Release);
        self.close()?;
        doubt(&self.path, &self.lock)?;
        let inspected = wal::inspect(&self.path)?;
        if let Some(lost) = inspected.lost {
            return Err(lost.error(&wal::beside(&self.path)));
        }
        self.connection = schema::connect(&self.path, self.options)?;
        self.class = Class::Disk;
        self.ailing = None;
        let pragma = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.connection
            .query_row(pragma, [], |_| Ok(()))
            .map_err(|error| StoreError::of_sqlite("cannot write", &self.path, &error))?;
        self.meter.moved();
        self.meter.reopen();
        if self.knows_all {
            self.verify(Shelf::Log)?;
            self.verify(Shelf::Retained)?;
        }
        self.open = None;
        self.strip_read.key = None;
        self.sweep.doubtful = Slice::default();
        Ok(())
    }

    /// Leaves an empty database in the place of the connection.
    fn close(&mut self) -> Result<(), StoreError> {
        let nothing = Connection::open_in_memory().map_err(|error| self.failed(&error))?;
        let connection = std::mem::replace(&mut self.connection, nothing);
        // Whatever this says, the file is closed.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        drop(connection);
        Ok(())
    }

    /// Looks whether all messages of a shelf are there. Those of a commit whose end was not known
    /// may be there too, and what it was to remove may be gone.
    fn verify(&mut self, shelf: Shelf) -> Result<(), StoreError> {
        let found = match shelf {
            Shelf::Log => self.rows_of_log()?,
            Shelf::Retained => self.rows_of_retained().map_err(|error| self.failed(&error))?,
        };
        let missing = self.missing(shelf, &found);
        for mid in missing {
            if !self.sweep.doubtful.takes(shelf, mid) {
                return Err(self.damaged(format_args!("message {mid} is missing")));
            }
            if shelf == Shelf::Retained && self.books.census(Shelf::Log).holds(mid) {
                self.books.move_to_log(mid);
            } else {
                self.books.census_mut(shelf).restore(mid, None);
            }
        }
        let census = self.books.census_mut(shelf);
        match shelf {
            Shelf::Log => census.replace_places(&found),
            Shelf::Retained => {
                for (mid, bytes, _) in found {
                    if !census.holds(mid) {
                        census.put(mid, 0, false, bytes);
                    }
                }
            }
        }
        Ok(())
    }

    /// Living messages that are not in the table.
    fn missing(&self, shelf: Shelf, found: &[Found]) -> Vec<u64> {
        let census = self.books.census(shelf);
        let mut found = found.iter().map(|(mid, ..)| *mid).peekable();
        let living = census.mids().filter(|mid| census.is_live(*mid));
        let is_missing = |mid: &u64| {
            while found.next_if(|found| found < mid).is_some() {}
            found.peek() != Some(mid)
        };
        living.filter(is_missing).collect()
    }

    fn rows_of_retained(&self) -> rusqlite::Result<Vec<Found>> {
        let sql = "SELECT mid, length(envelope) + length(body) FROM retained ORDER BY mid";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok((number(row, 0)?, number(row, 1)?, true)))?;
        rows.collect()
    }

    /// All messages of the log.
    pub(super) fn rows_of_log(&self) -> Result<Vec<Found>, StoreError> {
        let failed = |error| self.failed(&error);
        let sql = "SELECT mid, strip, length(body) FROM log ORDER BY mid";
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let key = number(row, 0).map_err(failed)?;
            let apart = number(row, 2).map_err(failed)? > 0;
            for message in Messages::of(blob(row, 1).map_err(failed)?, apart) {
                let message = message.map_err(|Torn| {
                    self.damaged(format_args!("a message in the row of message {key}"))
                })?;
                found.push((message.mid, message.bytes(), message.mid == key));
            }
        }
        Ok(found)
    }
}

/// Where Linux says which start of the machine this is.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The file that says since which start of the machine a store is open; it goes when that is closed.
#[derive(Debug)]
pub(super) struct Boot {
    database: PathBuf,
    /// Whether the store was left open since the machine was started, so that what the system remembers
    /// of it may not be on the disk.
    pub(super) is_in_doubt: bool,
}

impl Boot {
    /// Before a store is opened.
    pub(super) fn of(database: &Path) -> Self {
        let boot = fs::read(BOOT).unwrap_or_default();
        let mut it = Self { database: database.to_owned(), is_in_doubt: false };
        if fs::read(it.path()).is_ok_and(|known| known == boot) {
            it.is_in_doubt = it.is_open();
        } else {
            // Without it there is no doubt, as after a power cut.
            let _ = it.write(&boot);
        }
        it
    }

    fn write(&self, boot: &[u8]) -> io::Result<()> {
        let _ = fs::remove_file(self.path());
        let mut options = File::options();
        options.write(true).create_new(true).mode(schema::MODE);
        let mut file = options.open(self.path())?;
        file.set_permissions(Permissions::from_mode(schema::MODE))?;
        file.write_all(boot)
    }

    fn path(&self) -> PathBuf {
        let mut name = self.database.as_os_str().to_owned();
        name.push("-boot");
        name.into()
    }

    /// Whether something stands beside the database.
    fn is_open(&self) -> bool {
        wal::beside(&self.database).metadata().is_ok_and(|file| file.len() > 0)
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        if !self.is_open() {
            let _ = fs::remove_file(self.path());
        }
    }
}

/// Writes what the system remembers of the file beside the database once more, as a page that was
/// given up when its sync failed is written by no other sync; and has it forget the rest.
pub(super) fn doubt(path: &Path, database: &File) -> Result<(), StoreError> {
    let beside = wal::beside(path);
    match rewrite(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::failed("cannot write", &beside, &error));
        }
        Ok(()) | Err(_) => {}
    }
    // Pages that were not written stay, for better or worse; there is no more that can be done.
    let forget = |file: &File| {
        let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    };
    forget(database);
    if let Ok(file) = File::open(&beside) {
        forget(&file);
    }
    Ok(())
}

/// Writes a file's bytes where they stand, and syncs them.
fn rewrite(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    loop {
        match file.read_at(&mut piece, at)? {
            0 => return file.sync_data(),
            count => {
                file.write_all_at(&piece[..count], at)?;
                at += count as u64;
            }
        }
    }
}
