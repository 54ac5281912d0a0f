//! Work on a store that no broker has open: reading copies, restoring one, checking, repairing.
//!
//! Whoever works on the store of an instance holds its locks, and is its owner meanwhile, so that
//! nothing is left there that the broker could not open. Files the user names are opened before that,
//! with the user's own rights.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::config;
use super::export::{Export, Latest};
use super::failure;
use super::lock::{Attempt, Locks};
use super::privilege::{self, Account, Acting};
use crate::admin::exchange::{Entry, Totals};
use crate::broker::Restore;
use crate::cli::{Exit, Failure, Kept, Repaired, Restored, Selection, Sound, TakeError};
use crate::control::Place;
use crate::server::clock::Clock;
use crate::store::{self, Copy, Options, SqliteStore, Store, StoreError};

/// Bytes copied at a time.
const PIECE_BYTES: usize = 1 << 20;

/// The name of a copy that takes the place of the store, while it is made.
const COMING: &str = "mqttd.db.restore";

/// The name of the store that was there before.
const BEFORE: &str = "mqttd.db.before-restore";

/// An instance that does not run, held for as long as this lives.
struct Held {
    path: PathBuf,
    acting: Option<Acting>,
    _locks: Locks,
}

impl Held {
    /// Takes the instance's locks and becomes its owner.
    fn take(place: &Place) -> Result<Self, Failure> {
        let account = owner(place)?;
        privilege::directories(place, account.as_ref())?;
        let locks = match Locks::take(place, account.as_ref())? {
            Attempt::Taken(locks) => locks,
            Attempt::Held(pid) => return Err(runs(pid)),
        };
        let acting = account.map(|account| account.act()).transpose()?;
        Ok(Self { path: place.store(), acting, _locks: locks })
    }

    /// That the instance has a store.
    fn has_store(self) -> Result<Self, Failure> {
        match self.path.metadata() {
            Ok(_) => Ok(self),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let message = format!("nothing is kept: there is no {}", self.path.display());
                Err(Failure::new(Exit::Failed, "not_found", message))
            }
            Err(error) => Err(failure::with_file("read", &self.path, &error)),
        }
    }
}

/// Whom the instance belongs to: the owner of its data, or who would start it.
fn owner(place: &Place) -> Result<Option<Account>, Failure> {
    if place.data_dir.exists() {
        return Account::owner_of(&place.data_dir);
    }
    let loaded = config::load(place).map_err(|errors| failure::configuration(&errors))?;
    Account::wanted(None, &loaded.config.user)
}

fn runs(pid: Option<u32>) -> Failure {
    let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let message = format!("the broker is running{who}: this is for one that is stopped");
    Failure::new(Exit::Failed, "already_running", message).hint("mqttd stop")
}

/// See [`crate::cli::Boot::read_kept`].
pub(super) fn read_kept(
    kept: &Kept<'_>,
    selection: &Selection,
    take: &mut dyn FnMut(Entry) -> io::Result<()>,
) -> Result<(), TakeError> {
    match kept {
        Kept::Copy(path) | Kept::Passing(path) => {
            let copy = open_copy(path);
            if matches!(kept, Kept::Passing(_)) {
                let _ = fs::remove_file(path);
            }
            let copy = copy.map_err(TakeError::Kept)?;
            let recover = |into: &mut dyn Restore| {
                let recovered = copy.recover(into, &mut |_| {});
                recovered.map(drop).map_err(|error| of_copy(path, &error))
            };
            read(recover, selection, take)
        }
        Kept::Store(place) => {
            let held = Held::take(place).and_then(Held::has_store).map_err(TakeError::Kept)?;
            let opened = SqliteStore::open(&held.path, Options::default());
            let mut opened = opened.map_err(|error| TakeError::Kept(failure::store(&error)))?;
            // Lines go where the user may write.
            drop(held.acting);
            read(|into| recover(&mut opened, into, &mut |_| {}), selection, take)
        }
    }
}

