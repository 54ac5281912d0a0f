//! Who may speak: the kernel's word about the other end of a control connection.
//!
//! The mode of the socket file already keeps strangers out; this is the second lock, for a file
//! whose mode somebody loosened.

use interprocess::local_socket::tokio::{Stream, prelude::*};
use nix::unistd::{Gid, Group, Uid, User, geteuid};

/// Whether the peer is root, the daemon's own user, or in the operators' group.
pub(super) fn is_operator(stream: &Stream, operators: Gid) -> bool {
    let Ok(peer) = stream.peer_creds() else {
        return false;
    };
    let Some(uid) = peer.euid().map(Uid::from_raw) else {
        return false;
    };
    if uid.is_root() || uid == geteuid() || peer.egid() == Some(operators.as_raw()) {
        return true;
    }
    let supplementary = peer.pid().and_then(|pid| groups_of(i64::from(pid)));
    match supplementary {
        Some(groups) => groups.contains(&operators.as_raw()),
        None => is_member(uid, operators),
    }
}

/// The groups of a process, from proc(5); `None` where proc hides it.
fn groups_of(pid: i64) -> Option<Vec<u32>> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:"))?;
    Some(line.split_whitespace().filter_map(|group| group.parse().ok()).collect())
}

/// Whether the group database has the user in the group.
fn is_member(uid: Uid, operators: Gid) -> bool {
    let Ok(Some(user)) = User::from_uid(uid) else {
        return false;
    };
    let Ok(Some(group)) = Group::from_gid(operators) else {
        return false;
    };
    user.gid == operators || group.mem.contains(&user.name)
}
