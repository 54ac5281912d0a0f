//! Repairing a damaged store: what is sound goes into a new file, and what is lost is said.
//!
//! Called by the command line for a broker that does not run. The damaged files are kept beside the
//! new one. A repair that is interrupted is completed by the next one; until then the store cannot
//! be opened.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::salvage::{Losses, salvage};
use super::schema::{self, PAGE_BYTES, PAGE_LEN};
use super::{Options, StoreError, recover, wal};

/// What a repair came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What is lost, one line each; nothing when the store was sound, which leaves it as it is.
    pub lost: Vec<String>,
    /// The damaged database as it was; the file beside it has the same name with `-wal`.
    pub aside: Option<PathBuf>,
}

/// Repairs the store at `path`, which nobody may have open. `progress` is told how many records were
/// read.
///
/// # Errors
/// Another process has the store open, a newer program wrote it, it cannot be read or written at
/// all, or nothing of it is a store of this program.
pub fn repair(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Repaired, StoreError> {
    let _lock = schema::lock(path)?;
    let (part, ready) = (beside(path, ".repair-part"), unfinished(path));
    if ready.exists() {
        let aside = swap(path, &ready)?;
        let lost = vec!["what an earlier repair, which is completed now, did not keep".to_owned()];
        return Ok(Repaired { lost, aside: Some(aside) });
    }
    let source = beside(path, ".repair-source");
    let repaired = rebuild(path, &source, &part, progress);
    discard(&source);
    match repaired {
        Ok(losses) if losses.are_none() => {
            discard(&part);
            Ok(Repaired::default())
        }
        Ok(losses) => {
            let aside = publish(&part, &ready).and_then(|()| swap(path, &ready))?;
            Ok(Repaired { lost: losses.lines(), aside: Some(aside) })
        }
        Err(error) => {
            discard(&part);
            Err(error)
        }
    }
}

/// The new file while it is complete and not yet in its place.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    beside(path, ".repaired")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What is left of it is of no use.
fn discard(path: &Path) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_file(wal::beside(path));
}

fn publish(part: &Path, ready: &Path) -> Result<(), StoreError> {
    let published = File::open(part)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(part, ready))
        .and_then(|()| schema::sync_directory_of(ready));
    published.map_err(|error| StoreError::failed("cannot write", ready, &error))
}

/// Puts the new file in the place of the damaged ones, which get another name.
fn swap(path: &Path, ready: &Path) -> Result<PathBuf, StoreError> {
    let names = (1_u32..).map(|number| beside(path, &format!(".damaged-{number}")));
    let free = |name: &PathBuf| {
        name.symlink_metadata().is_err() && wal::beside(name).symlink_metadata().is_err()
    };
    let aside = names.take(10_000).find(free).unwrap_or_else(|| beside(path, ".damaged"));
    let (database, wal) = (path, wal::beside(path));
    let swapped = fs::hard_link(database, &aside)
        .or_else(|_| fs::copy(database, &aside).map(drop))
        .and_then(|()| match fs::rename(&wal, wal::beside(&aside)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .and_then(|()| schema::sync_directory_of(path))
        .and_then(|()| fs::rename(ready, database))
        .and_then(|()| schema::sync_directory_of(path));
    swapped.map_err(|error| StoreError::failed("cannot replace", path, &error))?;
    Ok(aside)
}

/// Makes a new store at `part` of what is sound.
fn rebuild(
    path: &Path,
    source: &Path,
    part: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Losses, StoreError> {
    discard(source);
    discard(part);
    let lost = combine(path, source)?;
    let _lock = schema::lock(part)?;
    let new = schema::connect(part, Options { cache_bytes: 32 << 20, ..Options::default() })?;
    let failed = |error: rusqlite::Error| StoreError::of_sqlite("cannot write", part, &error);
    let settle = "PRAGMA wal_checkpoint(TRUNCATE)";
    new.query_row(settle, [], |_| Ok(())).map_err(failed)?;
    let (old, has_schema) = open_source(path, source, part)?;
    let mut losses = salvage(&old, &new, progress).map_err(failed)?;
    new.query_row(settle, [], |_| Ok(())).map_err(failed)?;
    losses.beside = lost;
    losses.is_well_formed = has_schema && recover::check(&old).is_ok();
    Ok(losses)
}

/// Writes the database with all complete commits that stand beside it into `source`, those behind a
/// damaged place too. Says where commits were damaged.
fn combine(path: &Path, source: &Path) -> Result<Option<wal::Lost>, StoreError> {
    let inspected = wal::inspect(path)?;
    let combined = fs::copy(path, source)
        .and_then(|_| OpenOptions::new().write(true).open(source))
        .and_then(|file| wal::complete(path, &file, inspected.lost.is_some()));
    combined.map_err(|error| StoreError::failed("cannot copy to", source, &error))?;
    Ok(inspected.lost)
}

/// Opens what was combined; with the first page of a new store when its own cannot be read.
fn open_source(path: &Path, source: &Path, new: &Path) -> Result<(Connection, bool), StoreError> {
    match schema::connect_to_copy(source) {
        Ok(connection) => Ok((connection, true)),
        Err(StoreError::Newer { found, known, .. }) => {
            Err(StoreError::Newer { path: path.to_owned(), found, known })
        }
        Err(_) => {
            let transplanted = transplant(source, new);
            transplanted.map_err(|error| StoreError::failed("cannot copy to", source, &error))?;
            Ok((schema::connect_to_copy(source)?, false))
        }
    }
}

/// Gives a database the first page of a new one: it says where the tables begin, which is the same
/// in all stores of a format.
fn transplant(source: &Path, new: &Path) -> io::Result<()> {
    let mut page = [0; PAGE_LEN];
    File::open(new)?.read_exact_at(&mut page, 0)?;
    let file = OpenOptions::new().write(true).open(source)?;
    let pages = u32::try_from(file.metadata()?.len() / PAGE_BYTES).unwrap_or(u32::MAX);
    page[28..32].copy_from_slice(&pages.to_be_bytes());
    file.write_all_at(&page, 0)
}
