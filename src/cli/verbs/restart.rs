//! `restart`: never ends a broker for a configuration that would not start.

use super::start::{by_hand, by_systemd, needs_root};
use super::{Errand, stop};
use crate::cli::boot::Failure;
use crate::cli::instance::Instance;
use crate::cli::report::Report;
use crate::cli::systemd::{InCharge, UNIT};

/// Checks, stops, starts.
pub(crate) fn restart(errand: &Errand<'_>) -> Result<Report, Failure> {
    let in_charge = errand.in_charge();
    let mut note = None;
    let found = errand.look();
    if let Instance::Running(alive) = &found {
        let is_unit = alive.about.managed_by == format!("systemd:{UNIT}");
        match (in_charge, is_unit) {
            (InCharge::Systemd, true) => return by_systemd(errand, "restart"),
            (InCharge::SystemdOfRoot, true) => return Err(needs_root("restart")),
            (InCharge::Systemd | InCharge::SystemdOfRoot, false) => {
                note = Some(format!("this instance was {}; {UNIT} is left alone", alive.by()));
            }
            (InCharge::Nobody, _) => {}
        }
        if alive.about.managed_by == "container" {
            return Err(Failure::new(
                crate::cli::Exit::Failed,
                "first_process",
                "mqttd is the container's first process: its end is that of the container",
            )
            .hint("restart the container"));
        }
    } else if in_charge == InCharge::Systemd {
        return by_systemd(errand, "restart");
    } else if in_charge == InCharge::SystemdOfRoot {
        return Err(needs_root("restart"));
    }
    errand.boot.check_config(&errand.place)?;
    would_start(errand)?;
    let stopped = stop(errand)?;
    let mut report = by_hand(errand)?;
    report.notes.splice(0..0, stopped.notes);
    report.notes.splice(0..0, note);
    Ok(report)
}

/// Whether the new one would start, as far as that is to be seen while the old one has the ports.
fn would_start(errand: &Errand<'_>) -> Result<(), Failure> {
    if errand.options.user.is_some() {
        return Ok(()); // the diagnosis is about the configured user
    }
    match errand.boot.diagnose(&errand.place) {
        Some(failure) if failure.problem.code != "address_in_use" => Err(failure),
        _ => Ok(()),
    }
}
