//! What a verb has to say, and how it is said: text for people, one JSON object for programs.
//!
//! Results go to stdout, everything else to stderr. A reader that goes away (`| head`) is no
//! error; a disk that is full is.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use serde::Serialize;
use serde_json::Value;

use super::boot::{Exit, Failure};
use crate::admin::Problem;

/// What is known of the instance after the verb.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) state: State,
    pub(super) pid: Option<u32>,
    pub(super) managed_by: Option<String>,
    /// Version of the running daemon.
    pub(super) version: Option<String>,
}

/// State of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It answers.
    Running,
    /// It exists and does not answer yet.
    Starting,
    /// It exists and does not answer.
    Hung,
    /// It died and left its files.
    Dead,
    /// There is none.
    Stopped,
    /// Not to be seen with this user's rights, or not looked at.
    #[default]
    Unknown,
}

/// The outcome of a verb.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) changed: bool,
    pub(super) seen: Seen,
    /// For programs.
    pub(super) result: Option<Value>,
    /// For people, on stdout; without the last newline.
    pub(super) text: String,
    /// For people, on stderr; one line each.
    pub(super) notes: Vec<String>,
    /// What went wrong.
    pub(super) failure: Option<Failure>,
    /// The text says already what went wrong.
    pub(super) told: bool,
    /// Everything has been said, line by line: nothing is to follow unless it failed.
    pub(super) spoken: bool,
    /// Exit code, when it is not that of the failure.
    pub(super) exit_as: Option<Exit>,
}

/// The object `--json` prints.
#[derive(Serialize)]
struct Object<'a> {
    ok: bool,
    action: &'a str,
    changed: bool,
    state: State,
    pid: Option<u32>,
    managed_by: Option<&'a str>,
    version: &'a str,
    error: Option<Fault<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Value>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

#[derive(Serialize)]
struct Fault<'a> {
    code: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    details: &'a [String],
}

/// How to say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Voice {
    /// `--json`.
    pub(super) json: bool,
    /// `--quiet`.
    pub(super) quiet: bool,
}

impl Report {
    /// A result for people and programs.
    pub(super) fn of(seen: Seen, text: impl Into<String>) -> Self {
        Self { seen, text: text.into(), ..Self::default() }
    }

    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        self.exit_as
            .unwrap_or_else(|| self.failure.as_ref().map_or(Exit::Done, |failure| failure.exit))
    }
}

impl From<Failure> for Report {
    fn from(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

impl Voice {
    /// Says a report and gives the exit code: the report's, or 1 when it could not be said.
    pub(super) fn say(self, action: &str, report: &Report) -> Exit {
        let exit = report.exit();
        let said = if report.spoken && report.failure.is_none() {
            Ok(())
        } else if self.json {
            print(&Self::object(action, report))
        } else {
            self.say_text(report)
        };
        match said {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit,
            Err(error) => {
                complain(&format!("mqttd: cannot write to standard output: {error}\n"));
                if exit == Exit::Done { Exit::Failed } else { exit }
            }
            Ok(()) => exit,
        }
    }

    /// The object `--json` prints, as its line.
    pub(super) fn object(action: &str, report: &Report) -> String {
        let object = Object {
            ok: report.failure.is_none(),
            action,
            changed: report.changed,
            state: report.seen.state,
            pid: report.seen.pid,
            managed_by: report.seen.managed_by.as_deref(),
            version: report.seen.version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION")),
            error: report.failure.as_ref().map(|failure| Fault {
                code: &failure.problem.code,
                message: &failure.problem.message,
                hint: failure.problem.hint.as_deref(),
                details: &failure.details,
            }),
            result: report.result.as_ref(),
            notes: &report.notes,
        };
        let mut line = serde_json::to_string(&object).unwrap_or_default();
        line.push('\n');
        line
    }

    fn say_text(self, report: &Report) -> io::Result<()> {
        let said = if report.text.is_empty() || self.quiet {
            Ok(())
        } else {
            print(&format!("{}\n", report.text))
        };
        if !self.quiet {
            for note in &report.notes {
                complain(&format!("mqttd: {note}\n"));
            }
        }
        if let Some(failure) = report.failure.as_ref().filter(|_| !report.told) {
            complain(&told(failure));
        } else if let Some(hint) =
            report.failure.as_ref().and_then(|failure| failure.problem.hint.as_ref())
        {
            complain(&format!("hint: {hint}\n"));
        }
        said
    }
}

/// A failure as lines for people. In the journal, where lines of others come between, the hint stands
/// in the first one.
pub(super) fn told(failure: &Failure) -> String {
    if let Some(hint) = &failure.problem.hint
        && stderr_is_journal()
    {
        let message = format!("{}; {hint}", failure.problem.message);
        let problem = Problem { message, hint: None, ..failure.problem.clone() };
        return told(&Failure { problem, ..failure.clone() });
    }
    let mut lines = format!("mqttd: {}\n", failure.problem.message);
    for detail in &failure.details {
        lines.push_str(&format!("  {detail}\n"));
    }
    if let Some(hint) = &failure.problem.hint {
        lines.push_str(&format!("hint: {hint}\n"));
    }
    lines
}

/// Writes to stdout at once.
pub(super) fn print(text: &str) -> io::Result<()> {
    print_bytes(text.as_bytes())
}

/// Writes to stdout at once.
pub(super) fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Writes to stderr; there is nobody to tell when that fails. In the journal it is an error, not
/// one of the lines that are for information (sd-daemon(3), `SD_ERR`).
pub(super) fn complain(text: &str) {
    write(text, "<3>");
}

/// The same for what is no error (`SD_INFO`).
pub(super) fn remark(text: &str) {
    write(text, "<6>");
}

fn write(text: &str, level: &str) {
    let mut text = text.to_owned();
    if stderr_is_journal() {
        text = text.lines().map(|line| format!("{level}{line}\n")).collect();
    }
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether standard error leads to systemd's journal (systemd.exec(5), `$JOURNAL_STREAM`).
#[must_use]
pub fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}
