//! How a line of the log looks: for people or as JSON, and never as two lines.
//!
//! Values come from clients. Whatever they contain, a line stays one line and cannot pretend to be
//! another: control characters and characters that change the direction of text are escaped.

use std::fmt::Write;

use serde_json::Value;

use super::record::Record;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// `2026-11-24T16:05:01.123Z INFO client connected client_id=c1`, without line feed.
pub(super) fn human(record: &Record) -> String {
    let time = timestamp(record.unix_ms);
    format!("{time} {} {}", record.level, sentence(record))
}

/// What happened and its details: a human line without time and level.
pub(super) fn sentence(record: &Record) -> String {
    let mut line = String::new();
    escape(&mut line, &record.message);
    for (name, value) in &record.fields {
        let _ = write!(line, " {name}=");
        let plain = |c: char| !(c.is_whitespace() || matches!(c, '"' | '=' | '\\') || risky(c));
        if !value.is_empty() && value.chars().all(plain) {
            line.push_str(value);
            continue;
        }
        line.push('"');
        escape(&mut line, &value.replace('\\', "\\\\").replace('"', "\\\""));
        line.push('"');
    }
    line
}

/// One JSON object, without line feed.
pub(super) fn json(record: &Record) -> String {
    let level = record.level.as_str().to_lowercase();
    let time = timestamp(record.unix_ms);
    let mut text = format!(r#"{{"time":"{time}","level":"{level}""#);
    let message = std::iter::once(("message", &record.message));
    for (name, value) in message.chain(record.fields.iter().map(|(name, value)| (*name, value))) {
        let _ = write!(text, ",{}:{}", Value::from(name), Value::from(value.as_str()));
    }
    text.push('}');
    // JSON itself escapes the ASCII control characters only.
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if risky(c) {
            let _ = write!(line, "\\u{:04x}", u32::from(c));
        } else {
            line.push(c);
        }
    }
    line
}

fn escape(line: &mut String, text: &str) {
    for c in text.chars() {
        if risky(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

/// Whether a terminal or a reader could be fooled by it.
fn risky(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// RFC 3339 in UTC with milliseconds.
fn timestamp(unix_ms: u64) -> String {
    let (day, ms) = (unix_ms / DAY_MS, unix_ms % DAY_MS);
    let (year, month, day) = date(day);
    let secs = ms / 1000;
    let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
    let ms = ms % 1000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The Gregorian date of a day counted from 1970-01-01. Years are counted from March, so that
/// the leap day is the last of its year, in periods of 400 years, which have 146 097 days.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468; // from 0000-03-01
    let (period, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // from March
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let january_or_february = month >= 10;
    let year = period * 400 + year + u64::from(january_or_february);
    let month = if january_or_february { month - 9 } else { month + 3 };
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn record(message: &str, fields: &[(&'static str, &str)]) -> Record {
        Record {
            unix_ms: 1_795_536_301_123,
            level: Level::INFO,
            message: message.to_owned(),
            fields: fields.iter().map(|(n, v)| (*n, (*v).to_owned())).collect(),
        }
    }

    #[test]
    fn a_line_for_people() {
        let record = record("client connected", &[("client_id", "c1"), ("user", "a b")]);
        assert_eq!(
            human(&record),
            "2026-11-24T16:05:01.123Z INFO client connected client_id=c1 user=\"a b\""
        );
    }

    #[test]
    fn a_line_for_programs() {
        let record = record("client connected", &[("client_id", "a \"b\"")]);
        assert_eq!(
            json(&record),
            r#"{"time":"2026-11-24T16:05:01.123Z","level":"info","message":"client connected","client_id":"a \"b\""}"#
        );
    }

    #[test]
    fn p61_no_value_can_forge_a_line_or_a_field() {
        for evil in [
            "c1\n2026-11-24T16:05:01.123Z INFO all is well",
            "\r\u{1b}[2K\u{7}",
            "\u{202e}txet",
            "\u{2028}\u{85}\0",
            "a\" admin=\"yes",
            "x admin=yes",
            "\\",
            "",
        ] {
            let record = record(evil, &[("client_id", evil)]);
            for line in [human(&record), json(&record)] {
                assert!(!line.chars().any(risky), "{line}");
            }
            let human = human(&record);
            assert!(human.ends_with('"'), "{human}");
            assert!(!human.contains("client_id=\"a\" admin"), "{human}");
            let read: Value = serde_json::from_str(&json(&record)).unwrap();
            assert_eq!(read["client_id"], evil);
        }
    }

    #[test]
    fn days_are_dates() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(timestamp(unix_ms), text);
        }
    }
}
