//! The log of the running broker.

use serde_json::{Value, json};

use super::call::{AnswerBy, Argument, Arguments, Call, Kind, Lines, Noun, Permission};
use super::{Admin, Problem};

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "log",
    doc: "The log of the running broker",
    calls: &[
        Call {
            name: "log.level",
            doc: "Show or change how much is logged, until the next start",
            examples: &["log level", "log level debug"],
            arguments: &[Argument::optional(
                "level",
                Kind::Choice(LEVELS),
                "The new level [default: show it]",
            )],
            permission: Permission::Operate,
            answer: AnswerBy::Value(level),
        },
        Call {
            name: "log.tail",
            doc: "Show what is logged from now on, until Ctrl-C",
            examples: &["log tail"],
            arguments: &[],
            permission: Permission::Read,
            answer: AnswerBy::Lines(tail),
        },
    ],
};

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];

fn level(admin: &Admin, arguments: &Arguments) -> Result<Value, Problem> {
    let before = admin.host.log_level();
    if let Some(level) = arguments.text("level") {
        admin.host.set_log_level(level)?;
    }
    let level = admin.host.log_level();
    let changed = level != before;
    Ok(json!({ "level": level, "changed": changed }))
}

fn tail(admin: &Admin, _: &Arguments) -> Result<Lines, Problem> {
    Ok(admin.host.watch_log())
}
