//! A file that is renamed when it grows: FILE, FILE.1, FILE.2 …
//!
//! Called on the log's own thread. When somebody else moves or removes the file, it is begun anew
//! within a second.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::record::Record;
use super::writer::Sink;

/// How often it is looked whether the file is still the one with the name.
const LOOK_MS: u64 = 1000;

/// A file as a place for lines.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    bytes_max: u64,
    files_max: usize,
    open: Option<Open>,
    looked_ms: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

impl LogFile {
    /// Opens the file for appending.
    pub(super) fn open(path: PathBuf, bytes_max: u64, files_max: usize) -> io::Result<Self> {
        let open = Some(open(&path)?);
        Ok(Self { path, bytes_max, files_max, open, looked_ms: 0 })
    }

    /// Drops the open file when the name leads to another one, or to none.
    fn look(&mut self, unix_ms: u64) {
        if unix_ms.abs_diff(self.looked_ms) < LOOK_MS {
            return;
        }
        self.looked_ms = unix_ms;
        let named = fs::metadata(&self.path).ok().map(|m| (m.dev(), m.ino()));
        let opened = self.open.as_ref().and_then(|open| open.file.metadata().ok());
        if named != opened.map(|m| (m.dev(), m.ino())) {
            self.open = None;
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        for number in (1..self.files_max).rev() {
            let from = numbered(&self.path, number);
            if from.exists() {
                fs::rename(from, numbered(&self.path, number + 1))?;
            }
        }
        if self.files_max == 0 {
            fs::remove_file(&self.path)
        } else {
            fs::rename(&self.path, numbered(&self.path, 1))
        }
    }
}

impl Sink for LogFile {
    fn write(&mut self, record: &Record, line: &str) -> io::Result<()> {
        self.look(record.unix_ms);
        let line = format!("{line}\n");
        let bytes = line.len() as u64;
        let full = |open: &Open| open.bytes > 0 && open.bytes + bytes > self.bytes_max;
        if self.open.as_ref().is_some_and(full) {
            self.rotate()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(open(&self.path)?),
        };
        open.file.write_all(line.as_bytes())?;
        open.bytes += bytes;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()) // a pipe is an error
        .open(path)?;
    let bytes = file.metadata()?.len();
    Ok(Open { file, bytes })
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn write(file: &mut LogFile, unix_ms: u64, line: &str) {
        let record =
            Record { unix_ms, level: Level::INFO, message: String::new(), fields: Vec::new() };
        file.write(&record, line).unwrap();
    }

    #[test]
    fn a_full_file_is_renamed_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mqttd.log");
        let mut file = LogFile::open(path, 10, 2).unwrap();
        for line in ["one", "two", "three", "four", "five", "longer than the limit", "six"] {
            write(&mut file, 0, line);
        }
        let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(text("mqttd.log"), "six\n");
        assert_eq!(text("mqttd.log.1"), "longer than the limit\n");
        assert_eq!(text("mqttd.log.2"), "four\nfive\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn without_old_files_the_file_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mqttd.log");
        let mut file = LogFile::open(path.clone(), 10, 0).unwrap();
        write(&mut file, 0, "12345678");
        write(&mut file, 0, "9");
        assert_eq!(fs::read_to_string(&path).unwrap(), "9\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn p40_a_file_moved_by_somebody_else_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mqttd.log");
        let mut file = LogFile::open(path.clone(), 1 << 20, 5).unwrap();
        write(&mut file, 5000, "before");
        fs::rename(&path, dir.path().join("moved")).unwrap();
        write(&mut file, 7000, "after");
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
        assert_eq!(fs::read_to_string(dir.path().join("moved")).unwrap(), "before\n");
    }
}
