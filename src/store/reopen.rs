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

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::books::Shelf;
use super::recover::number;
use super::sqlite::SqliteStore;
use super::sweep::Slice;
use super::{StoreError, schema, wal};
use crate::broker::Class;

/// Bytes that are written at once.
const PIECE_BYTES: usize = 1 << 20;

/// Between a table and its census.
struct Differences {
    /// Messages that the census does not name, with their bytes.
    unknown: Vec<(u64, u64)>,
    /// Living ones that the table does not have.
    missing: Vec<u64>,
}

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
        let differences = self.differences(shelf).map_err(|error| self.failed(&error))?;
        let Differences { unknown, missing } = differences;
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
        for (mid, bytes) in unknown {
            self.books.census_mut(shelf).put(mid, 0, false, bytes);
        }
        Ok(())
    }

    fn differences(&self, shelf: Shelf) -> rusqlite::Result<Differences> {
        let sql = match shelf {
            Shelf::Log => "SELECT mid, length(envelope) + length(body) FROM log ORDER BY mid",
            Shelf::Retained => {
                "SELECT mid, length(envelope) + length(body) FROM retained ORDER BY mid"
            }
        };
        let census = self.books.census(shelf);
        let mut expected = census.mids().filter(|mid| census.is_live(*mid)).peekable();
        let (mut unknown, mut missing) = (Vec::new(), Vec::new());
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mid = number(row, 0)?;
            missing.extend(std::iter::from_fn(|| expected.next_if(|expected| *expected < mid)));
            if expected.next_if_eq(&mid).is_none() && !census.holds(mid) {
                unknown.push((mid, number(row, 1)?));
            }
        }
        missing.extend(expected);
        Ok(Differences { unknown, missing })
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
        options.open(self.path())?.write_all(boot)
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
