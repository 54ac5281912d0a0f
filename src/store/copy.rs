//! [`Copy`]: a copy of a store, to be read and left as it is.
//!
//! It may lie where nobody may write, and be somebody's only one: so nothing is made beside it, and
//! SQLite is told that nobody changes it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::recover::{self, Stop};
use super::{Recovered, StoreError, schema};
use crate::broker::Restore;

/// A copy of a store in a file.
#[derive(Debug)]
pub struct Copy {
    connection: Connection,
    path: PathBuf,
}

impl Copy {
    /// Opens a file that [`super::Backup`] wrote.
    ///
    /// # Errors
    /// It is none, is damaged, a newer program wrote it, or the system refuses.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: &io::Error| StoreError::failed("cannot read", path, error);
        // SQLite makes an empty database of an empty file.
        if path.metadata().map_err(|error| failed(&error))?.len() == 0 {
            return Err(StoreError::Foreign { path: path.to_owned() });
        }
        let connection = schema::connect_to_copy(path)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Reads all of it and sees whether the tables hang together: what a table has lost tells
    /// nobody.
    ///
    /// # Errors
    /// They do not.
    pub fn check(&self) -> Result<(), StoreError> {
        recover::check(&self.connection).map_err(|stop| self.error(stop))
    }

    /// As [`super::Store::recover`].
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn recover(
        &self,
        into: &mut dyn Restore,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Recovered, StoreError> {
        let read = recover::read(&self.connection, into, progress);
        read.map(|(_, recovered)| recovered).map_err(|stop| self.error(stop))
    }

    fn error(&self, stop: Stop) -> StoreError {
        match stop {
            Stop::Sqlite(error) => StoreError::of_sqlite("cannot read", &self.path, &error),
            Stop::Damaged(what) => StoreError::Damaged { path: self.path.clone(), what },
        }
    }
}
