//! The store of the instance: opening it at the start, and by whom it may not be.

use std::io;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::config::{Medium, StoreConfig};
use super::{failure, owner};
use crate::cli::Failure;
use crate::control::Place;
use crate::store::{self, SqliteStore};

/// Pages beside the database above which they are moved into it: 16 MiB,
const CHECKPOINT_PAGES_DISK: u32 = 4000;
/// 4 MiB.
const CHECKPOINT_PAGES_CARD: u32 = 1000;

/// Opens the store of an instance, or makes one.
pub(super) fn open(place: &Place, config: &StoreConfig) -> Result<SqliteStore, Failure> {
    let file = place.store();
    is_allowed(&file)?;
    let checkpoint_pages = match config.medium {
        Medium::Disk => CHECKPOINT_PAGES_DISK,
        Medium::Card => CHECKPOINT_PAGES_CARD,
    };
    let options = store::Options { cache_bytes: config.cache_bytes, checkpoint_pages };
    SqliteStore::open(&file, options).map_err(|error| failure::store(&error))
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
