//! One event of the log as a value: taken from `tracing` on the thread where it happened, rendered
//! and written on the log's own thread.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// Characters of one value that are kept; the rest becomes `…`.
const VALUE_CHARS_MAX: usize = 1024;

/// What happened, when, and its details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Milliseconds since 1970.
    pub(super) unix_ms: u64,
    /// How important it is.
    pub(super) level: Level,
    /// What happened.
    pub(super) message: String,
    /// The details in their order; values as they are, not escaped.
    pub(super) fields: Vec<(&'static str, String)>,
}

impl Record {
    /// Takes what an event says.
    pub(super) fn of(event: &Event<'_>, unix_ms: u64) -> Self {
        let mut record = Self {
            unix_ms,
            level: *event.metadata().level(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut record);
        record
    }

    fn put(&mut self, field: &Field, value: String) {
        let value = shortened(value);
        if field.name() == "message" {
            self.message = value;
        } else {
            self.fields.push((field.name(), value));
        }
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(VALUE_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}
