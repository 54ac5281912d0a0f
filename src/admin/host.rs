//! What the operator's vocabulary needs from the process around the broker; `daemon` provides it.

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::Copying;
use crate::server::Recovery;

/// The process the broker lives in.
pub trait Host: Send + Sync + 'static {
    /// Who and where it is.
    fn about(&self) -> About;

    /// Reads the configuration again and applies what can change live.
    ///
    /// # Errors
    /// The configuration is not valid; the old one stays in force.
    fn reload(&self) -> Result<Reloaded, Problem>;

    /// Begins an orderly stop; returns at once.
    fn stop(&self);

    /// The log filter in force, e.g. `info`.
    fn log_level(&self) -> String;

    /// Changes the log filter until the next restart.
    ///
    /// # Errors
    /// Not a level.
    fn set_log_level(&self, level: &str) -> Result<(), Problem>;

    /// Begins to copy what is kept.
    ///
    /// # Errors
    /// Another copy is being made.
    fn backup(&self) -> Result<Copying, Problem>;

    /// The live log, one rendered line each; slow readers lose lines, never slow the broker.
    fn watch_log(&self) -> broadcast::Receiver<std::sync::Arc<str>>;
}

/// Who and where the daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of the running program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// `systemd:mqttd.service`, `daemon`, `foreground`, `console` or `container`.
    pub managed_by: String,
    /// Seconds since the start.
    pub uptime_secs: u64,
    /// When it started, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// The main configuration file (it may be absent with `--home`).
    pub config_file: String,
    /// Whether the files differ from what is in force.
    pub config_changed: bool,
    /// Where data lives.
    pub data_dir: String,
    /// Open files allowed.
    pub open_files_max: u64,
    /// Connections possible under that limit.
    pub connections_max: u64,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// What the start found; absent when nothing is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<Recovered>,
}

/// What was kept when the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// Sessions.
    pub sessions: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Retained messages.
    pub retained: u64,
    /// Messages that somebody waits for.
    pub messages: u64,
    /// Bytes of a write that was not completed and was cut off: nobody was told that it is kept.
    pub torn_bytes: u64,
    /// Damaged records that a repair left out.
    pub damaged: u64,
    /// How long it took, milliseconds.
    pub took_ms: u64,
}

impl Recovered {
    /// Whether nothing was kept, and nothing is to be said of it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sessions == 0
            && self.subscriptions == 0
            && self.retained == 0
            && self.messages == 0
            && self.torn_bytes == 0
            && self.damaged == 0
    }
}

impl From<Recovery> for Recovered {
    fn from(recovery: Recovery) -> Self {
        let Recovery { sessions, subscriptions, retained, messages, torn_bytes, damaged, took_ms } =
            recovery;
        Self { sessions, subscriptions, retained, messages, torn_bytes, damaged, took_ms }
    }
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Keys whose new value is in force.
    pub applied: Vec<String>,
    /// Keys that need a restart.
    pub needs_restart: Vec<String>,
}

/// An error told to an operator: a stable code, what happened, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Stable, listed in mqttd(8), e.g. `address_in_use`.
    pub code: String,
    /// One line: what, where, why.
    pub message: String,
    /// The way out, if there is one to name.
    pub hint: Option<String>,
}
