//! Finding and reading the files: `mqttd.toml`, then `conf.d/*.toml` beside it, sorted by name.
//!
//! Called through [`load`]. What cannot be read is told with its owner and the command that mends
//! it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::read::read;
use super::{ConfigError, Loaded, Setting, check, keys};
use crate::control::Place;
use crate::daemon::owner;

/// Largest file read; a thousand times what all keys need.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Directory of further files, beside the main file.
const DIRECTORY: &str = "conf.d";

/// Reads, merges and checks the configuration of an instance.
///
/// # Errors
/// All that is wrong with it, in the order of the files and lines.
pub fn load(place: &Place) -> Result<Loaded, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut texts = Vec::new();
    for (path, optional) in paths(place, &mut errors) {
        match text_of(&path) {
            Ok(text) => texts.push(Ok((path, text))),
            Err(Unread::Missing) if optional => {}
            Err(unread) => texts.push(Err(unread.error(&path))),
        }
    }
    merge(errors.into_iter().map(Err).chain(texts))
}

/// What files give together, of which the texts were read or could not be: [`load`] without a
/// disk. The last one wins.
///
/// # Errors
/// All that is wrong, in the order of the files and lines.
pub fn merge(
    texts: impl IntoIterator<Item = Result<(PathBuf, String), ConfigError>>,
) -> Result<Loaded, Vec<ConfigError>> {
    let mut settings: Vec<_> =
        keys().iter().map(|key| Setting { value: key.default_value(), origin: None }).collect();
    let mut errors = Vec::new();
    let mut files = Vec::new();
    let mut digest = DefaultHasher::new();
    for text in texts {
        match text {
            Ok((path, text)) => {
                (&path, &text).hash(&mut digest);
                errors.extend(read(&path, &text, &mut settings).err().into_iter().flatten());
                files.push(path);
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let loaded = Loaded::from_settings(settings, files, digest.finish());
    let errors = check::errors(&loaded);
    if errors.is_empty() { Ok(loaded) } else { Err(errors) }
}

/// The files in order of precedence, and whether each may be missing.
fn paths(place: &Place, errors: &mut Vec<ConfigError>) -> Vec<(PathBuf, bool)> {
    let mut paths = vec![(place.config_file.clone(), place.config_optional)];
    let directory = place.config_file.with_file_name(DIRECTORY);
    match fs::read_dir(&directory) {
        Ok(entries) => {
            let mut more: Vec<_> = entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.extension() == Some(OsStr::new("toml")) && !hidden(path))
                .collect();
            more.sort();
            paths.extend(more.into_iter().map(|path| (path, false)));
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
        Err(error) => errors.push(Unread::System(error).error(&directory)),
    }
    paths
}

/// Editors leave such files while they write.
fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

enum Unread {
    Missing,
    NotAFile(&'static str),
    TooLarge,
    NotText { line: usize },
    System(io::Error),
}

fn text_of(path: &Path) -> Result<String, Unread> {
    let system = |error: io::Error| {
        if error.kind() == ErrorKind::NotFound { Unread::Missing } else { Unread::System(error) }
    };
    let file = open(path).map_err(system)?;
    let metadata = file.metadata().map_err(system)?;
    if metadata.is_dir() {
        return Err(Unread::NotAFile("a directory"));
    }
    if !metadata.is_file() {
        return Err(Unread::NotAFile("a device, pipe or socket"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(system)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Unread::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        Unread::NotText { line: valid.iter().filter(|byte| **byte == b'\n').count() + 1 }
    })
}

/// Does not wait when the path is a pipe that nobody writes to.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(path)
}

impl Unread {
    fn error(self, path: &Path) -> ConfigError {
        let mut place = None;
        let (what, hint) = match self {
            Self::Missing => (
                "there is no such file".to_owned(),
                Some(
                    "an empty file gives the defaults; --config FILE names another one".to_owned(),
                ),
            ),
            Self::NotAFile(kind) => (format!("is {kind}, not a file"), None),
            Self::TooLarge => (
                format!("is larger than {} KiB", FILE_BYTES_MAX >> 10),
                Some("is it a configuration?".to_owned()),
            ),
            Self::NotText { line } => {
                place = Some((line, 1));
                ("is not text in UTF-8".to_owned(), Some("save it as UTF-8".to_owned()))
            }
            Self::System(error) if error.kind() == ErrorKind::PermissionDenied => {
                let whose = owner::describe(path);
                let what = format!("cannot be read: permission denied ({whose})");
                (what, Some(owner::remedy_to_read(path)))
            }
            Self::System(error) => (format!("cannot be read: {error}"), None),
        };
        ConfigError { file: path.to_owned(), place, key: None, what, hint }
    }
}
