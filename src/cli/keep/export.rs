//! `export`: what is kept as lines of JSON, from the running broker, from the store of one that does
//! not run, or from a backup.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::linkat;
use serde_json::json;

use super::fetch::fetch;
use super::progress::Progress;
use super::target::Target;
use super::{ExportArgs, with_file};
use crate::admin::exchange::{Entry, Totals};
use crate::cli::boot::{Exit, Failure, Kept, Selection, TakeError};
use crate::cli::instance::{Alive, Instance};
use crate::cli::report::{Report, Seen};
use crate::cli::verbs::Errand;

/// Writes the lines.
pub(crate) fn export(errand: &Errand<'_>, args: &ExportArgs) -> Result<Report, Failure> {
    let stdout = PathBuf::from("-");
    let file = args.file.as_ref().unwrap_or(&stdout);
    let to_stdout = file == &stdout;
    if to_stdout && errand.voice.json {
        let message = "--json and the lines cannot both go to standard output";
        return Err(Failure::new(Exit::Usage, "usage", message).hint("mqttd export FILE --json"));
    }
    let mut lines = BufWriter::with_capacity(1 << 16, Target::open(file)?);
    let mut progress = Progress::new(errand.voice);
    let (source, seen) = source(errand, args, file, &mut progress)?;
    let written = write(errand, &source.kept(errand), &args.selection(), &mut lines, &mut progress);
    let written = written.and_then(|totals| match lines.flush() {
        Ok(()) => Ok(totals),
        Err(error) => Err(TakeError::Taker(error)),
    });
    drop(progress);
    let totals = match written {
        Ok(totals) => totals,
        Err(TakeError::Kept(failure)) => return Err(failure),
        // `| head`
        Err(TakeError::Taker(error)) if to_stdout && error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(Report { spoken: true, seen, ..Report::default() });
        }
        Err(TakeError::Taker(error)) => return Err(lines.get_ref().failed(&error)),
    };
    let (target, _) = lines.into_parts();
    target.finish()?;
    if to_stdout {
        return Ok(Report { spoken: true, seen, ..Report::default() });
    }
    let text = format!("exported {} into {}", counted(&totals), file.display());
    let mut result = json!(totals);
    result["file"] = file.display().to_string().into();
    Ok(Report { changed: true, result: Some(result), ..Report::of(seen, text) })
}

/// Writes what is selected of a store.
fn write(
    errand: &Errand<'_>,
    kept: &Kept<'_>,
    selection: &Selection,
    lines: &mut impl Write,
    progress: &mut Progress,
) -> Result<Totals, TakeError> {
    let mut totals = Totals::default();
    errand.boot.read_kept(kept, selection, &mut |entry: Entry| {
        totals.count(&entry);
        progress.count("exported", totals.retained + totals.sessions + totals.messages);
        lines.write_all(&entry.line())
    })?;
    Ok(totals)
}

/// What the lines come from.
enum Source {
    /// A file with a copy.
    Copy(PathBuf),
    /// A copy that was taken for this.
    Taken(PathBuf),
    /// The store of the instance, which does not run.
    Store,
}

impl Source {
    fn kept<'k>(&self, errand: &'k Errand<'_>) -> Kept<'k> {
        match self {
            Self::Copy(path) => Kept::Copy(path.clone()),
            Self::Taken(taken) => Kept::Passing(taken.clone()),
            Self::Store => Kept::Store(&errand.place),
        }
    }
}

fn source(
    errand: &Errand<'_>,
    args: &ExportArgs,
    file: &Path,
    progress: &mut Progress,
) -> Result<(Source, Seen), Failure> {
    if let Some(backup) = &args.from {
        let seen = if errand.voice.json { errand.look().seen() } else { Seen::default() };
        return Ok((Source::Copy(backup.clone()), seen));
    }
    let found = errand.look();
    if matches!(found, Instance::Stopped | Instance::Dead) {
        return Ok((Source::Store, found.seen()));
    }
    let mut alive = found.alive()?;
    let seen = alive.seen();
    Ok((Source::Taken(take(&mut alive, file, progress)?), seen))
}

/// Fetches a copy, to be read here: the broker has other things to do. It lies beside the lines,
/// where there is room for a file as large, or where large files lie for a while; and it has no name
/// before it is whole, where the file system can do that, so that an early end leaves nothing.
fn take(alive: &mut Alive, file: &Path, progress: &mut Progress) -> Result<PathBuf, Failure> {
    let for_a_while = std::env::var_os("TMPDIR").filter(|dir| !dir.is_empty());
    let for_a_while = for_a_while.map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
    let dir = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ if file == Path::new("-") => for_a_while,
        _ => PathBuf::from("."),
    };
    let path = dir.join(format!(".mqttd-export.{}", std::process::id()));
    let failed = |error: &io::Error| with_file("write", &path, error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let nameless = options.clone().custom_flags(OFlag::O_TMPFILE.bits()).open(&dir);
    let is_nameless = nameless.is_ok();
    let opened = nameless.or_else(|_| options.create_new(true).open(&path));
    let mut copy = opened.map_err(|error| failed(&error))?;
    let fetched = fetch(alive, &mut copy, |_, error| failed(error), progress);
    let named = fetched.and_then(|_| {
        if is_nameless { name(&copy, &path).map_err(|error| failed(&error)) } else { Ok(()) }
    });
    if let Err(failure) = named {
        let _ = std::fs::remove_file(&path);
        return Err(failure);
    }
    Ok(path)
}

/// Gives a file a name.
fn name(file: &File, path: &Path) -> io::Result<()> {
    let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
    let linked = linkat(AT_FDCWD, &*nameless, AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW);
    linked.map_err(io::Error::from)
}

/// Totals in words.
pub(super) fn counted(totals: &Totals) -> String {
    let Totals { retained, sessions, messages } = totals;
    let of = |count: &u64, thing: &str| match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    };
    format!(
        "{}, {}, {}",
        of(retained, "retained message"),
        of(sessions, "session"),
        of(messages, "waiting message")
    )
}
