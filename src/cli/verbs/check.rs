//! `check-config` and `reload`: the configuration, looked at and put in force.

use serde_json::{Map, json};

use super::Errand;
use crate::cli::boot::Failure;
use crate::cli::render;
use crate::cli::report::Report;

/// Checks the configuration; with `dump`, the effective one is the result.
pub(crate) fn check_config(errand: &Errand<'_>, dump: bool) -> Result<Report, Failure> {
    let checked = errand.boot.check_config(&errand.place)?;
    let seen = if errand.voice.json { errand.look().seen() } else { Default::default() };
    let text = if dump {
        checked.dump.trim_end().to_owned()
    } else if checked.files.is_empty() {
        "the configuration is valid: no file, all defaults".to_owned()
    } else {
        format!("the configuration is valid: {}", checked.files.join(", "))
    };
    let mut report = Report::of(seen, text);
    report.result = Some(json!({
        "files": checked.files,
        "warnings": checked.warnings,
        "config": dump.then_some(checked.dump),
    }));
    report.notes =
        checked.warnings.into_iter().map(|warning| format!("warning: {warning}")).collect();
    Ok(report)
}

/// Lets the running broker read its configuration again.
pub(crate) fn reload(errand: &Errand<'_>) -> Result<Report, Failure> {
    let mut alive = errand.alive()?;
    let reloaded = alive.call("reload", Map::new())?;
    let applied = reloaded["applied"].as_array().map_or(0, Vec::len);
    Ok(Report {
        changed: applied > 0,
        result: Some(reloaded.clone()),
        ..Report::of(alive.seen(), render::reply("reload", &reloaded))
    })
}
