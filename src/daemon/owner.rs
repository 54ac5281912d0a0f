//! Who a file belongs to, and the command that opens it: for every "permission denied".

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, geteuid};

/// `owner root:root, mode 0600; this is user mqttd`: of the path, or of the nearest directory
/// above it that exists.
pub(super) fn describe(path: &Path) -> String {
    let me = user_name(geteuid());
    let seen = path.ancestors().find_map(|at| Some((at, fs::metadata(at).ok()?)));
    let Some((at, metadata)) = seen else {
        return format!("this is user {me}");
    };
    let whose = if at == path { "owner".to_owned() } else { format!("owner of {}", at.display()) };
    let user = user_name(Uid::from_raw(metadata.uid()));
    let group = group_name(Gid::from_raw(metadata.gid()));
    let mode = metadata.mode() & 0o7777;
    format!("{whose} {user}:{group}, mode {mode:04o}; this is user {me}")
}

/// What lets this user read a configuration file.
pub(super) fn remedy_to_read(path: &Path) -> String {
    let shown = path.display();
    let me = user_name(geteuid());
    if me == "mqttd" {
        format!("sudo chown root:mqttd {shown} && sudo chmod 0640 {shown}")
    } else {
        "use sudo, or become a member of the file's group".to_owned()
    }
}

/// What gives this user a file, and the one beside it that goes with it.
pub(super) fn remedy_to_write(path: &Path) -> String {
    let me = user_name(geteuid());
    format!("sudo chown {me}: {}*", path.display())
}

/// The name of a user, or its number.
pub(super) fn user_name(uid: Uid) -> String {
    let user = User::from_uid(uid).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

fn group_name(gid: Gid) -> String {
    let group = Group::from_gid(gid).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}
