//! The file a copy goes to: a new one, whole or not at all, or standard output.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, renameat2};

use super::with_file;
use crate::cli::boot::{Exit, Failure};

/// Where a copy is written.
#[derive(Debug)]
pub(super) enum Target {
    /// Standard output, which may be a pipe.
    Stdout(io::Stdout),
    /// A file, under another name until it is whole.
    File {
        /// What is written.
        file: File,
        /// Its name meanwhile.
        part: PathBuf,
        /// Its name in the end.
        path: PathBuf,
    },
}

impl Target {
    /// Opens it; `-` is standard output.
    ///
    /// # Errors
    /// The file is there already, or cannot be made.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(io::stdout()));
        }
        if path.symlink_metadata().is_ok() {
            return Err(with_file("write", path, &ErrorKind::AlreadyExists.into()));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(OsString::from(".part"));
        let part = PathBuf::from(part);
        // What is kept may be nobody else's business.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.custom_flags(OFlag::O_NOFOLLOW.bits());
        let file = options.open(&part).map_err(|error| with_file("write", &part, &error))?;
        Ok(Self::File { file, part, path: path.to_owned() })
    }

    /// Makes it last, under its name.
    ///
    /// # Errors
    /// It cannot be written, or a file of that name has come meanwhile.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let finished = match &mut self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File { file, part, path } => file
                .sync_all()
                .and_then(|()| rename(part, path))
                .and_then(|()| sync_directory(path)),
        };
        finished.map_err(|error| self.failed(&error))
    }

    /// The failure of writing it.
    pub(super) fn failed(&self, error: &io::Error) -> Failure {
        match self {
            Self::Stdout(_) => {
                let message = format!("cannot write to standard output: {error}");
                Failure::new(Exit::Failed, "output", message)
            }
            Self::File { path, .. } => with_file("write", path, error),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File { file, .. } => file.flush(),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Self::File { part, .. } = self {
            let _ = fs::remove_file(part); // gone when it was finished
        }
    }
}

/// Without taking the place of another file, where the file system can tell.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
        Err(nix::Error::EINVAL | nix::Error::ENOSYS) if to.symlink_metadata().is_err() => {
            fs::rename(from, to)
        }
        renamed => renamed.map_err(io::Error::from),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match File::open(parent.unwrap_or_else(|| Path::new("."))) {
        Ok(directory) => directory.sync_all(),
        // It may be written to, and not read.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}
