//! `store check`: the store of a broker that does not run.

use serde_json::json;

use super::StoreVerb;
use super::export::counted;
use super::progress::Progress;
use crate::cli::boot::Failure;
use crate::cli::render::bytes;
use crate::cli::report::{Report, Seen, State};
use crate::cli::verbs::Errand;

/// Checks.
pub(crate) fn store(errand: &Errand<'_>, verb: StoreVerb) -> Result<Report, Failure> {
    let StoreVerb::Check = verb;
    let mut progress = Progress::new(errand.voice);
    let mut count = |records| progress.count("records read", records);
    let sound = errand.boot.check_store(&errand.place, &mut count)?;
    drop(progress);
    let seen = Seen { state: State::Stopped, ..Seen::default() };
    let path = sound.path.display().to_string();
    let mut report = Report::of(seen, format!("{path} is sound: {}", counted(&sound.totals)));
    if sound.torn_bytes > 0 {
        report.notes.push(format!(
            "the last {} belong to a commit that was not finished, and nobody was told of: a \
             start cuts them off",
            bytes(sound.torn_bytes)
        ));
    }
    let (kept, torn_bytes) = (sound.totals, sound.torn_bytes);
    report.result = Some(json!({ "file": path, "kept": kept, "torn_bytes": torn_bytes }));
    Ok(report)
}
