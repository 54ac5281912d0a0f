//! `start`: through systemd or by hand; back when clients can connect.

use serde_json::json;

use super::Errand;
use crate::cli::boot::{Exit, Failure, Spawned};
use crate::cli::deadline::Deadline;
use crate::cli::instance::{Alive, Instance, look};
use crate::cli::meanwhile::Meanwhile;
use crate::cli::report::{Report, Seen};
use crate::cli::status::restored;
use crate::cli::systemd::{self, InCharge, UNIT};

/// Seconds a start may take.
pub(super) const START_SECS: u64 = 60;

/// The daemon's own last lines shown with a failure.
const LAST_WORDS: usize = 5;

/// Starts the broker unless it runs.
pub(crate) fn start(errand: &Errand<'_>) -> Result<Report, Failure> {
    match errand.look() {
        Instance::Running(alive) => return Ok(already(&alive)),
        Instance::Forbidden(problem) if errand.in_charge() != InCharge::SystemdOfRoot => {
            return Err(Failure { exit: Exit::Permission, problem, details: Vec::new() });
        }
        Instance::Hung(_) => {
            return Err(Failure::new(
                Exit::Failed,
                "no_answer",
                "the broker is there and does not answer",
            )
            .hint("mqttd restart ends it and starts a new one"));
        }
        Instance::Forbidden(_)
        | Instance::Strange(_)
        | Instance::Starting(_)
        | Instance::Dead
        | Instance::Stopped => {}
    }
    match errand.in_charge() {
        InCharge::Systemd => by_systemd(errand, "start"),
        InCharge::SystemdOfRoot => Err(needs_root("start")),
        InCharge::Nobody => by_hand(errand),
    }
}

/// The refusal for users who may not ask systemd.
pub(super) fn needs_root(verb: &str) -> Failure {
    Failure::new(
        Exit::Permission,
        "permission_denied",
        format!("needs root: systemd manages mqttd, and {verb} is not for this user"),
    )
    .hint(format!(
        "sudo mqttd {verb} (or sudo systemctl {verb} mqttd); `--home DIR` runs a broker of your own"
    ))
}

/// Starts or restarts the unit and waits until the daemon answers.
pub(super) fn by_systemd(errand: &Errand<'_>, verb: &str) -> Result<Report, Failure> {
    errand.boot.check_config(&errand.place)?;
    let limit = errand.limit(START_SECS);
    let mut meanwhile = Meanwhile::of_start(errand.voice);
    if let Err(failure) = systemd::begin(verb, limit, &mut |text| meanwhile.say(text)) {
        return Err(explained(errand, failure));
    }
    drop(meanwhile);
    match wait_until_answering(errand, &mut Deadline::after(limit)) {
        Some(alive) => Ok(started(&alive)),
        None => Err(explained(
            errand,
            Failure::new(
                Exit::Failed,
                "timeout",
                format!("systemd started mqttd, and it does not answer ({UNIT})"),
            ),
        )),
    }
}

/// Adds the daemon's own reason to what systemd said.
fn explained(errand: &Errand<'_>, mut failure: Failure) -> Failure {
    let mut words = systemd::last_words(LAST_WORDS);
    let status = systemd::property("ExecMainStatus");
    if status == "6" {
        let message = "the configuration is invalid".to_owned();
        return Failure::new(Exit::Config, "config_invalid", message)
            .hint("mqttd check-config")
            .details(words);
    }
    // What is wrong with the store only the daemon knows: nobody else may open it.
    if let Some(sentence) = systemd::last_sentence().filter(|_| status != "0") {
        if status == (Exit::Data as u8).to_string() {
            return Failure::new(Exit::Data, "store_unusable", sentence);
        }
        words.retain(|line| !line.contains(&sentence));
        failure.problem.message = sentence;
    }
    let mut explained = errand.boot.diagnose(&errand.place).unwrap_or(failure);
    if explained.problem.hint.is_none() {
        explained.problem.hint = Some("journalctl -u mqttd shows more".to_owned());
    }
    explained.details.extend(words);
    if systemd::property("ActiveState") == "activating" {
        let going_on = "systemd keeps trying; `mqttd stop` ends that";
        explained.details.push(going_on.to_owned());
    }
    explained
}

