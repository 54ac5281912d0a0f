//! Opening anew after the disk failed.
//!
//! A sync that failed leaves the last commit in the system's memory, perhaps not on the disk, and no
//! later sync says so again. Were such a commit moved into the database, a power cut on the way would
//! leave a part of it there, and nothing beside it to complete it. So what stands beside the database
//! is written anew and synced, what the system remembers is dropped, and all pages are moved into the
//! database, before anything else is kept.
//!
//! The process may be killed before it has done so, and the next one cannot see that a sync failed. So
//! an empty file says it. That needs no sync: when the power takes it, what the system remembered is
//! gone too, and what can be read is what is on the disk. Without it nothing is written anew at a start:
//! what was acknowledged is not to be touched, as a power cut meanwhile may tear what is just written.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
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
        note_failure(&self.path);
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

/// Says to whoever opens the store next that a sync may have failed.
pub(super) fn note_failure(database: &Path) {
    // Where no file can be made, little else can be written either.
    let _ = File::create(unsynced(database));
}

/// Whether somebody said so, and was ended before it was put right.
pub(super) fn is_in_doubt(database: &Path) -> bool {
    unsynced(database).exists()
}

fn unsynced(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-unsynced");
    name.into()
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
    let _ = fs::remove_file(unsynced(path));
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
