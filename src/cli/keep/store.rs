//! `store check` and `store repair`: the store of a broker that does not run.

use serde_json::json;

use super::StoreVerb;
use super::export::counted;
use super::progress::Progress;
use crate::cli::boot::{Failure, Repaired};
use crate::cli::confirm::confirm;
use crate::cli::render::bytes;
use crate::cli::report::{Report, Seen, State};
use crate::cli::table::printable;
use crate::cli::verbs::Errand;

/// Checks or repairs.
pub(crate) fn store(errand: &Errand<'_>, verb: StoreVerb) -> Result<Report, Failure> {
    let mut progress = Progress::new(errand.voice);
    let mut count = |records| progress.count("records read", records);
    let seen = Seen { state: State::Stopped, ..Seen::default() };
    match verb {
        StoreVerb::Check => {
            let sound = errand.boot.check_store(&errand.place, &mut count)?;
            drop(progress);
            let path = sound.path.display().to_string();
            let mut report =
                Report::of(seen, format!("{path} is sound: {}", counted(&sound.totals)));
            if sound.torn_bytes > 0 {
                report.notes.push(format!(
                    "the last {} belong to a commit that was not finished, and nobody was told \
                     of: a start cuts them off",
                    bytes(sound.torn_bytes)
                ));
            }
            let torn_bytes = sound.torn_bytes;
            let kept = sound.totals;
            report.result = Some(json!({ "file": path, "kept": kept, "torn_bytes": torn_bytes }));
            Ok(report)
        }
        StoreVerb::Repair { yes } => {
            if !yes && !errand.voice.json {
                confirm("store repair drops what is damaged. Go on?")?;
            }
            let repaired = errand.boot.repair_store(&errand.place, &mut count)?;
            drop(progress);
            Ok(told(repaired, seen))
        }
    }
}

fn told(repaired: Repaired, seen: Seen) -> Report {
    let Repaired { path, totals, lost, aside } = repaired;
    let (path, aside) =
        (path.display().to_string(), aside.map(|aside| aside.display().to_string()));
    let mut lines = match &aside {
        Some(aside) => vec![
            format!("{path} is sound now: {}", counted(&totals)),
            format!("the store as it was is now {aside}"),
        ],
        None => vec![format!("{path} is sound, nothing was changed: {}", counted(&totals))],
    };
    lines.extend(lost.iter().map(|what| format!("lost: {}", printable(what))));
    let result = json!({ "file": path, "kept": totals, "lost": lost, "aside": aside });
    Report { changed: aside.is_some(), result: Some(result), ..Report::of(seen, lines.join("\n")) }
}
