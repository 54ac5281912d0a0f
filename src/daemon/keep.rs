//! The store of the instance: opening it at the start, and telling everybody who waits how reading
//! it goes.

use std::io;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{AccessFlags, access};

use super::config::{Medium, StoreConfig};
use super::readiness::{Readiness, Report};
use super::systemd::Systemd;
use super::{failure, owner, status};
use crate::cli::Failure;
use crate::control::Place;
use crate::server::clock::Clock;
use crate::store::{self, SqliteStore, Store};

/// Pages beside the database above which they are moved into it: 16 MiB,
const CHECKPOINT_PAGES_DISK: u32 = 4000;
/// 4 MiB.
const CHECKPOINT_PAGES_CARD: u32 = 1000;
/// Between two words to whoever waits for the start.
const TELL_MS: u64 = 200;
/// Between two lines of the log.
const LOG_MS: u64 = 5000;
/// What is told the service manager to wait for the next word.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the store of an instance, or makes one.
pub(super) fn open(place: &Place, config: &StoreConfig) -> Result<Box<dyn Store>, Failure> {
    let file = place.store();
    is_allowed(&file)?;
    let checkpoint_pages = match config.medium {
        Medium::Disk => CHECKPOINT_PAGES_DISK,
        Medium::Card => CHECKPOINT_PAGES_CARD,
    };
    let options = store::Options { cache_bytes: config.cache_bytes, checkpoint_pages };
    match SqliteStore::open(&file, options) {
        Ok(store) => Ok(Box::new(store)),
        Err(error) => Err(failure::store(&error)),
    }
}

/// Rights are asked for by name: opening the file and closing it again would drop the locks that
/// SQLite has on it.
fn is_allowed(file: &Path) -> Result<(), Failure> {
    let needed = AccessFlags::R_OK | AccessFlags::W_OK;
    match access(file, needed) {
        Err(nix::Error::EACCES | nix::Error::EPERM) => {
            let refused = io::Error::from(io::ErrorKind::PermissionDenied);
            let failure = failure::with_file("open", file, &refused);
            Err(if file.exists() { failure.hint(owner::remedy_to_write(file)) } else { failure })
        }
        Err(nix::Error::EROFS) => {
            let refused = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
            Err(failure::with_file("open", file, &refused).hint(
                "the system makes a file system read-only when its disk or card fails: \
                 `journalctl -k` says more",
            ))
        }
        Ok(()) | Err(_) => Ok(()), // what else is wrong with it, the store says itself
    }
}

/// Passes on how many records were read.
pub(super) struct Reading<'r> {
    readiness: &'r mut Readiness,
    pub(super) systemd: Systemd,
    told_ms: u64,
    logged_ms: u64,
}

impl<'r> Reading<'r> {
    pub(super) fn new(readiness: &'r mut Readiness, systemd: Systemd) -> Self {
        let now_ms = Clock::now().ticks_ms;
        systemd.extend(PATIENCE);
        Self { readiness, systemd, told_ms: now_ms, logged_ms: now_ms }
    }

    pub(super) fn tell(&mut self, records: u64) {
        let now_ms = Clock::now().ticks_ms;
        if now_ms < self.told_ms + TELL_MS {
            return;
        }
        self.told_ms = now_ms;
        self.readiness.say(&Report::Reading(records));
        self.systemd.reading(&status::reading(records), PATIENCE);
        if now_ms >= self.logged_ms + LOG_MS {
            self.logged_ms = now_ms;
            tracing::info!(records, "reading the store");
        }
    }
}
