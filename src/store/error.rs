//! What can go wrong with the disk.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space is left.
    #[error("no space is left for {}", .path.display())]
    Full {
        /// The file that did not grow.
        path: PathBuf,
    },
    /// The disk failed, or the system refused.
    #[error("{} {}: {reason}", .doing, .path.display())]
    Failed {
        /// What was tried, as "cannot write".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Something that was kept is not what it was.
    #[error("{} is damaged: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What, and how it was found.
        what: String,
    },
    /// Another process has the store open.
    #[error("{} is in use by another process", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("{} has format {found}, and this program knows formats up to {known}", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The latest this program knows.
        known: i64,
    },
    /// It is no store of this program.
    #[error("{} is not a store of mqttd", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A file that is to be made is there already.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    pub(super) fn failed(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::Full { path };
        }
        Self::Failed { doing, path, reason: error.to_string() }
    }

    /// What SQLite says of the database at `path`.
    pub(super) fn of_sqlite(doing: &'static str, path: &Path, error: &rusqlite::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        let damaged = |reason| format!("{reason}; `mqttd store repair` keeps what is sound");
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            Some(ErrorCode::NotADatabase) => Self::Foreign { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, what: damaged(reason) },
            Some(_) => Self::Failed { doing, path, reason },
            // Not what SQLite says, but a value of another type than was written.
            None => Self::Damaged { path, what: damaged(reason) },
        }
    }
}
