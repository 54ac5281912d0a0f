//! Counters and gauges.

use serde_json::{Map, Value};

use super::call::{AnswerBy, Argument, Arguments, Call, Kind, Noun, Permission};
use super::{Admin, Problem};

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "stats",
    doc: "Counters and gauges",
    calls: &[Call {
        name: "stats",
        doc: "Show counters (since the start) and gauges (now)",
        examples: &["stats", "stats messages.dropped", "stats --json"],
        arguments: &[Argument::optional(
            "prefix",
            Kind::Text,
            "Only names that begin with this [default: all]",
        )],
        permission: Permission::Read,
        answer: AnswerBy::Value(stats),
    }],
};

fn stats(admin: &Admin, arguments: &Arguments) -> Result<Value, Problem> {
    let prefix = arguments.text("prefix").unwrap_or_default();
    let stats = admin.server.stats();
    let rows: Map<_, _> = stats
        .rows()
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
    if rows.is_empty() {
        let message = format!("there is no counter whose name begins with {prefix:?}");
        return Err(Problem::new("not_found", message).hint("mqttd stats shows all"));
    }
    Ok(Value::Object(rows))
}