fn recover(
    store: &mut SqliteStore,
    into: &mut dyn Restore,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    store.recover(into, progress).map(drop).map_err(|error| failure::store(&error))
}

/// Reads what is kept twice: to see which retained messages are the last of their topics, then all.
fn read(
    mut recover: impl FnMut(&mut dyn Restore) -> Result<(), Failure>,
    selection: &Selection,
    take: &mut dyn FnMut(Entry) -> io::Result<()>,
) -> Result<(), TakeError> {
    let mut latest = Latest::default();
    if selection.retained {
        recover(&mut latest).map_err(TakeError::Kept)?;
    }
    let mut export = Export::begin(selection, latest, Clock::now().unix_ms, take);
    recover(&mut export).map_err(TakeError::Kept)?;
    export.finish().map_err(TakeError::Taker)
}

/// Reads all that is kept, and says what it is.
fn count(recover: impl FnMut(&mut dyn Restore) -> Result<(), Failure>) -> Result<Totals, Failure> {
    let all = Selection { retained: true, sessions: true, queues: true, client_id: None };
    let mut totals = Totals::default();
    let read = read(recover, &all, &mut |entry| {
        totals.count(&entry);
        Ok(())
    });
    match read {
        Ok(()) => Ok(totals),
        Err(TakeError::Kept(failure)) => Err(failure),
        Err(TakeError::Taker(error)) => Err(failure::system("count what is kept", &error)),
    }
}

