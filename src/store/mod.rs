//! What outlives the process: an embedded store behind a narrow port.
//!
//! [`Store`] is the port; the journal's thread (`server/journal`) owns one and is the only one who
//! calls it. What is kept are the records of [`crate::broker::Records`], as bytes: the store knows
//! their names (messages by [`Mid`], sessions by [`Sid`]), puts a checksum over each, and
//! understands nothing else of them.

mod backup;
mod books;
mod census;
mod commit;
mod copy;
mod error;
mod memory;
mod outlook;
mod pack;
mod placement;
mod recover;
mod reopen;
mod repair;
mod salvage;
mod schema;
mod seal;
mod sqlite;
mod strip;
mod sweep;
mod topics;
mod wal;

use std::path::Path;

pub use backup::Backup;
pub use copy::Copy;
pub use error::StoreError;
pub use memory::{Fault, MemoryStore};
pub use repair::{Repaired, repair};
pub use schema::Options;
pub use sqlite::SqliteStore;

use crate::broker::{Class, Mid, Records, Restore};

/// A store of records. All of its calls block.
pub trait Store: Send {
    /// Hands everything that is kept to `into`: sessions, their subscriptions, positions and QoS 2
    /// identifiers first, then retained messages, then messages in the order of their names.
    /// `progress` is told now and then how many records were read.
    ///
    /// # Errors
    /// The store cannot be read, or is damaged.
    fn recover(
        &mut self,
        into: &mut dyn Restore,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Recovered, StoreError>;

    /// Keeps the records of a batch: all of them or, after an error, none. With [`Class::Disk`] they
    /// are on the disk when this returns; else they need only outlive the process.
    ///
    /// A record for a session that is not known is left out. A message with recipients that are all
    /// [`crate::broker::Record::Done`] with it in the same batch, and is not to be retained, need not
    /// be written.
    ///
    /// # Errors
    /// Nothing of the batch is kept. After [`StoreError::Full`] the same batch may be tried again;
    /// after any other error only behind [`Self::reopen`].
    fn commit(&mut self, batch: &[Records], class: Class) -> Result<(), StoreError>;

    /// Reads a message: hands its envelope and its body to `read`. `false` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] is about this message alone.
    fn load(&mut self, mid: Mid, read: &mut dyn FnMut(&[u8], &[u8])) -> Result<bool, StoreError>;

    /// Does a slice of what can wait, some milliseconds long: dead records are removed, space is
    /// given back. Says whether there is more to do.
    ///
    /// To be called about once a second, and again soon while there is more to do. More is done
    /// when nothing was committed since the last call.
    ///
    /// # Errors
    /// As [`Self::commit`].
    fn maintain(&mut self) -> Result<bool, StoreError>;

    /// Closes the store, opens it anew, and checks that what was acknowledged is there.
    ///
    /// # Errors
    /// It is not, or cannot be opened.
    fn reopen(&mut self) -> Result<(), StoreError>;

    /// Begins a copy of what is kept at this moment, in a new file. [`Backup::write`] writes it, and
    /// the store can be used meanwhile.
    ///
    /// # Errors
    /// The file exists, another copy is under way, or as [`Self::commit`].
    fn begin_backup(&mut self, file: &Path) -> Result<Backup, StoreError>;

    /// Copies what is kept at this moment into a new file, which is complete when this returns, or
    /// absent.
    ///
    /// # Errors
    /// As [`Self::begin_backup`] and [`Backup::write`].
    fn backup(&mut self, file: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), StoreError> {
        self.begin_backup(file)?.write(progress)
    }

    /// Sizes and counters.
    fn usage(&self) -> Usage;
}

/// What a start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Sessions.
    pub sessions: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Retained messages.
    pub retained: u64,
    /// Messages that somebody waits for.
    pub messages: u64,
    /// Names of messages and sessions begin behind these.
    pub last_mid: u64,
    /// As `last_mid`.
    pub last_sid: u64,
    /// Bytes of an unfinished commit that were cut off: what nobody was told is kept.
    pub torn_bytes: u64,
    /// Records that were damaged and are left out; only after a repair.
    pub damaged: u64,
}

/// How large a store is, and what it has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Bytes of records that are in use.
    pub live_bytes: u64,
    /// Of those, bytes of messages that sessions wait for.
    pub queue_bytes: u64,
    /// Messages in use.
    pub messages: u64,
    /// Bytes written to the files since the start.
    pub written_bytes: u64,
    /// Commits since the start.
    pub commits: u64,
    /// Of those, how many waited for the disk.
    pub syncs: u64,
    /// Records kept since the start.
    pub records: u64,
    /// Messages that needed no writing, as all recipients were done with them before.
    pub spared: u64,
}

#[cfg(test)]
mod tests;
