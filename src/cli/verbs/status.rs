//! `ping`, `status`, `version`: looking without touching.

use std::time::Duration;

use serde_json::{Map, json};

use super::Errand;
use crate::cli::boot::{Exit, Failure};
use crate::cli::deadline::Deadline;
use crate::cli::instance::Instance;
use crate::cli::render;
use crate::cli::report::{Report, Seen};
use crate::cli::systemd::{self, InCharge};
use crate::control::{CallError, Client, ConnectError};

/// Whether it answers; within `wait` when given.
pub(crate) fn ping(errand: &Errand<'_>, wait: Option<u64>) -> Result<Report, Failure> {
    let deadline = Deadline::after(Duration::from_secs(wait.unwrap_or(0)));
    loop {
        let found = if errand.voice.json {
            errand.look()
        } else {
            match quick_ping(errand) {
                Ok(()) => return Ok(Report::of(Seen::default(), "pong")),
                Err(found) => found,
            }
        };
        let forbidden = matches!(found, Instance::Forbidden(_));
        let pause = found.pause();
        match found.for_status() {
            Ok(mut alive) => {
                alive.call("ping", Map::new())?;
                return Ok(Report::of(alive.seen(), "pong"));
            }
            Err(failure) if wait.is_none() || forbidden || deadline.passed() => {
                return Err(failure);
            }
            Err(_) => {
                deadline.wait(None, Some(pause));
            }
        }
    }
}

/// Asks for nothing but the pong; what else there is, only when that fails.
fn quick_ping(errand: &Errand<'_>) -> Result<(), Instance> {
    match Client::connect(&errand.place.socket(), errand.answer_limit()) {
        Ok(mut client) => match client.call("ping", Map::new()) {
            Ok(_) => Ok(()),
            Err(CallError::NoAnswer) => Err(Instance::Hung(None)),
            Err(CallError::Problem(_) | CallError::Lost) => Err(errand.look()),
        },
        Err(ConnectError::NoAnswer) => Err(Instance::Hung(None)),
        Err(_) => Err(errand.look()),
    }
}

/// How it is doing.
pub(crate) fn status(errand: &Errand<'_>) -> Result<Report, Failure> {
    let found = errand.look();
    let seen = found.seen();
    match found.for_status() {
        Ok(mut alive) => {
            let status = alive.call("status", Map::new())?;
            let mut report = Report::of(alive.seen(), render::reply("status", &status));
            if alive.about.version != env!("CARGO_PKG_VERSION") {
                report.notes.push(differs(&alive.about.version));
            }
            report.result = Some(status);
            Ok(report)
        }
        Err(failure) => Ok(Report {
            told: is_known(&failure),
            text: if !is_known(&failure) {
                String::new()
            } else {
                let text = failure.problem.message.replacen("the broker", "mqttd", 1);
                text + &why_not(errand)
            },
            seen,
            failure: Some(failure),
            ..Report::default()
        }),
    }
}

/// Whether it is known how it stands with the broker, so that this is the answer and no error.
fn is_known(failure: &Failure) -> bool {
    matches!(failure.exit, Exit::Stopped | Exit::Failed) || failure.problem.code == "starting"
}

/// Why the service does not start, where it said so.
fn why_not(errand: &Errand<'_>) -> String {
    let is_unit = errand.in_charge() != InCharge::Nobody;
    let has_failed =
        || matches!(systemd::property("ActiveState").as_str(), "failed" | "activating");
    let sentence = if is_unit && has_failed() { systemd::last_sentence() } else { None };
    sentence.map(|sentence| format!(": {sentence}")).unwrap_or_default()
}

/// Versions of the command and of the daemon.
pub(crate) fn version(errand: &Errand<'_>, daemon_only: bool) -> Result<Report, Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let found = Client::connect(&errand.place.socket(), errand.answer_limit());
    let daemon = match &found {
        Ok(client) => Some(client.version().to_owned()),
        Err(ConnectError::Protocol { daemon, .. }) => Some(daemon.clone()),
        Err(_) => None,
    };
    drop(found);
    let seen = if errand.voice.json { errand.look().seen() } else { Seen::default() };
    if daemon_only && daemon.is_none() {
        errand.alive()?;
    }
    let mut report = Report::of(
        seen,
        match (&daemon, daemon_only) {
            (Some(daemon), true) => daemon.clone(),
            _ => format!("mqttd {own}"),
        },
    );
    report.result = Some(json!({ "command": own, "daemon": daemon }));
    if let Some(daemon) = daemon.filter(|daemon| daemon != own) {
        report.notes.push(differs(&daemon));
    }
    Ok(report)
}

fn differs(daemon: &str) -> String {
    format!(
        "the running broker is {daemon}, this command {}; `sudo mqttd restart` makes them one",
        env!("CARGO_PKG_VERSION")
    )
}