/// Starts a daemon of our own.
pub(super) fn by_hand(errand: &Errand<'_>) -> Result<Report, Failure> {
    if std::process::id() == 1 {
        return Err(Failure::new(
            Exit::Failed,
            "first_process",
            "this is the container's first process: `start` would return, and end the container",
        )
        .hint("mqttd foreground"));
    }
    let mut deadline = Deadline::after(errand.limit(START_SECS));
    loop {
        let mut meanwhile = Meanwhile::of_start(errand.voice);
        let mut say = |text: &str| meanwhile.say(text);
        let (place, options) = (&errand.place, &errand.options);
        let spawned = errand.boot.spawn(place, options, deadline.left(), &mut say)?;
        drop(meanwhile);
        let is_new = matches!(spawned, Spawned::Started { .. });
        if is_new {
            deadline = Deadline::after(errand.limit(START_SECS));
        }
        match wait_until_answering(errand, &mut deadline) {
            Some(alive) if is_new => return Ok(started(&alive)),
            Some(alive) => return Ok(already(&alive)),
            // The one that held the lock has gone meanwhile: ours may try.
            None if !is_new && !deadline.passed() => {}
            None => {
                let message = match spawned {
                    Spawned::Started { pid } => {
                        format!("mqttd (pid {pid}) started and does not answer")
                    }
                    Spawned::AlreadyRunning { pid: Some(pid) } => {
                        format!("another mqttd (pid {pid}) is starting and does not answer yet")
                    }
                    Spawned::AlreadyRunning { pid: None } => {
                        "another mqttd is starting and does not answer yet".to_owned()
                    }
                };
                return Err(Failure::new(Exit::Failed, "timeout", message)
                    .hint("mqttd stop ends it; mqttd ping --wait 30 waits for it"));
            }
        }
    }
}

/// Looks until the instance answers; `None` when it is gone or time is up. One that says that its
/// start goes on is waited for longer.
fn wait_until_answering(errand: &Errand<'_>, deadline: &mut Deadline) -> Option<Box<Alive>> {
    let mut meanwhile = Meanwhile::of_start(errand.voice);
    let mut last = String::new();
    loop {
        let found = look(&errand.place, errand.answer_limit());
        let pause = found.pause();
        match found {
            Instance::Running(alive) => return Some(alive),
            Instance::Starting(Some(early)) => {
                if early.says() != last {
                    early.says().clone_into(&mut last);
                    meanwhile.say(&last);
                    *deadline = Deadline::after(errand.limit(START_SECS));
                }
            }
            Instance::Starting(None) | Instance::Hung(_) => {}
            Instance::Dead | Instance::Stopped | Instance::Forbidden(_) | Instance::Strange(_) => {
                return None;
            }
        }
        deadline.wait(None, Some(pause));
        if deadline.passed() {
            return None;
        }
    }
}

fn started(alive: &Alive) -> Report {
    let seen = alive.seen();
    let mut text = format!("mqttd {} is running{}", alive.about.version, pid(&seen));
    let recovered = alive.about.recovered;
    if let Some(restored) = recovered.and_then(|recovered| restored(&recovered)) {
        text += &format!("\nrestored {restored}");
    }
    let result = recovered.map(|recovered| json!({ "recovered": recovered }));
    Report { changed: true, result, ..Report::of(seen, text) }
}

fn already(alive: &Alive) -> Report {
    let seen = alive.seen();
    let text = format!("mqttd is already running{}, {}", pid(&seen), alive.by());
    Report::of(seen, text)
}

fn pid(seen: &Seen) -> String {
    seen.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
