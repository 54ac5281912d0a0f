//! `console`: a prompt on the running broker, or on one booted for it.
//!
//! What a line means is decided by the same tables and functions as the command line. Lines from a
//! pipe are a script: no prompt, and the first that fails ends it.

mod complete;
mod live;
mod tree;
mod words;

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{ArgMatches, FromArgMatches};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use super::args::{BootArgs, Globals};
use super::boot::{Exit, Failure, Running};
use super::instance::Instance;
use super::meanwhile::Meanwhile;
use super::report::{Report, Voice, complain, print};
use super::signals::Signals;
use super::verbs::Errand;
use complete::Tab;
use live::Switch;

const PROMPT: &str = "mqttd> ";

/// Lines remembered.
const HISTORY_LINES: usize = 1000;

/// Joins the running broker or boots one, and takes lines until it is left.
pub(super) fn console(errand: &mut Errand<'_>) -> Result<Report, Failure> {
    // Threads begun from here on leave Ctrl-C to the commands of this one.
    let threads = Signals::interrupt();
    let mut booted = None;
    let greeting = match errand.look() {
        Instance::Running(alive) => format!(
            "mqttd {}, pid {}, {}. Leaving (exit, Ctrl-D) does not stop it.",
            alive.about.version,
            alive.about.pid,
            alive.by()
        ),
        Instance::Dead | Instance::Stopped => {
            let mut meanwhile = Meanwhile::new(errand.voice);
            let mut say = |text: &str| meanwhile.say(text);
            let running = errand.boot.console(&errand.place, &errand.options, &mut say)?;
            drop(meanwhile);
            let pid = running.pid();
            booted = Some(Booted::new(running));
            format!(
                "mqttd {}, pid {pid}, booted by this console. Leaving (exit, Ctrl-D) stops it.",
                env!("CARGO_PKG_VERSION")
            )
        }
        other @ (Instance::Hung(_)
        | Instance::Starting(_)
        | Instance::Forbidden(_)
        | Instance::Strange(_)) => {
            return Err(other.alive().err().unwrap_or_else(unreachable));
        }
    };
    let is_booted = booted.is_some();
    let mut shell = Shell { errand, tree: tree::tree(), log: None, booted: booted.clone() };
    let exit = if std::io::stdin().is_terminal() {
        shell.say(&format!("{greeting}\nhelp lists the commands; Tab completes them."));
        shell.prompt(threads)?
    } else {
        if is_booted {
            complain(&format!("{greeting}\n"));
        }
        drop(threads);
        shell.script()
    };
    leave(booted, errand.voice)?;
    Ok(Report { spoken: true, exit_as: Some(exit), ..Report::default() })
}

fn unreachable() -> Failure {
    Failure::new(Exit::Failed, "unknown", "mqttd can not be reached")
}

/// The broker of this console. Whoever takes it stops it: the prompt that is left, or the live log
/// when the broker was stopped by something else.
#[derive(Clone)]
struct Booted(Arc<Mutex<Option<Box<dyn Running>>>>);

impl Booted {
    fn new(running: Box<dyn Running>) -> Self {
        Self(Arc::new(Mutex::new(Some(running))))
    }

    fn take(&self) -> Option<Box<dyn Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Stops the broker that was booted for the console.
fn leave(booted: Option<Booted>, voice: Voice) -> Result<(), Failure> {
    let Some(running) = booted.and_then(|booted| booted.take()) else { return Ok(()) };
    if !voice.quiet {
        complain("mqttd: stopping the broker of this console\n");
    }
    running.stop()
}

/// What a line leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The next line, after this exit code.
    Line(Exit),
    /// The end.
    Leave,
}

struct Shell<'e, 'b> {
    errand: &'e mut Errand<'b>,
    tree: clap::Command,
    log: Option<Switch>,
    booted: Option<Booted>,
}

