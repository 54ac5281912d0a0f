//! What one key alone cannot tell: values that contradict each other or the machine.
//!
//! Errors are found by [`super::load`]; warnings are for `mqttd check-config` and the log at the
//! start.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use nix::unistd::User;

use super::{ConfigError, Durability, Loaded, LogTarget};
use crate::control::Place;

/// What cannot work.
pub(super) fn errors(loaded: &Loaded) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let addresses = &loaded.config.tcp;
    for (index, address) in addresses.iter().enumerate() {
        let earlier = &addresses[..index];
        if let Some(other) = earlier.iter().find(|other| overlap(**other, *address)) {
            let what = format!("{other} and {address} cannot both be listened on");
            errors.extend(at(loaded, "listener.tcp.address", what, "the one covers the other"));
        }
    }
    if loaded.config.draining && loaded.config.directions.server_reference.is_none() {
        let what = "there is no other server to send clients to".to_owned();
        errors.extend(at(loaded, "redirect.when", what, "set redirect.server_reference too"));
    }
    errors.extend(listed_twice(loaded));
    errors
}

/// A topic filter of two classes.
fn listed_twice(loaded: &Loaded) -> Vec<ConfigError> {
    let store = &loaded.config.store;
    let lists = [
        ("store.disk_topics", &store.disk_topics),
        ("store.os_topics", &store.os_topics),
        ("store.memory_topics", &store.memory_topics),
    ];
    let mut errors = Vec::new();
    for (number, (key, filters)) in lists.iter().enumerate() {
        for filter in *filters {
            let earlier = lists[..number].iter().find(|(_, others)| others.contains(filter));
            if let Some((other, _)) = earlier {
                let what = format!("{filter:?} is in {other} too");
                errors.extend(at(loaded, key, what, "a topic filter has one class"));
            }
        }
    }
    errors
}

/// What works and still looks wrong, one line each.
#[must_use]
pub fn warnings(loaded: &Loaded, place: &Place) -> Vec<String> {
    let mut warnings = Vec::new();
    let config = &loaded.config;
    let limits = &config.limits;
    if u64::from(limits.packet_bytes_max) > limits.memory_bytes_max / 4 {
        warnings.extend(at(
            loaded,
            "limits.packet_bytes_max",
            "a packet of this size cannot come in: incomplete packets may hold a quarter of \
             limits.memory_bytes_max"
                .to_owned(),
            "raise limits.memory_bytes_max to four times this",
        ));
    }
    let in_memory = config.store.durability == Durability::Memory;
    if in_memory && limits.queue_bytes_max > limits.memory_bytes_max {
        warnings.extend(at(
            loaded,
            "session.queue_bytes_max",
            "the queue of one session exceeds limits.memory_bytes_max".to_owned(),
            "the smaller one decides",
        ));
    }
    let mut warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    warnings.extend(machine(loaded));
    warnings.extend(files(loaded, place));
    warnings
}

/// Limits of the process.
fn machine(loaded: &Loaded) -> Option<String> {
    let origin = loaded.origin("limits.connections_max")?;
    let possible = crate::daemon::machine::connections_possible();
    (loaded.config.connections_max > possible).then(|| {
        format!(
            "{origin}: limits.connections_max: the limit of open files allows {possible} \
             connections; raise LimitNOFILE= of the unit, or `ulimit -n`"
        )
    })
}

/// Files and users that are named.
fn files(loaded: &Loaded, place: &Place) -> Vec<String> {
    let mut warnings = Vec::new();
    let config = &loaded.config;
    if let Some(origin) = loaded.origin("server.user") {
        let known = User::from_name(&config.user).ok().flatten().is_some();
        if !known {
            warnings.push(format!("{origin}: server.user: there is no user {:?}", config.user));
        }
    }
    let Some(origin) = loaded.origin("log.file") else {
        return warnings;
    };
    let file = place.log_dir.join(&config.log.file);
    if !matches!(config.log.target, LogTarget::File | LogTarget::Auto) {
        let target = config.log.target.word();
        warnings.push(format!("{origin}: log.file: is not used, log.target is {target:?}"));
    } else if !file.parent().is_some_and(Path::is_dir) {
        let directory = file.parent().unwrap_or(&file).display();
        warnings.push(format!("{origin}: log.file: there is no directory {directory}"));
    } else if place.home.is_none() && hidden_from_service(&file) {
        warnings.push(format!(
            "{origin}: log.file: the service does not see {}; use a place below {}",
            file.display(),
            place.log_dir.display()
        ));
    }
    warnings
}

/// What `ProtectHome=`, `PrivateTmp=` and `ProtectSystem=strict` keep from the service.
fn hidden_from_service(file: &Path) -> bool {
    let open = ["/var/lib/mqttd", "/var/log/mqttd", "/run/mqttd"];
    !open.iter().any(|directory| file.starts_with(directory))
}

/// Whether listening on one keeps the other from being listened on. `[::]` is for IPv6 only.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_family = one.is_ipv4() == other.is_ipv4();
    let any = |ip: IpAddr| ip.is_unspecified();
    let covered = any(one.ip()) || any(other.ip()) || one.ip() == other.ip();
    one.port() != 0 && one.port() == other.port() && same_family && covered
}

fn at(loaded: &Loaded, key: &str, what: String, hint: &str) -> Option<ConfigError> {
    let origin = loaded.origin(key)?;
    Some(ConfigError {
        file: origin.file.clone(),
        place: Some((origin.line, origin.column)),
        key: Some(key.to_owned()),
        what,
        hint: Some(hint.to_owned()),
    })
}
