//! `backup`: a copy of all that is kept, from the running broker into a file.

use std::path::Path;

use serde_json::json;

use super::fetch::fetch;
use super::progress::Progress;
use super::target::Target;
use crate::cli::boot::{Exit, Failure};
use crate::cli::render;
use crate::cli::report::Report;
use crate::cli::verbs::Errand;

/// Makes the copy.
pub(crate) fn backup(errand: &Errand<'_>, file: &Path) -> Result<Report, Failure> {
    let to_stdout = file == Path::new("-");
    if to_stdout && errand.voice.json {
        let message = "--json and the copy cannot both go to standard output";
        return Err(Failure::new(Exit::Usage, "usage", message).hint("mqttd backup FILE --json"));
    }
    let mut alive = errand.alive()?;
    let mut target = Target::open(file)?;
    let mut progress = Progress::new(errand.voice);
    let bytes = fetch(&mut alive, &mut target, Target::failed, &mut progress)?;
    drop(progress);
    target.finish()?;
    let seen = alive.seen();
    if to_stdout {
        return Ok(Report { spoken: true, seen, ..Report::default() });
    }
    let text = format!("backed up into {} ({})", file.display(), render::bytes(bytes));
    Ok(Report {
        changed: true,
        result: Some(json!({ "file": file.display().to_string(), "bytes": bytes })),
        ..Report::of(seen, text)
    })
}
