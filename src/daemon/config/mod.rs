//! The configuration: `mqttd.toml` and `conf.d/*.toml` beside it.
//!
//! [`load`] reads, checks and merges the files; what it gives is complete and valid. Called at the
//! start, by `mqttd reload` and `mqttd check-config`. Nothing here acts on the values.

mod check;
mod diff;
mod document;
mod file;
mod keys;
mod read;
mod readable;
mod schema;
mod suggest;
#[cfg(test)]
mod tests;
mod value;
mod words;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use check::warnings;
pub use diff::diff;
pub use document::{dump, manual, shipped};
pub use file::{load, merge};
pub use readable::unreadable_by_service;
pub use schema::{Applies, Key, Section, keys, keys_of, sections};
pub use value::{Kind, Value};
pub use words::{
    Anonymous, Durability, LogFormat, LogLevel, LogTarget, Medium, PayloadFormat, QueueFull,
    RedirectReason, RedirectWhen, SharedChoice,
};

use crate::broker::{self, Class, Directions, Limits};

/// A complete, valid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who needs no credentials.
    pub anonymous: Anonymous,
    /// Addresses of the TCP listener.
    pub tcp: Vec<SocketAddr>,
    /// Bounds the broker keeps.
    pub limits: Limits,
    /// Client connections at once.
    pub connections_max: u64,
    /// Connections at once without a complete CONNECT.
    pub connecting_max: usize,
    /// Seconds between two publications of `$SYS`.
    pub sys_interval_secs: u64,
    /// Seconds from the connection to the complete CONNECT.
    pub connect_timeout_secs: u64,
    /// Where clients are sent, and where answers to them go.
    pub directions: Directions,
    /// Whether nobody is served any more.
    pub draining: bool,
    /// What is kept, and how.
    pub store: StoreConfig,
    /// The log.
    pub log: LogConfig,
    /// Shards; 0 = as many as processors.
    pub shards: usize,
    /// The user to become.
    pub user: String,
    /// Seconds clients get at a stop.
    pub stop_timeout_secs: u64,
}

/// What is kept, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// How long messages last.
    pub durability: Durability,
    /// Topic Filters of messages that last as long as the disk,
    pub disk_topics: Vec<String>,
    /// as the operating system,
    pub os_topics: Vec<String>,
    /// as the process.
    pub memory_topics: Vec<String>,
    /// The least time between two syncs, milliseconds.
    pub sync_delay_ms_max: u64,
    /// What it lies on.
    pub medium: Medium,
    /// Bytes of messages that wait, all together; `None`: as the disk allows.
    pub queue_bytes_max: Option<u64>,
    /// Memory for pages of the store.
    pub cache_bytes: u64,
}

impl StoreConfig {
    /// The class of each topic: what lasts longest wins.
    #[must_use]
    pub fn classes(&self) -> broker::Durability {
        let lists = [
            (&self.disk_topics, Class::Disk),
            (&self.os_topics, Class::Os),
            (&self.memory_topics, Class::Memory),
        ];
        let exceptions = lists.iter().flat_map(|(filters, class)| {
            filters.iter().map(move |filter| (filter.as_str(), *class))
        });
        broker::Durability::new(self.durability.into(), exceptions)
    }
}

/// What is logged, how, and where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least important events that are logged.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
    /// Where lines go.
    pub target: LogTarget,
    /// The file, relative to the log directory.
    pub file: PathBuf,
    /// Size at which the file is renamed, bytes.
    pub file_bytes_max: u64,
    /// Renamed files that are kept.
    pub files_max: usize,
}

/// A complete configuration and where each value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The values in their places.
    pub config: Config,
    /// One for each key, in the order of [`keys`].
    pub settings: Vec<Setting>,
    /// The files read, in order of precedence (the last wins).
    pub files: Vec<PathBuf>,
    /// Changes when a file changes.
    pub digest: u64,
}

/// The value of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What is in force.
    pub value: Value,
    /// Where it stands; `None` = the default.
    pub origin: Option<Origin>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// An error in the configuration: `file:line:column: key: what; hint`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line and column, from 1; `None` when the file as a whole is meant.
    pub place: Option<(usize, usize)>,
    /// The key, if one is meant.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
    /// The way out.
    pub hint: Option<String>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

impl ConfigError {
    /// Everything but the hint, on one line.
    #[must_use]
    pub fn message(&self) -> String {
        let mut message = self.file.display().to_string();
        if let Some((line, column)) = self.place {
            message += &format!(":{line}:{column}");
        }
        if let Some(key) = &self.key {
            message += &format!(": {key}");
        }
        format!("{message}: {}", self.what)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message())?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Loaded {
    /// What an empty file gives.
    #[must_use]
    pub fn defaults() -> Self {
        let settings =
            keys().iter().map(|key| Setting { value: key.default_value(), origin: None });
        Self::from_settings(settings.collect(), Vec::new(), 0)
    }

    fn from_settings(settings: Vec<Setting>, files: Vec<PathBuf>, digest: u64) -> Self {
        let mut config = Config::blank();
        for (key, setting) in keys().iter().zip(&settings) {
            (key.put)(&mut config, &setting.value);
        }
        Self { config, settings, files, digest }
    }

    /// Where the value of a key stands, if not by default.
    #[must_use]
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        let setting = self.settings.get(schema::index_of(path)?)?;
        setting.origin.as_ref()
    }
}

impl Config {
    /// What every key's `put` is applied to; the table fills each field.
    fn blank() -> Self {
        Self {
            anonymous: Anonymous::Private,
            tcp: Vec::new(),
            limits: Limits {
                packet_bytes_max: 0,
                receive_maximum: 0,
                topic_alias_maximum: 0,
                assigned_aliases_max: 0,
                keep_alive_secs_max: 0,
                topic_levels_max: 0,
                checks_payload_format: false,
                subscriptions_max: 0,
                inflight_max: 0,
                queue_messages_max: 0,
                queue_bytes_max: 0,
                queue_full: broker::QueueFull::DropNewest,
                store_queue_bytes_max: u64::MAX,
                session_expiry_secs_max: 0,
                outbox_bytes_max: 0,
                retained_messages_max: 0,
                sessions_max: 0,
                memory_bytes_max: 0,
                durability: broker::Durability::default(),
                shared_choice: broker::SharedChoice::LeastBacklog,
            },
            connections_max: 0,
            connecting_max: 0,
            sys_interval_secs: 0,
            connect_timeout_secs: 0,
            directions: Directions::default(),
            draining: false,
            store: StoreConfig {
                durability: Durability::Disk,
                disk_topics: Vec::new(),
                os_topics: Vec::new(),
                memory_topics: Vec::new(),
                sync_delay_ms_max: 0,
                medium: Medium::Disk,
                queue_bytes_max: None,
                cache_bytes: 0,
            },
            log: LogConfig {
                level: LogLevel::Info,
                format: LogFormat::Human,
                target: LogTarget::Auto,
                file: PathBuf::new(),
                file_bytes_max: 0,
                files_max: 0,
            },
            shards: 0,
            user: String::new(),
            stop_timeout_secs: 0,
        }
    }
}
