//! The `mqttd` command: argv in, exit code out.
//!
//! Called by `main.rs`, which hands in what boots a broker ([`Boot`]). The verbs talk to a running
//! daemon over `control` in the words of `admin`; only `pub` and `sub` speak MQTT themselves.
//! Nothing here knows a shard or a configuration key.

mod args;
mod boot;
mod codes;
mod confirm;
mod console;
mod deadline;
mod instance;
mod keep;
mod meanwhile;
mod mqtt;
mod nouns;
mod process;
mod render;
mod report;
mod signals;
mod status;
mod systemd;
mod table;
mod verbs;

use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Subcommand};

use crate::admin::NOUNS;
use args::{Globals, Line, Verb};
use report::{Report, Voice, complain};
use verbs::Errand;

pub use boot::{
    Boot, BootOptions, Checked, Exit, Failure, Kept, Repaired, Restored, Running, Selection, Sound,
    Spawned, TakeError,
};
pub use codes::CODES;
pub use render::grouped;
pub use report::stderr_is_journal;

/// The whole command line as clap sees it: for parsing, man pages and completions.
#[must_use]
pub fn command() -> Command {
    nouns::add_to(Line::command(), NOUNS)
}

/// Reads argv, acts, and returns the exit code.
#[must_use]
pub fn run(boot: &dyn Boot) -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    let exit = match command().try_get_matches_from(&argv) {
        Ok(matches) => act(boot, &matches),
        Err(error) => {
            let json = argv.iter().any(|arg| arg == "--json");
            refuse(&error, json)
        }
    };
    ExitCode::from(exit as u8)
}

/// Help and version are results; the rest is wrong use.
fn refuse(error: &clap::Error, json: bool) -> Exit {
    let is_result = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if json && !is_result {
        let text = error.render().to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("wrong use");
        let message = first.strip_prefix("error: ").unwrap_or(first);
        let failure = Failure::new(Exit::Usage, "usage", message).hint("mqttd help");
        return Voice { json, quiet: false }.say("usage", &Report::from(failure));
    }
    match error.print() {
        Err(error) if is_result && error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("mqttd: cannot write to standard output: {error}\n"));
            Exit::Failed
        }
        _ if is_result => Exit::Done,
        _ => Exit::Usage,
    }
}

/// Does what the command line says.
fn act(boot: &dyn Boot, matches: &ArgMatches) -> Exit {
    let globals = Globals::from_arg_matches(matches).unwrap_or_default();
    let voice = Voice { json: globals.json, quiet: globals.quiet };
    let place = match instance::place(&globals) {
        Ok(place) => place,
        Err(failure) => return voice.say(&action(matches), &failure.into()),
    };
    let mut errand = Errand {
        boot,
        place,
        voice,
        timeout: globals.timeout.map(Duration::from_secs),
        by_hand: globals.no_systemd || is_set("MQTTD_NO_SYSTEMD"),
        options: BootOptions::default(),
    };
    perform(&mut errand, matches)
}

/// Does one verb and says what came of it.
fn perform(errand: &mut Errand<'_>, matches: &ArgMatches) -> Exit {
    let (mut action, voice) = (action(matches), errand.voice);
    let is_verb = matches.subcommand_name().is_some_and(Verb::has_subcommand);
    let meant = if is_verb { None } else { nouns::call_of(matches, NOUNS) };
    let done = match meant {
        Some(meant) => {
            meant.call.name.clone_into(&mut action);
            verbs::ask(errand, meant)
        }
        None => match Verb::from_arg_matches(matches) {
            Ok(verb) => go(errand, verb),
            Err(error) => return refuse(&error, voice.json),
        },
    };
    let report = done.unwrap_or_else(|failure| {
        let mut report = Report::from(failure);
        if voice.json {
            report.seen = errand.look().seen();
        }
        report
    });
    voice.say(&action, &report)
}

fn go(errand: &mut Errand<'_>, verb: Verb) -> Result<Report, Failure> {
    match verb {
        Verb::Start(boot) => {
            errand.options.user = boot.user;
            verbs::start(errand)
        }
        Verb::Stop => verbs::stop(errand),
        Verb::Restart(boot) => {
            errand.options.user = boot.user;
            verbs::restart(errand)
        }
        Verb::Console(boot) => {
            errand.options.user = boot.user;
            console::console(errand)
        }
        Verb::Foreground(boot) => {
            errand.options.user = boot.user;
            errand.boot.foreground(&errand.place, &errand.options)?;
            Ok(Report { changed: true, seen: errand.look().seen(), ..Report::default() })
        }
        Verb::Ping { wait } => verbs::ping(errand, wait),
        Verb::Status => verbs::status(errand),
        Verb::Reload => verbs::reload(errand),
        Verb::CheckConfig { dump } => verbs::check_config(errand, dump),
        Verb::Version { daemon } => verbs::version(errand, daemon),
        Verb::Pub(args) => mqtt::publish(errand, &args),
        Verb::Sub(args) => mqtt::subscribe(errand, &args),
        Verb::Backup { file } => keep::backup(errand, &file),
        Verb::Restore(args) => keep::restore(errand, &args),
        Verb::Export(args) => keep::export(errand, &args),
        Verb::Import(args) => keep::import(errand, &args),
        Verb::Store(verb) => keep::store(errand, verb),
    }
}

/// The verb as the `action` of `--json`, e.g. `start` or `clients.list`.
fn action(matches: &ArgMatches) -> String {
    let mut words = Vec::new();
    let mut at = matches.subcommand();
    while let Some((word, deeper)) = at {
        words.push(word);
        at = deeper.subcommand();
    }
    words.join(".")
}

/// Whether a variable says yes.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}
