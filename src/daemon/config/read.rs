//! Reading one file's text into settings: every key known, every value fitting, all errors found.
//!
//! Called by `file` for each file in order of precedence. Touches no file system.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schema::{self, Section, sections};
use super::{ConfigError, Origin, Setting, keys};

/// Errors of syntax told of one file; more are as a rule consequences of the first.
const SYNTAX_ERRORS_MAX: usize = 5;

/// Puts what `text` sets into `settings` (one for each key of the table).
///
/// # Errors
/// All errors of the text, in its order; the settings are then not to be used.
pub(super) fn read(
    file: &Path,
    text: &str,
    settings: &mut [Setting],
) -> Result<(), Vec<ConfigError>> {
    let mut reader = Reader { file, text, settings, errors: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        reader.table("", table.get_ref());
    } else {
        for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
            let at = error.span().map_or(text.len(), |span| span.start);
            reader.error(at, None, error.message().to_owned(), None);
        }
    }
    reader.errors.sort_by_key(|error| error.place);
    if reader.errors.is_empty() { Ok(()) } else { Err(reader.errors) }
}

struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    settings: &'a mut [Setting],
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    fn table(&mut self, above: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = if above.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{above}.{}", name.get_ref())
            };
            let at = name.span().start;
            match (schema::index_of(&path), value.get_ref()) {
                (Some(index), _) => self.key(index, at, value),
                (None, DeValue::Table(below)) if schema::is_table(&path) => {
                    self.table(&path, below);
                }
                (None, other) if schema::is_table(&path) => {
                    let what = format!("is a table, not {}", other.type_str());
                    let hint = format!("write [{path}] and its keys below it");
                    self.error(at, Some(&path), what, Some(hint));
                }
                (None, other) => self.unknown(at, &path, other),
            }
        }
    }

    fn key(&mut self, index: usize, at: usize, value: &Spanned<DeValue<'_>>) {
        let key = &keys()[index];
        match key.kind.read(value.get_ref()) {
            Ok(value) => {
                let (line, column) = line_and_column(self.text, at);
                self.settings[index] = Setting {
                    value,
                    origin: Some(Origin { file: self.file.to_owned(), line, column }),
                };
            }
            Err(unfit) => {
                let at = value.span().start;
                self.error(at, Some(key.path), unfit.what, Some(unfit.hint));
            }
        }
    }

    fn unknown(&mut self, at: usize, path: &str, value: &DeValue<'_>) {
        let kind = if value.is_table() { "table" } else { "key" };
        let hint = match schema::meant(path) {
            Some(meant) => format!("did you mean {meant}?"),
            None => known_near(path),
        };
        let what = format!("there is no such {kind}");
        self.error(at, Some(path), what, Some(hint));
    }

    fn error(&mut self, at: usize, key: Option<&str>, what: String, hint: Option<String>) {
        self.errors.push(ConfigError {
            file: self.file.to_owned(),
            place: Some(line_and_column(self.text, at)),
            key: key.map(printable),
            what: printable(&what),
            hint: hint.as_deref().map(printable),
        });
    }
}

/// What there is where the unknown name stands.
fn known_near(path: &str) -> String {
    let above = path.rsplit_once('.').map_or("", |(above, _)| above);
    let inside = sections().iter().find(|section| section.path == above);
    let names: Vec<_> = match inside {
        Some(section) if !above.is_empty() => schema::keys_of(section).map(|k| k.name()).collect(),
        _ => {
            let tables = sections().iter().filter(|section| !section.path.is_empty());
            let top = keys().iter().filter(|key| key.section().is_empty());
            top.map(|key| key.path).chain(tables.map(section_path)).collect()
        }
    };
    format!("known are {}", names.join(", "))
}

fn section_path(section: &Section) -> &'static str {
    section.path
}

/// Control characters escaped: the text goes to terminals and logs.
fn printable(text: &str) -> String {
    let escape = |c: char| -> String {
        if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
    };
    text.chars().map(escape).collect()
}

/// Line and column (in characters) of a byte of the text, both from 1.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}