/// Opens a copy that the user named, which is left as it is.
fn open_copy(path: &Path) -> Result<Copy, Failure> {
    // SQLite's words for a file that is not there are no help.
    File::open(path).map_err(|error| unreadable(path, &error))?;
    Copy::open(path).map_err(|error| of_copy(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == ErrorKind::PermissionDenied {
        return failure::with_file("read", path, error);
    }
    let message = format!("cannot read {}: {error}", path.display());
    Failure::new(Exit::Failed, "unreadable", message)
}

/// What is wrong with a copy, in words about the file that the user named.
fn of_copy(path: &Path, error: &StoreError) -> Failure {
    let shown = path.display();
    match error {
        StoreError::Foreign { .. } => {
            let message = format!("{shown} is not a backup of mqttd");
            Failure::new(Exit::Failed, "store_foreign", message)
                .hint("a file of `mqttd export` is taken in by `mqttd import`")
        }
        StoreError::Damaged { what, .. } => {
            let message = format!("the backup {shown} is damaged: {what}");
            Failure::new(Exit::Failed, "store_damaged", message).hint("is there another one?")
        }
        StoreError::Newer { found, known, .. } => {
            let message =
                format!("{shown} has format {found}, and this version knows formats up to {known}");
            Failure::new(Exit::Failed, "store_newer", message)
                .hint("install the version of mqttd that wrote it, or a later one")
        }
        StoreError::Full { .. }
        | StoreError::Failed { .. }
        | StoreError::InUse { .. }
        | StoreError::Exists { .. } => {
            let mut failure = failure::store(error);
            failure.problem.hint = None; // which is about the store
            failure
        }
    }
}

/// See [`crate::cli::Boot::restore`].
pub(super) fn restore(
    place: &Place,
    file: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Restored, Failure> {
    let from = File::open(file).map_err(|error| unreadable(file, &error))?;
    let held = Held::take(place)?;
    let coming = Coming(place.data_dir.join(COMING));
    coming.copy(from, progress)?;
    let totals = sound(&coming.0).map_err(|error| of_copy(file, &error))?;
    let aside = move_aside(&held.path)?;
    let renamed = fs::rename(&coming.0, &held.path).and_then(|()| sync_directory(&place.data_dir));
    renamed.map_err(|error| failure::with_file("write", &held.path, &error))?;
    Ok(Restored { totals, aside })
}

/// Reads a copy whole, and says what is in it.
fn sound(path: &Path) -> Result<Totals, StoreError> {
    let copy = Copy::open(path)?;
    copy.check()?;
    let mut failed = None;
    let counted = count(|into| {
        copy.recover(into, &mut |_| {}).map(drop).map_err(|error| {
            let failure = failure::store(&error);
            failed = Some(error);
            failure
        })
    });
    match (failed, counted) {
        (Some(error), _) => Err(error),
        (None, counted) => Ok(counted.unwrap_or_default()), // counting itself cannot fail
    }
}

/// The copy that is to take the place of the store; gone when it does not.
struct Coming(PathBuf);

impl Coming {
    fn copy(&self, mut from: File, progress: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        let failed = |error: io::Error| failure::with_file("write", &self.0, &error);
        let mut options = OpenOptions::new();
        let to = options.write(true).create(true).truncate(true).mode(0o640).open(&self.0);
        let mut to = to.map_err(failed)?;
        let (mut piece, mut bytes) = (vec![0; PIECE_BYTES], 0);
        loop {
            let read = from.read(&mut piece).map_err(|error| failure::system("read it", &error))?;
            if read == 0 {
                break;
            }
            to.write_all(&piece[..read]).map_err(failed)?;
            bytes += read as u64;
            progress(bytes);
        }
        to.sync_all().map_err(failed)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // not there when it took the place
    }
}

/// Gives the store another name, if there is one, and says which. What is beside the database must
/// never meet another one: it is moved into it or, where that is not possible, goes first.
fn move_aside(path: &Path) -> Result<Option<PathBuf>, Failure> {
    let failed = |error: io::Error| failure::with_file("rename", path, &error);
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let aside = free_name(path);
    drop(SqliteStore::open(path, Options::default()));
    // `.repaired`: of a repair that was interrupted, and stops every start until it is completed.
    for suffix in ["-wal", ".repaired"] {
        match fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            renamed => renamed.map_err(failed)?,
        }
    }
    if let Some(directory) = path.parent() {
        sync_directory(directory).map_err(failed)?;
    }
    fs::rename(path, &aside).map_err(failed)?;
    Ok(Some(aside))
}

/// A name beside the store that nothing has.
fn free_name(path: &Path) -> PathBuf {
    let first = path.with_file_name(BEFORE);
    let others = (2..).map(|number: u64| path.with_file_name(format!("{BEFORE}-{number}")));
    std::iter::once(first.clone())
        .chain(others)
        .find(|name| name.symlink_metadata().is_err())
        .unwrap_or(first)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// See [`crate::cli::Boot::check_store`].
pub(super) fn check(place: &Place, progress: &mut dyn FnMut(u64)) -> Result<Sound, Failure> {
    let held = Held::take(place)?.has_store()?;
    let opened = SqliteStore::open(&held.path, Options::default());
    let mut opened = opened.map_err(|error| failure::store(&error))?;
    let mut torn_bytes = 0;
    let totals = count(|into| {
        let recovered = opened.recover(into, progress).map_err(|error| failure::store(&error))?;
        torn_bytes = recovered.torn_bytes;
        Ok(())
    })?;
    // Closed, it has everything in one file; and what a table has lost, reading does not tell.
    drop(opened);
    let closed = Copy::open(&held.path).and_then(|closed| closed.check());
    closed.map_err(|error| failure::store(&error))?;
    Ok(Sound { path: held.path, totals, torn_bytes })
}

/// See [`crate::cli::Boot::repair_store`].
pub(super) fn repair(place: &Place, progress: &mut dyn FnMut(u64)) -> Result<Repaired, Failure> {
    let held = Held::take(place)?.has_store()?;
    let repaired = store::repair(&held.path, progress).map_err(|error| failure::store(&error))?;
    let opened = SqliteStore::open(&held.path, Options::default());
    let mut opened = opened.map_err(|error| failure::store(&error))?;
    let totals = count(|into| recover(&mut opened, into, progress))?;
    let store::Repaired { lost, aside } = repaired;
    Ok(Repaired { path: held.path, totals, lost, aside })
}
