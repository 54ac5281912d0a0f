//! Whether the user that the installed service runs as may read the configuration.
//!
//! Called by `mqttd check-config` and before a restart: root reads everything, so without this look
//! a file of root's would end a healthy broker. Access lists beyond the mode are not considered.

use std::ffi::CString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, geteuid, getgrouplist};

use super::{ConfigError, Loaded};
use crate::control::Place;

const READ: u32 = 4;
const ENTER: u32 = 1;

/// Files of the installed instance that root reads and its service cannot.
#[must_use]
pub fn unreadable_by_service(loaded: &Loaded, place: &Place) -> Vec<ConfigError> {
    if !geteuid().is_root() || place.config_file != Place::system().config_file {
        return Vec::new();
    }
    match Reader::named(&loaded.config.user) {
        Some(reader) => reader.unreadable(&loaded.files),
        None => Vec::new(),
    }
}

/// A user and its groups.
struct Reader {
    name: String,
    uid: Uid,
    groups: Vec<Gid>,
}

impl Reader {
    /// `None` when there is no such user, or it is root.
    fn named(name: &str) -> Option<Self> {
        let user = User::from_name(name).ok().flatten().filter(|user| !user.uid.is_root())?;
        let groups = getgrouplist(&CString::new(name).ok()?, user.gid).ok()?;
        Some(Self { name: name.to_owned(), uid: user.uid, groups })
    }

    fn unreadable(&self, files: &[PathBuf]) -> Vec<ConfigError> {
        files.iter().filter_map(|file| self.refused(file)).collect()
    }

    /// The first thing on the way to a file that keeps this user out.
    fn refused(&self, file: &Path) -> Option<ConfigError> {
        let closed = file.ancestors().filter(|at| {
            let needed = if *at == file { READ } else { ENTER };
            fs::metadata(at).is_ok_and(|metadata| !self.may(needed, &metadata))
        });
        let at = closed.last()?;
        let mode = if at == file { "0640" } else { "0750" };
        let (at, name) = (at.display(), &self.name);
        Some(ConfigError {
            file: file.to_owned(),
            place: None,
            key: None,
            what: format!("the service runs as user {name}, which may not read {at}"),
            hint: Some(format!("sudo chgrp {name} {at} && sudo chmod {mode} {at}")),
        })
    }

    fn may(&self, needed: u32, metadata: &Metadata) -> bool {
        let class = if metadata.uid() == self.uid.as_raw() {
            6
        } else if self.groups.contains(&Gid::from_raw(metadata.gid())) {
            3
        } else {
            0
        };
        metadata.mode() >> class & needed == needed
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn told(file_mode: u32, folder_mode: u32, reader: impl Fn(&Metadata) -> Reader) -> Vec<String> {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let file = folder.path().join("mqttd.toml");
        fs::write(&file, "").unwrap();
        let reader = reader(&fs::metadata(&file).unwrap());
        fs::set_permissions(&file, Permissions::from_mode(file_mode)).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(folder_mode)).unwrap();
        let errors = reader.unreadable(&[file]);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        errors.iter().map(ToString::to_string).collect()
    }

    fn of_group(metadata: &Metadata) -> Reader {
        Reader {
            name: "mqttd".to_owned(),
            uid: Uid::from_raw(metadata.uid() + 1),
            groups: vec![Gid::from_raw(metadata.gid())],
        }
    }

    fn stranger(metadata: &Metadata) -> Reader {
        Reader { groups: Vec::new(), ..of_group(metadata) }
    }

    #[test]
    fn p57_a_file_the_service_may_not_read_is_named() {
        assert!(told(0o640, 0o750, of_group).is_empty());
        assert!(told(0o644, 0o755, stranger).is_empty());
        let closed = told(0o600, 0o755, of_group);
        assert!(closed[0].contains("which may not read") && closed[0].contains("chmod 0640"));
        assert_eq!(told(0o640, 0o755, stranger).len(), 1);
    }

    #[test]
    fn p57_a_closed_folder_on_the_way_is_named() {
        let closed = told(0o644, 0o700, stranger);
        assert!(closed[0].contains("chmod 0750"), "{closed:?}");
    }
}
