//! What a key of the configuration is, and how the table of keys is looked into.
//!
//! The table itself is in `keys`. From it come what the reader knows, the shipped file, the manual
//! page and the difference between two configurations, so that they cannot disagree.

use super::Config;
use super::keys::{KEYS, SECTIONS};
use super::suggest;
use super::value::{Kind, Value};

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Tables and name, `limits.packet_bytes_max`.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The default, as written in a file.
    pub default: &'static str,
    /// When a new value is in force.
    pub applies: Applies,
    /// What it is, its unit, the reason of its default; sentences, without line breaks.
    pub doc: &'static str,
    /// Puts a value of `kind` in its place.
    pub(super) put: fn(&mut Config, &Value),
}

/// When a new value is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// After `mqttd reload`.
    OnReload,
    /// After `mqttd restart`.
    OnRestart,
}

/// One table of the configuration.
#[derive(Debug)]
pub struct Section {
    /// Its path; empty for the keys before the first table.
    pub path: &'static str,
    /// What its keys have in common.
    pub doc: &'static str,
}

impl Key {
    /// The name without its tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The tables it is in; empty for a key before the first table.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The default, read.
    ///
    /// # Panics
    /// Never: the table is constant, and a test reads every default of it.
    #[must_use]
    pub fn default_value(&self) -> Value {
        let value = toml::de::DeValue::parse(self.default).ok();
        value
            .and_then(|value| self.kind.read(value.get_ref()).ok())
            .expect("the table's defaults fit, proven by the test every_default_fits")
    }
}

/// All keys, in the order of the shipped file.
#[must_use]
pub fn keys() -> &'static [Key] {
    KEYS
}

/// All tables, in the order of the shipped file.
#[must_use]
pub fn sections() -> &'static [Section] {
    SECTIONS
}

/// The keys of one table.
pub fn keys_of(section: &Section) -> impl Iterator<Item = &'static Key> {
    let path = section.path;
    KEYS.iter().filter(move |key| key.section() == path)
}

/// The index of a key in the table.
pub(super) fn index_of(path: &str) -> Option<usize> {
    KEYS.iter().position(|key| key.path == path)
}

/// Whether keys or tables stand below this path.
pub(super) fn is_table(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The known path that an unknown one was meant to be: a similar name in the same table, the same
/// name in another table, or a similar path.
pub(super) fn meant(path: &str) -> Option<&'static str> {
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    let inside = KEYS.iter().filter(|key| key.section() == section);
    if let Some(near) = suggest::nearest(name, inside.map(Key::name)) {
        let path = |key: &&Key| key.section() == section && key.name() == near;
        return KEYS.iter().find(path).map(|key| key.path);
    }
    if let Some(key) = KEYS.iter().find(|key| key.name() == name) {
        return Some(key.path);
    }
    if !section.is_empty() && SECTIONS.iter().any(|known| known.path == section) {
        return None; // the table is right, and nothing in it is near
    }
    let tables = SECTIONS.iter().map(|section| section.path);
    suggest::nearest(path, KEYS.iter().map(|key| key.path).chain(tables))
        .filter(|near| !near.is_empty())
}
