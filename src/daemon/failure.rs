//! What goes wrong in the life of the process, in words: code, message, way out, exit code.
//!
//! The codes are stable and listed in mqttd(8).

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;

use super::config::ConfigError;
use super::holder::port_holder;
use super::owner;
use crate::cli::{Exit, Failure};
use crate::control::Place;
use crate::store::StoreError;

/// The system refused something that has to do with a file or directory.
pub(super) fn with_file(what: &str, path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    if error.kind() == ErrorKind::PermissionDenied {
        let whose = owner::describe(path);
        let message = format!("cannot {what} {shown}: permission denied ({whose})");
        return Failure::new(Exit::Permission, "permission_denied", message)
            .hint("use sudo, or a --home DIR that is yours");
    }
    Failure::new(Exit::Failed, "system", format!("cannot {what} {shown}: {error}"))
}

/// The system refused something else.
pub(super) fn system(what: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, "system", format!("cannot {what}: {error}"))
}

/// The configuration is not valid.
pub(super) fn configuration(errors: &[ConfigError]) -> Failure {
    let Some((first, more)) = errors.split_first() else {
        return Failure::new(Exit::Config, "config_invalid", "the configuration is not valid");
    };
    let mut failure = Failure::new(Exit::Config, "config_invalid", first.message());
    failure.problem.hint.clone_from(&first.hint);
    failure.details(more.iter().map(ToString::to_string).collect())
}

/// A port could not be opened.
pub(super) fn listen(address: SocketAddr, error: &io::Error, place: &Place) -> Failure {
    let file = place.config_file.display();
    let change = format!("change [listener.tcp] address in {file}");
    let cannot = format!("cannot listen on {address}");
    let failed = |code, message| Failure::new(Exit::Failed, code, message);
    if error.kind() == ErrorKind::AddrInUse {
        return match port_holder(address) {
            Some((name, pid)) => failed(
                "address_in_use",
                format!("{cannot}: address already in use ({name}, pid {pid})"),
            )
            .hint(format!("stop it ({}) or {change}", stop_command(pid))),
            None => {
                failed("address_in_use", format!("{cannot}: address already in use")).hint(format!(
                    "`sudo ss -ltnp sport = :{}` shows who has it; stop it or {change}",
                    address.port()
                ))
            }
        };
    }
    if error.kind() == ErrorKind::AddrNotAvailable {
        return failed(
            "address_not_available",
            format!("{cannot}: no interface of this machine has that address"),
        )
        .hint(change);
    }
    if error.kind() == ErrorKind::PermissionDenied {
        let message = format!("{cannot}: ports below 1024 are for root");
        return Failure::new(Exit::Permission, "permission_denied", message)
            .hint(format!("use sudo or {change}"));
    }
    failed("cannot_listen", format!("{cannot}: {error}")).hint(change)
}

/// The store could not be opened or read.
pub(super) fn store(error: &StoreError) -> Failure {
    let failed = |code| Failure::new(Exit::Failed, code, error.to_string());
    // Trying again would not mend it.
    let for_good = |code| Failure::new(Exit::Data, code, error.to_string());
    match error {
        StoreError::Full { .. } => failed("store_full").hint("make space on that disk"),
        StoreError::Failed { .. } => failed("store_failed")
            .hint("look at the disk (dmesg); `mqttd store repair` saves what can be read"),
        // What is sound can be kept: the error says how.
        StoreError::Damaged { .. } => {
            for_good("store_damaged").hint("`mqttd restore FILE` takes a backup instead")
        }
        StoreError::InUse { .. } => failed("store_in_use").hint("stop the process that uses it"),
        StoreError::Newer { .. } => for_good("store_newer")
            .hint("install the version of mqttd that wrote it, or a later one"),
        StoreError::Foreign { .. } => for_good("store_foreign").hint(
            "if it was one, `mqttd store repair` keeps what is sound; once it is moved away, mqttd \
             begins with nothing kept",
        ),
        StoreError::Exists { .. } => failed("store_failed"),
    }
}

/// How to stop the process that holds a port: its unit, if systemd started it.
fn stop_command(pid: u32) -> String {
    match super::surroundings::unit_of(&pid.to_string()) {
        Some(unit) => format!("sudo systemctl stop {}", unit.trim_end_matches(".service")),
        None => format!("kill {pid}"),
    }
}

/// Somebody asked for the end before the broker was up.
pub(super) fn ended_early() -> Failure {
    Failure::new(Exit::Failed, "died", "the broker was stopped while it was starting")
}

/// What cannot be.
pub(super) fn fault(what: &str) -> Failure {
    Failure::new(Exit::Failed, "internal", format!("{what}: this is a fault of mqttd"))
        .hint("its log says more")
}

/// Another process has the instance's lock.
pub(super) fn already_running(pid: Option<u32>, place: &Place) -> Failure {
    let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let message = format!("mqttd is already running{who} with {}", place.data_dir.display());
    Failure::new(Exit::Failed, "already_running", message)
        .hint("stop it first, or use --home DIR for another instance")
}

/// One line for people: `message; hint`.
pub(super) fn sentence(failure: &Failure) -> String {
    match &failure.problem.hint {
        Some(hint) => format!("{}; {hint}", failure.problem.message),
        None => failure.problem.message.clone(),
    }
}
