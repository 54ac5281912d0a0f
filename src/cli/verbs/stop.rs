//! `stop`: ask, wait, then insist. Only a process that the kernel names as the one behind the
//! control socket is ever signalled, and only through a descriptor of it.

use std::time::Duration;

use serde_json::Map;

use super::Errand;
use crate::cli::boot::{Exit, Failure};
use crate::cli::deadline::Deadline;
use crate::cli::instance::{Alive, Instance, from_call};
use crate::cli::process::Process;
use crate::cli::report::{Report, Seen, State};
use crate::cli::systemd::{self, InCharge, UNIT};
use crate::control::{CallError, Client};

/// Seconds an orderly stop may take.
pub(super) const STOP_SECS: u64 = 30;

/// Seconds between SIGTERM and SIGKILL, and between SIGKILL and giving up.
const SIGNAL_SECS: u64 = 10;

/// Stops the broker if it runs.
pub(crate) fn stop(errand: &Errand<'_>) -> Result<Report, Failure> {
    let report = match errand.look() {
        Instance::Running(alive) => running(errand, *alive)?,
        Instance::Hung(Some(dialled)) => {
            let process = dialled.pid().and_then(Process::open);
            let mut report = stopped();
            insist(errand, process, &mut report)?;
            report
        }
        Instance::Dead | Instance::Stopped | Instance::Starting(_)
            if is_tried_by_systemd(errand) =>
        {
            systemd::systemctl("stop", errand.limit(STOP_SECS))?;
            stopped()
        }
        Instance::Starting(Some(early)) => by_socket(errand, early.client)?,
        Instance::Dead | Instance::Stopped => {
            Report::of(Seen { state: State::Stopped, ..Seen::default() }, "mqttd is not running")
        }
        Instance::Starting(None) => {
            return Err(Failure::new(
                Exit::Failed,
                "starting",
                "mqttd has no control socket: it is starting or ending",
            )
            .hint("mqttd ping --wait 30, then stop it"));
        }
        other @ (Instance::Hung(None) | Instance::Forbidden(_) | Instance::Strange(_)) => {
            return Err(other.alive().err().unwrap_or_else(nobody));
        }
    };
    Ok(report)
}

fn nobody() -> Failure {
    Failure::new(Exit::Failed, "unknown", "mqttd can not be reached")
}

/// Whether systemd goes on trying to start the unit, and this user may end that.
fn is_tried_by_systemd(errand: &Errand<'_>) -> bool {
    errand.in_charge() == InCharge::Systemd
        && matches!(
            systemd::property("ActiveState").as_str(),
            "activating" | "active" | "reloading"
        )
}

/// Stops an instance that answers, by the one who manages it.
pub(super) fn running(errand: &Errand<'_>, alive: Alive) -> Result<Report, Failure> {
    let is_unit = alive.about.managed_by == format!("systemd:{UNIT}");
    if is_unit && errand.in_charge() == InCharge::Systemd {
        systemd::systemctl("stop", errand.limit(STOP_SECS))?;
        return Ok(stopped());
    }
    by_socket(errand, alive.client)
}

/// Asks over the control socket and waits for the end.
fn by_socket(errand: &Errand<'_>, mut client: Client) -> Result<Report, Failure> {
    let process = client.pid().and_then(Process::open);
    let mut report = stopped();
    match client.call("stop", Map::new()) {
        Ok(_) | Err(CallError::Lost) => {} // lost: it was ending already
        Err(CallError::NoAnswer) if process.is_some() => {
            insist(errand, process, &mut report)?;
            return Ok(report);
        }
        Err(error) => return Err(from_call(error)),
    }
    let limit = errand.limit(STOP_SECS);
    let Some(process) = process else {
        // In another pid namespace: the connection ends with the process.
        let _ = client.set_limit(Some(limit));
        return if client.wait_closed() {
            Ok(report)
        } else {
            Err(survived("it did not end in time, and is out of reach"))
        };
    };
    if !process.wait(&Deadline::after(limit)) {
        insist(errand, Some(process), &mut report)?;
    }
    Ok(report)
}

/// SIGTERM, then SIGKILL, and says so.
fn insist(
    errand: &Errand<'_>,
    process: Option<Process>,
    report: &mut Report,
) -> Result<(), Failure> {
    let Some(process) = process else {
        return Err(survived("which process it is, is not to be found out"));
    };
    let patience = Duration::from_secs(SIGNAL_SECS).min(errand.limit(SIGNAL_SECS));
    let signal = |sent: std::io::Result<()>| match sent {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(Failure::new(
            Exit::Permission,
            "permission_denied",
            "the broker does not answer, and this user may not signal it",
        )
        .hint("sudo mqttd stop")),
        _ => Ok(()), // gone already
    };
    report.notes.push("it did not end by itself: sent SIGTERM".to_owned());
    signal(process.terminate())?;
    if process.wait(&Deadline::after(patience)) {
        return Ok(());
    }
    report.notes.push("it did not obey SIGTERM: killed (SIGKILL)".to_owned());
    signal(process.kill())?;
    report.text = "mqttd is stopped (killed)".to_owned();
    if process.wait(&Deadline::after(Duration::from_secs(SIGNAL_SECS))) {
        Ok(())
    } else {
        Err(survived("it survived SIGKILL"))
    }
}

fn survived(how: &str) -> Failure {
    Failure::new(Exit::Failed, "not_stopped", format!("mqttd is not stopped: {how}"))
}

fn stopped() -> Report {
    let seen = Seen { state: State::Stopped, ..Seen::default() };
    Report { changed: true, ..Report::of(seen, "mqttd is stopped") }
}
