//! The store against a model of what must be there.

mod churn;
mod crash;
mod kit;
mod model;
mod open;
mod repair;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Options, SqliteStore};

/// A folder in memory where there is one: what is tested here needs no disk.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = folder.path().join("mqttd.db");
    (folder, path)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default()).unwrap()
}

/// Copies a store as a power cut would leave it if the disk had all that was written.
fn copy_files(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        if name(from).exists() {
            std::fs::copy(name(from), name(to)).unwrap();
        }
    }
}