impl Shell<'_, '_> {
    /// Lines from a person.
    fn prompt(&mut self, threads: Signals) -> Result<Exit, Failure> {
        let failed = |error: ReadlineError| {
            let message = format!("no prompt on this terminal: {error}");
            Failure::new(Exit::Failed, "terminal", message)
        };
        let config = Config::builder()
            .max_history_size(HISTORY_LINES)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(failed)?
            .history_ignore_space(true)
            .auto_add_history(true)
            .completion_type(rustyline::CompletionType::List)
            .build();
        let mut editor: Editor<Tab, FileHistory> = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Tab::new(self.tree.clone(), self.errand.place.socket())));
        let history = history_file();
        if let Some(path) = &history {
            let _ = editor.load_history(path); // there may be none yet
        }
        if let Ok(printer) = editor.create_external_printer() {
            self.log = Some(live::show(&self.errand.place, printer, self.booted.clone()));
        }
        drop(threads);
        loop {
            match editor.readline(PROMPT) {
                Ok(line) => {
                    if let Some(path) = &history {
                        let _ = editor.save_history(path);
                    }
                    if self.line(&line) == Next::Leave {
                        return Ok(Exit::Done);
                    }
                }
                Err(ReadlineError::Interrupted) => self.say("exit or Ctrl-D leaves"),
                Err(ReadlineError::Eof) => return Ok(Exit::Done),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Lines from a pipe or a file, up to the first that fails.
    fn script(&mut self) -> Exit {
        for line in std::io::stdin().lock().lines() {
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    complain(&format!("mqttd: cannot read the script: {error}\n"));
                    return Exit::Failed;
                }
            };
            match self.line(&line) {
                Next::Line(Exit::Done) => {}
                Next::Line(exit) => return exit,
                Next::Leave => break,
            }
        }
        Exit::Done
    }

    fn line(&mut self, line: &str) -> Next {
        let words = match words::words(line) {
            Ok(words) => words,
            Err(error) => {
                complain(&format!("mqttd: {error}\n"));
                return Next::Line(Exit::Usage);
            }
        };
        let words = match words.split_first() {
            Some((first, rest)) if first == "mqttd" => rest,
            _ => &words[..],
        };
        if words.is_empty() {
            return Next::Line(Exit::Done);
        }
        let matches = match self.tree.clone().try_get_matches_from(words) {
            Ok(matches) => matches,
            Err(error) => {
                return Next::Line(super::refuse(&error, self.errand.voice.json));
            }
        };
        match matches.subcommand() {
            Some(("exit", _)) => Next::Leave,
            Some(("log", log)) if matches!(log.subcommand_name(), Some("on" | "off")) => {
                if let Some(switch) = &self.log {
                    switch.set(log.subcommand_name() == Some("on"));
                }
                Next::Line(Exit::Done)
            }
            Some(("log", log)) if self.log.is_some() && log.subcommand_name() == Some("tail") => {
                self.say("the log is shown above the prompt: log off, log on");
                Next::Line(Exit::Done)
            }
            Some(("pub", given)) if reads_input(given) => {
                complain("mqttd: standard input is the console's here: give -m, -f or -n\n");
                Next::Line(Exit::Usage)
            }
            Some(("stop", _)) if self.booted.is_some() => Next::Leave,
            Some(("restart", given)) => {
                Next::Line(self.restart(BootArgs::from_arg_matches(given).unwrap_or_default()))
            }
            _ => Next::Line(self.verb(&matches)),
        }
    }

    /// A verb of the command line, with the voice the line asks for.
    fn verb(&mut self, matches: &ArgMatches) -> Exit {
        let given = Globals::from_arg_matches(matches).unwrap_or_default();
        if given.home.is_some() || given.config.is_some() {
            complain("mqttd: a console is about one instance: leave it, then --home or --config\n");
            return Exit::Usage;
        }
        let before = (self.errand.voice, self.errand.timeout);
        self.errand.voice.json |= given.json;
        self.errand.voice.quiet |= given.quiet;
        if let Some(secs) = given.timeout {
            self.errand.timeout = Some(std::time::Duration::from_secs(secs));
        }
        let exit = super::perform(self.errand, matches);
        (self.errand.voice, self.errand.timeout) = before;
        exit
    }

    /// Restarts from a process of its own: this one has threads, and must not fork.
    fn restart(&self, given: BootArgs) -> Exit {
        if self.booted.is_some() {
            complain("mqttd: this broker lives in the console: leave, and open another\n");
            return Exit::Failed;
        }
        let place = &self.errand.place;
        let program = std::env::current_exe().unwrap_or_else(|_| "mqttd".into());
        let mut command = std::process::Command::new(program);
        command.arg("restart");
        if let Some(home) = &place.home {
            command.arg("--home").arg(home);
        }
        if !place.config_optional {
            command.arg("--config").arg(&place.config_file);
        }
        if self.errand.by_hand {
            command.arg("--no-systemd");
        }
        if let Some(user) = given.user {
            command.arg("--user").arg(user);
        }
        match command.status() {
            Ok(status) => Exit::from_code(status.code()),
            Err(error) => {
                complain(&format!("mqttd: cannot run the command: {error}\n"));
                Exit::Failed
            }
        }
    }

    fn say(&self, text: &str) {
        if !self.errand.voice.quiet && !self.errand.voice.json {
            let _ = print(&format!("{text}\n"));
        }
    }
}

/// Whether `pub` would read its payload from standard input.
fn reads_input(given: &ArgMatches) -> bool {
    !given.contains_id("message") && !given.contains_id("file") && !given.get_flag("empty")
}

/// Where the lines are remembered: in the user's state directory, readable by nobody else.
fn history_file() -> Option<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(set("HOME")?.join(".local/state")))?;
    let dir = state.join("mqttd");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).ok()?;
    Some(dir.join("history"))
}
