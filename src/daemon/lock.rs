//! "An instance exists": locks on `<run>/mqttd.lock` and `<data>/LOCK`.
//!
//! The kernel drops them when the last process that inherited them is gone, however it went. The
//! files are never removed: a second file of the same name would be a second lock. The pid in
//! them is for messages; nothing is ever signalled by it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::poll::poll;

use super::failure;
use super::privilege::Account;
use crate::cli::Failure;
use crate::control::Place;

/// How often a lock is tried for, and the pause between two tries.
const TRIES: u32 = 10;
const PAUSE_MS: u8 = 10;

/// Both locks; they are held until the last copy of their descriptors is closed.
#[derive(Debug)]
pub(super) struct Locks {
    files: [File; 2],
}

/// What came of the attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    /// This process has them.
    Taken(Locks),
    /// Another process has one of them; its pid as it wrote it, if it did already.
    Held(Option<u32>),
}

impl Locks {
    /// Tries to take both.
    pub(super) fn take(place: &Place, account: Option<&Account>) -> Result<Attempt, Failure> {
        let paths = [place.lock(), place.data_dir.join("LOCK")];
        let mut taken = Vec::new();
        for path in &paths {
            let failed = |error: io::Error| failure::with_file("lock", path, &error);
            let mut file = open(path).map_err(failed)?;
            if let Some(account) = account {
                account.give(&file).map_err(failed)?;
            }
            if is_taken(&file).map_err(failed)? {
                return Ok(Attempt::Held(pid_in(&mut file)));
            }
            taken.push(file);
        }
        for file in &taken {
            file.set_len(0).map_err(|error| failure::with_file("write", &paths[0], &error))?;
        }
        match <[File; 2]>::try_from(taken) {
            Ok(files) => Ok(Attempt::Taken(Self { files })),
            Err(_) => Ok(Attempt::Held(None)),
        }
    }

    /// Writes this process's pid into both files.
    pub(super) fn sign(&mut self) -> io::Result<()> {
        for file in &mut self.files {
            file.rewind()?;
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())?;
        }
        Ok(())
    }

    /// The open files, to be kept over a fork.
    pub(super) fn files(&self) -> &[File] {
        &self.files
    }
}

/// Whether another process has the lock; else it is ours now.
///
/// Whoever only looks whether an instance lives borrows the lock for a moment, so this tries for
/// a while.
fn is_taken(file: &File) -> io::Result<bool> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(false),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let _ = poll(&mut [], PAUSE_MS);
    }
    Ok(true)
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(place: &Place) -> Attempt {
        std::fs::create_dir_all(&place.data_dir).unwrap();
        std::fs::create_dir_all(&place.run_dir).unwrap();
        Locks::take(place, None).unwrap()
    }

    #[test]
    fn p52_the_second_is_told_the_pid_of_the_first() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::under(home.path());
        let Attempt::Taken(mut locks) = take(&place) else {
            panic!("nobody else has it");
        };
        assert!(matches!(take(&place), Attempt::Held(None)), "not signed yet");
        locks.sign().unwrap();
        // The same data with another run directory is the same instance.
        let mut other = place.clone();
        other.run_dir = home.path().join("other");
        for place in [&place, &other] {
            let Attempt::Held(pid) = take(place) else {
                panic!("it is held");
            };
            assert_eq!(pid, Some(std::process::id()));
        }
        drop(locks);
        assert!(matches!(take(&place), Attempt::Taken(_)));
    }
}
