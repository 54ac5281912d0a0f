//! A copy of the store while it is in use.
//!
//! The database file changes only when pages are moved into it. So all pages are moved once, then
//! none until the copy is made: what the file holds meanwhile is the state of that moment, and
//! commits go on beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::StoreError;
use super::schema::sync_directory_of;
use super::sqlite::SqliteStore;

/// Bytes copied at once.
const PIECE_BYTES: usize = 1 << 20;

/// A copy that is to be made: the state of the moment this was asked for. The store is used on while
/// it is written, by another thread perhaps; pages pile up beside the database for as long as this
/// lives.
#[derive(Debug)]
pub struct Backup {
    database: Arc<File>,
    bytes: u64,
    spoilt: Arc<AtomicBool>,
    file: PathBuf,
}

impl SqliteStore {
    pub(super) fn begin_backup(&mut self, file: &Path) -> Result<Backup, StoreError> {
        if self.is_copied() {
            return Err(StoreError::InUse { path: self.path.clone() });
        }
        if file.symlink_metadata().is_ok() {
            return Err(StoreError::Exists { path: file.to_owned() });
        }
        self.move_pages()?;
        let bytes = self.lock.metadata().map_err(|error| self.unreadable(&error))?.len();
        self.spoilt = Arc::default();
        Ok(Backup {
            database: Arc::clone(&self.lock),
            bytes,
            spoilt: Arc::clone(&self.spoilt),
            file: file.to_owned(),
        })
    }

    /// Whether a copy is under way, so that the database has to stay as it is.
    pub(super) fn is_copied(&self) -> bool {
        Arc::strong_count(&self.lock) > 1
    }

    fn unreadable(&self, error: &io::Error) -> StoreError {
        StoreError::failed("cannot read", &self.path, error)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // SQLite moves all pages when it closes the database.
        self.spoilt.store(true, Ordering::Release);
    }
}

impl Backup {
    /// Writes the copy. The file appears under its name when it is complete and on the disk;
    /// `progress` is told how many bytes are copied.
    ///
    /// # Errors
    /// The file cannot be written, the database not be read, or the store was closed meanwhile.
    pub fn write(self, progress: &mut dyn FnMut(u64)) -> Result<(), StoreError> {
        let mut part = self.file.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let written = self.write_part(&part, progress).and_then(|()| {
            fs::rename(&part, &self.file)
                .and_then(|()| sync_directory_of(&self.file))
                .map_err(|error| StoreError::failed("cannot write", &self.file, &error))
        });
        if written.is_err() {
            // What is left of it is of no use; the error that counts is the first.
            let _ = fs::remove_file(&part);
        }
        written
    }

    fn write_part(&self, part: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), StoreError> {
        let unwritable = |error: io::Error| StoreError::failed("cannot write", part, &error);
        let mut options = OpenOptions::new();
        let mut copy = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(part)
            .map_err(unwritable)?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut copied = 0;
        while copied < self.bytes {
            let len = usize::try_from(self.bytes - copied).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let piece = &mut piece[..len];
            self.database
                .read_exact_at(piece, copied)
                .map_err(|error| StoreError::failed("cannot copy to", part, &error))?;
            copy.write_all(piece).map_err(unwritable)?;
            copied += len as u64;
            progress(copied);
        }
        copy.sync_all().map_err(unwritable)?;
        if self.spoilt.load(Ordering::Acquire) {
            let reason = "the store was closed before the copy was complete".to_owned();
            return Err(StoreError::Failed {
                doing: "cannot copy to",
                path: part.to_owned(),
                reason,
            });
        }
        Ok(())
    }
}
