//! `import`: lines of an export, into the running broker.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::export::counted;
use super::progress::Progress;
use super::{ImportArgs, with_file};
use crate::admin::Imported;
use crate::admin::exchange::{Entry, Totals};
use crate::cli::boot::{Exit, Failure};
use crate::cli::instance::{Alive, from_call};
use crate::cli::report::Report;
use crate::cli::verbs::Errand;

/// The first bytes of a backup.
const DATABASE: &[u8] = b"SQLite format 3\0";

/// Sends the lines.
pub(crate) fn import(errand: &Errand<'_>, args: &ImportArgs) -> Result<Report, Failure> {
    let mut alive = errand.alive()?;
    let path = &args.file;
    let mut progress = Progress::new(errand.voice);
    let imported = if path == Path::new("-") {
        send(&mut alive, args.replace, |out| {
            copy(std::io::stdin().lock(), path, out, &mut progress)
        })
    } else {
        let unreadable = |error| with_file("read", path, &error);
        let mut file = File::open(path).map_err(unreadable)?;
        // All of it is looked at before any of it is taken in, where it can be read twice.
        if file.metadata().map_err(unreadable)?.is_file() {
            copy(BufReader::new(&file), path, &mut std::io::sink(), &mut progress)?;
            file.rewind().map_err(unreadable)?;
        }
        send(&mut alive, args.replace, |out| copy(BufReader::new(file), path, out, &mut progress))
    }?;
    drop(progress);
    Ok(told(&alive, &imported))
}

/// Has the running broker take in the lines that `lines` writes.
pub(super) fn send(
    alive: &mut Alive,
    replace: bool,
    lines: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<Imported, Failure> {
    let mut args = Map::new();
    if replace {
        args.insert("replace".to_owned(), Value::Bool(true));
    }
    let lines = |out: &mut dyn Write| lines(out).map_err(Unsent::Failure);
    let value = match alive.client.upload("import", args, lines).map_err(from_call)? {
        Ok(value) => value,
        Err(Unsent::Failure(failure)) => return Err(failure),
        Err(Unsent::Io(error)) => {
            return Err(Failure::new(Exit::Failed, "lost", format!("cannot send: {error}")));
        }
    };
    serde_json::from_value(value).map_err(|error| {
        let message = format!("the daemon's answer is not understood: {error}");
        Failure::new(Exit::Failed, "protocol", message)
    })
}

/// Why lines were not sent.
enum Unsent {
    /// They could not be had.
    Failure(Failure),
    /// The way was barred.
    Io(std::io::Error),
}

impl From<std::io::Error> for Unsent {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// What came of it, for people and programs.
pub(super) fn told(alive: &Alive, imported: &Imported) -> Report {
    let Imported { taken, left_alone, expired } = imported;
    let mut report = Report {
        changed: *taken != Totals::default(),
        result: Some(json!(imported)),
        ..Report::of(alive.seen(), format!("taken in: {}", counted(taken)))
    };
    if *left_alone != Totals::default() {
        let note = format!(
            "left alone, as they are there already or their session is not taken in: {} \
             (--replace takes their place)",
            counted(left_alone)
        );
        report.notes.push(note);
    }
    if *expired != Totals::default() {
        report.notes.push(format!("expired meanwhile, and left out: {}", counted(expired)));
    }
    report
}

/// Copies lines that can be taken in, without empty ones.
fn copy(
    mut lines: impl BufRead,
    path: &Path,
    out: &mut dyn Write,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let (mut line, mut bytes) = (Vec::new(), 0);
    let (mut is_begun, mut is_ended) = (false, false);
    for number in 1_u64.. {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        if read.map_err(|error| with_file("read", path, &error))? == 0 {
            break;
        }
        bytes += line.len() as u64;
        if number == 1 && line.starts_with(DATABASE) {
            let message = format!("{} is a backup, not an export", path.display());
            return Err(Failure::new(Exit::Failed, "bad_entry", message).hint("mqttd restore FILE"));
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let entry = Entry::read(text).map_err(|error| {
            let message = format!("{}:{number}: {error}", path.display());
            Failure::new(Exit::Failed, "bad_entry", message)
        })?;
        is_begun |= matches!(entry, Entry::Export(_));
        is_ended |= matches!(entry, Entry::End(_));
        out.write_all(text).and_then(|()| out.write_all(b"\n")).map_err(unsent)?;
        progress.bytes("read", bytes, None);
    }
    if is_begun && !is_ended {
        let message = format!("{} was cut short: its last line is missing", path.display());
        return Err(Failure::new(Exit::Failed, "bad_entry", message)
            .hint("export it anew; to take in what is there, remove its first line"));
    }
    Ok(())
}

/// The broker takes no more; its own word for that is more to the point.
fn unsent(error: std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "lost", format!("the broker takes no more lines: {error}"))
}
