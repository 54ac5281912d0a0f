//! The user the broker runs as: who it is, what must belong to it, and how root becomes it.
//!
//! Under systemd `User=` has done all this; only root by hand (or in a container) comes here.

use std::ffi::CString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, User, getegid, geteuid, initgroups, setegid, seteuid, setgid, setuid};

use super::{failure, owner};
use crate::cli::{Exit, Failure};
use crate::control::Place;

/// The user that root becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    name: CString,
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// The user to become: `option` (`--user`), else `configured`; `None` when this process is to
    /// stay who it is.
    pub(super) fn wanted(option: Option<&str>, configured: &str) -> Result<Option<Self>, Failure> {
        let me = geteuid();
        if !me.is_root() {
            let mine = owner::user_name(me);
            return match option {
                Some(name) if name != mine => Err(Failure::new(
                    Exit::Permission,
                    "permission_denied",
                    format!("user {mine} cannot become user {name}"),
                )
                .hint("use sudo")),
                Some(_) | None => Ok(None),
            };
        }
        let name = option.unwrap_or(configured);
        if name == "root" {
            return Ok(None);
        }
        let user = User::from_name(name).ok().flatten();
        let c_name = CString::new(name).ok();
        match (user, c_name) {
            (Some(user), Some(name)) => Ok(Some(Self { name, uid: user.uid, gid: user.gid })),
            _ => Err(Failure::new(
                Exit::Failed,
                "no_such_user",
                format!(
                    "there is no user {name:?} to run as, and root is more than a broker needs"
                ),
            )
            .hint(format!(
                "create it (adduser --system --group {name}), or name one with --user NAME; \
                 --user root stays root"
            ))),
        }
    }

    /// The user a directory belongs to, for root; `None` when this process is to stay who it is.
    pub(super) fn owner_of(directory: &Path) -> Result<Option<Self>, Failure> {
        let metadata = fs::metadata(directory)
            .map_err(|error| failure::with_file("look at", directory, &error))?;
        if !geteuid().is_root() || metadata.uid() == 0 {
            return Ok(None);
        }
        let (uid, gid) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
        let name = CString::new(owner::user_name(uid)).unwrap_or_default();
        Ok(Some(Self { name, uid, gid }))
    }

    /// Acts as the user, with all threads, for as long as the result lives: what is made meanwhile
    /// belongs to it.
    pub(super) fn act(&self) -> Result<Acting, Failure> {
        let acting = Acting { gid: getegid() };
        let failed = |errno: nix::Error| {
            let name = self.name.to_string_lossy();
            failure::system(&format!("act as user {name}"), &errno.into())
        };
        setegid(self.gid).and_then(|()| seteuid(self.uid)).map_err(failed)?;
        Ok(acting)
    }

    /// Becomes the user, for ever and for all threads.
    pub(super) fn become_it(&self) -> Result<(), Failure> {
        let step = |what: &'static str| {
            let name = self.name.to_string_lossy().into_owned();
            move |errno: nix::Error| failure::system(&format!("{what} user {name}"), &errno.into())
        };
        initgroups(&self.name, self.gid).map_err(step("take the groups of"))?;
        setgid(self.gid).map_err(step("take the group of"))?;
        setuid(self.uid).map_err(step("become"))?;
        if setuid(Uid::from_raw(0)).is_ok() {
            return Err(Failure::new(
                Exit::Failed,
                "still_root",
                "the rights of root could be taken back after they were given up",
            ));
        }
        Ok(())
    }

    /// Gives an open file or directory to the user if root has it.
    pub(super) fn give(&self, file: &fs::File) -> io::Result<()> {
        let metadata = file.metadata()?;
        // A file with a second name could be anybody's.
        if metadata.uid() == 0 && (metadata.is_dir() || metadata.nlink() == 1) {
            fchown(file, Some(self.uid.as_raw()), Some(self.gid.as_raw()))?;
        }
        Ok(())
    }
}

/// Root acts as another user.
#[derive(Debug)]
pub(super) struct Acting {
    gid: Gid,
}

impl Drop for Acting {
    fn drop(&mut self) {
        // The kernel lets a process be again who it really is.
        let _ = seteuid(Uid::from_raw(0)).and_then(|()| setegid(self.gid));
    }
}

/// Makes the directories of an instance and, as root, sees to it that they belong to the user.
pub(super) fn directories(place: &Place, account: Option<&Account>) -> Result<(), Failure> {
    if let Some(home) = &place.home {
        make(home, 0o755)?;
    }
    for (path, mode) in [(&place.data_dir, 0o750), (&place.run_dir, 0o755), (&place.log_dir, 0o750)]
    {
        make(path, mode)?;
        if let Some(account) = account {
            give_directory(path, account).map_err(|e| failure::with_file("take over", path, &e))?;
        }
    }
    Ok(())
}

fn make(path: &Path, mode: u32) -> Result<(), Failure> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound && path.parent().is_some() => {
            let parent = path.parent().unwrap_or(path);
            make(parent, 0o755)?;
            DirBuilder::new()
                .mode(mode)
                .create(path)
                .map_err(|error| failure::with_file("make the directory", path, &error))
        }
        made => made.map_err(|error| failure::with_file("make the directory", path, &error)),
    }
}

/// Only the directory itself, and not through a symbolic link: what is in it is not root's
/// business.
fn give_directory(path: &Path, account: &Account) -> io::Result<()> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(directory) => account.give(&directory),
        Err(_) if path.is_symlink() => Ok(()), // its maker chose the owner of its target
        Err(error) => Err(error),
    }
}
