//! Finding and reading the files: `mqttd.toml`, then `conf.d/*.toml` beside it, sorted by name.
//!
//! Called through [`load`]. What cannot be read is told with its owner and the command that mends
//! it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, geteuid};

use super::read::read;
use super::{ConfigError, Loaded, Setting, check, keys};
use crate::control::Place;

/// Largest file read; a thousand times what all keys need.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Directory of further files, beside the main file.
const DIRECTORY: &str = "conf.d";

/// Reads, merges and checks the configuration of an instance.
///
/// # Errors
/// All that is wrong with it, in the order of the files and lines.
pub fn load(place: &Place) -> Result<Loaded, Vec<ConfigError>> {
    let mut settings: Vec<_> =
        keys().iter().map(|key| Setting { value: key.default_value(), origin: None }).collect();
    let mut errors = Vec::new();
    let mut files = Vec::new();
    let mut digest = DefaultHasher::new();
    for (path, optional) in paths(place, &mut errors) {
        match text_of(&path) {
            Ok(text) => {
                (&path, &text).hash(&mut digest);
                errors.extend(read(&path, &text, &mut settings).err().into_iter().flatten());
                files.push(path);
            }
            Err(Unread::Missing) if optional => {}
            Err(unread) => errors.push(unread.error(&path)),
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
                (format!("cannot be read: permission denied{}", owner(path)), permission_hint(path))
            }
            Self::System(error) => (format!("cannot be read: {error}"), None),
        };
        ConfigError { file: path.to_owned(), place, key: None, what, hint }
    }
}

/// ` (owner root:root, mode 0600; this is user mqttd)`, or nothing where it cannot be seen.
fn owner(path: &Path) -> String {
    let me = user_name(geteuid());
    let Ok(metadata) = fs::metadata(path) else {
        return format!(" (this is user {me})");
    };
    let user = user_name(Uid::from_raw(metadata.uid()));
    let group = group_name(Gid::from_raw(metadata.gid()));
    let mode = metadata.mode() & 0o7777;
    format!(" (owner {user}:{group}, mode {mode:04o}; this is user {me})")
}

/// The command that lets this user read.
fn permission_hint(path: &Path) -> Option<String> {
    let shown = path.display();
    let me = user_name(geteuid());
    let metadata = fs::metadata(path).ok();
    Some(match metadata {
        None => format!("`namei -l {shown}` shows which directory keeps {me} out"),
        Some(metadata) if me == "mqttd" && metadata.uid() == 0 => {
            format!("sudo chgrp mqttd {shown} && sudo chmod 0640 {shown}")
        }
        Some(_) if me == "mqttd" => {
            format!("sudo chown root:mqttd {shown} && sudo chmod 0640 {shown}")
        }
        Some(_) => "run the command with sudo, or as a member of the file's group".to_owned(),
    })
}

fn user_name(uid: Uid) -> String {
    let user = User::from_uid(uid).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn group_name(gid: Gid) -> String {
    let group = Group::from_gid(gid).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}
