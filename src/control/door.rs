//! The socket file: who may open it, and how it comes and goes.
//!
//! Called by `daemon` after it holds the instance's lock. Deliberately not here: the lock itself
//! (whoever has it owns the path, so that a socket nobody answers on may be replaced), and what
//! is said over the socket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use interprocess::local_socket::{GenericFilePath, Listener, ListenerOptions, ToFsName};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use nix::unistd::{Gid, getegid, getgid};

/// Bytes of a socket's path, at most (unix(7): `sun_path` is 108 bytes with the NUL).
pub const PATH_BYTES_MAX: usize = 107;

/// A bound control socket that is not served yet. Dropping it removes the socket file.
#[derive(Debug)]
pub struct Door {
    pub(super) listener: Listener,
    pub(super) operators: Gid,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The path does not fit into a socket address.
    #[error(
        "the path of the control socket has {} bytes, {PATH_BYTES_MAX} are possible: {}",
        .0.as_os_str().len(), .0.display()
    )]
    PathTooLong(PathBuf),
    /// Another process answers there.
    #[error("another process answers on {}", .0.display())]
    InUse(PathBuf),
    /// The system refused.
    #[error("cannot {step} the control socket {}: {source}", .path.display())]
    System {
        /// What was tried: `bind`, `remove what is left of`, …
        step: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl Door {
    /// Binds the control socket. To be called with the instance's lock held.
    ///
    /// With `operators`, the socket belongs to that group and has mode 0660: its members may do
    /// everything an operator can. Without, it has mode 0600. Both whatever the umask. A socket
    /// file that nobody answers on is replaced.
    ///
    /// # Errors
    /// See [`BindError`].
    pub fn bind(path: &Path, operators: Option<u32>) -> Result<Self, BindError> {
        if path.as_os_str().len() > PATH_BYTES_MAX {
            return Err(BindError::PathTooLong(path.to_owned()));
        }
        remove_dead(path)?;
        let system = |step| move |source| BindError::System { step, path: path.to_owned(), source };
        let name = path.to_fs_name::<GenericFilePath>().map_err(system("name"))?;
        let listener = ListenerOptions::new()
            .name(name)
            .mode(0o600) // as narrow as can be until owner and mode are right
            .create_sync()
            .map_err(system("bind"))?;
        let group = operators.map(Gid::from_raw);
        // Only where it is another one: chown(2) is among the calls that the unit's filter forbids.
        let stranger = group.filter(|group| *group != getegid());
        if let Some(group) = stranger {
            nix::unistd::chown(path, None, Some(group))
                .map_err(|errno| system("change the group of")(errno.into()))?;
        }
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .map_err(system("change the mode of"))?;
        Ok(Self { listener, operators: group.unwrap_or_else(getgid) })
    }
}

/// Removes a socket file that nobody answers on.
fn remove_dead(path: &Path) -> Result<(), BindError> {
    let step = "remove what is left of";
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|source| BindError::System {
                step,
                path: path.to_owned(),
                source,
            })
        }
        Err(source) => Err(BindError::System { step, path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_mode_does_not_depend_on_the_umask() {
        // The umask of the test process is whatever it is; the mode must be the same in all.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let own_group = getgid().as_raw();
        let door = Door::bind(&path, Some(own_group)).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o660);
        assert_eq!(metadata.gid(), own_group);
        drop(door);
        let _door = Door::bind(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file");
        let _door = Door::bind(&path, None).unwrap();
        assert!(matches!(Door::bind(&path, None), Err(BindError::InUse(_))));
        assert!(UnixStream::connect(&path).is_ok(), "the first still listens");
    }

    #[test]
    fn the_file_goes_with_the_door() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        drop(Door::bind(&path, None).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_long_path_is_refused_in_words() {
        let path = Path::new("/tmp").join("x".repeat(120));
        let error = Door::bind(&path, None).unwrap_err().to_string();
        assert!(error.contains("125 bytes, 107 are possible"), "{error}");
    }
}
