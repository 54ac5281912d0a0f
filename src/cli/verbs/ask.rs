//! The operator's calls: asked over the control socket, shown as tables or passed on as JSON.

use std::io;
use std::ops::ControlFlow;

use serde_json::{Map, Value};

use super::Errand;
use crate::admin::{AnswerBy, Call, Permission};
use crate::cli::boot::{Exit, Failure};
use crate::cli::confirm::confirm;
use crate::cli::instance::{Alive, from_call};
use crate::cli::nouns::Meant;
use crate::cli::render;
use crate::cli::report::{Report, Voice, print};
use crate::cli::table::printable;

/// Asks one call. Feeds are printed as they come, the rest is in the report.
pub(crate) fn ask(errand: &Errand<'_>, meant: Meant) -> Result<Report, Failure> {
    let Meant { call, arguments: args, yes } = meant;
    let mut alive = errand.alive()?;
    if call.permission == Permission::Destroy && !yes && !errand.voice.json {
        confirm(&question(call, &args))?;
    }
    if let AnswerBy::Lines(_) = call.answer {
        return follow(errand.voice, &mut alive, call, args);
    }
    let result = alive.call(call.name, args)?;
    let changed = result["changed"].as_bool().unwrap_or(call.permission != Permission::Read);
    Ok(Report {
        changed,
        result: Some(result.clone()),
        ..Report::of(alive.seen(), render::reply(call.name, &result))
    })
}

/// What a person is asked before something is gone.
fn question(call: &Call, args: &Map<String, Value>) -> String {
    let words = call.name.replace('.', " ");
    let given: String = args
        .values()
        .filter_map(Value::as_str)
        .map(|text| format!(" {}", printable(text)))
        .collect();
    format!("{words}{given}: this cannot be undone. Go on?")
}

/// Prints a feed until it ends or nobody reads.
fn follow(
    voice: Voice,
    alive: &mut Alive,
    call: &Call,
    args: Map<String, Value>,
) -> Result<Report, Failure> {
    let seen = alive.seen();
    let _ = alive.client.set_limit(None);
    let mut failed = None;
    let ended = alive.client.stream(call.name, args, |line| {
        let said = if voice.json {
            let report = Report { result: Some(line), ..Report::of(seen.clone(), "") };
            print(&Voice::object(call.name, &report))
        } else {
            print(&format!("{}\n", render::feed_line(&line)))
        };
        match said {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    match (ended, failed) {
        (_, Some(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(Report { spoken: true, ..Report::of(seen, "") })
        }
        (_, Some(error)) => Err(Failure::new(
            Exit::Failed,
            "output",
            format!("cannot write to standard output: {error}"),
        )),
        (Err(crate::control::CallError::Lost), None) => {
            Err(Failure::new(Exit::Failed, "lost", "mqttd has gone away"))
        }
        (Err(error), None) => Err(from_call(error)),
        (Ok(_), None) => Ok(Report::of(seen, "")),
    }
}
