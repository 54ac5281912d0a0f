//! What the machine and the process are allowed: memory and open files.
//!
//! Called for defaults of the configuration, at the start, and by `mqttd status`. Works where
//! most of `/proc` is hidden.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::statvfs::statvfs;
use nix::sys::sysinfo::sysinfo;

/// Least memory the broker allows itself.
const MEMORY_BYTES_MIN: u64 = 64 << 20;

/// Open files that are not client connections: listeners, poll sets, control connections, logs.
const FILES_RESERVED: u64 = 256;

/// Least space of messages that wait.
const QUEUES_BYTES_MIN: u64 = 64 << 20;

/// Half of what is left on the file system of the data directory, with what the broker's own files
/// there take; 64 MiB at least.
pub(super) fn disk_share_bytes(data_dir: &Path) -> u64 {
    let left = statvfs(data_dir).map_or(0, |it| it.blocks_available() * it.fragment_size());
    let files = fs::read_dir(data_dir).into_iter().flatten().flatten();
    let own = files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum::<u64>();
    ((left + own) / 2).max(QUEUES_BYTES_MIN)
}

/// A quarter of the machine's memory, or of what its control group may use; 64 MiB at least.
pub(super) fn memory_share_bytes() -> u64 {
    let machine = sysinfo().map_or(0, |info| info.ram_total());
    let bytes = match cgroup_memory_bytes() {
        Some(limit) if limit < machine => limit,
        Some(_) | None => machine,
    };
    (bytes / 4).max(MEMORY_BYTES_MIN)
}

/// The smallest memory limit of this process's control group and those above it (cgroup v2).
fn cgroup_memory_bytes() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let own = Path::new("/sys/fs/cgroup").join(own);
    let limit = |group: PathBuf| -> Option<u64> {
        let limit = fs::read_to_string(group.join("memory.max")).ok()?;
        limit.trim().parse().ok()
    };
    let groups = own.ancestors().take_while(|group| group.starts_with("/sys/fs/cgroup"));
    groups.filter_map(|group| limit(group.to_owned())).min()
}

/// Open files allowed now.
pub(super) fn open_files_max() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft)
}

/// Raises the limit of open files as far as this process may; where it may not, nothing changes.
pub(super) fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Client connections in force: the smaller of what is configured and what is possible.
pub(super) fn connections_in_force(configured: u64) -> u64 {
    configured.min(connections_possible())
}

/// Client connections possible under the hard limit of open files.
pub(super) fn connections_possible() -> u64 {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard);
    files.saturating_sub(FILES_RESERVED).max(1)
}

/// Resident memory of this process.
pub(super) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| {
        let value = line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?;
        value.parse::<u64>().ok()
    });
    kib.unwrap_or(0) * 1024
}
