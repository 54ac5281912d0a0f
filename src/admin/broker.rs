//! The broker as a whole: does it answer, how is it doing, reload, stop.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{AnswerBy, Arguments, Call, Noun, Permission};
use super::listeners::{Listener, listeners};
use super::{About, Admin, Problem};
use crate::broker::Storing;
use crate::server::StoreView;

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "broker",
    doc: "The broker as a whole",
    calls: &[
        Call {
            name: "ping",
            doc: "Ask whether the broker answers: pong",
            examples: &["ping"],
            arguments: &[],
            permission: Permission::Read,
            answer: AnswerBy::Value(ping),
        },
        Call {
            name: "about",
            doc: "Show who and where the daemon is",
            examples: &["about"],
            arguments: &[],
            permission: Permission::Read,
            answer: AnswerBy::Value(about),
        },
        Call {
            name: "status",
            doc: "Show how the broker is doing",
            examples: &["status"],
            arguments: &[],
            permission: Permission::Read,
            answer: AnswerBy::Value(status),
        },
        Call {
            name: "reload",
            doc: "Read the configuration again",
            examples: &["reload"],
            arguments: &[],
            permission: Permission::Operate,
            answer: AnswerBy::Value(reload),
        },
        Call {
            name: "stop",
            doc: "Stop the broker in order",
            examples: &["stop"],
            arguments: &[],
            permission: Permission::Operate,
            answer: AnswerBy::Value(stop),
        },
    ],
};

/// How the broker is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The process.
    #[serde(flatten)]
    pub about: About,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// Clients that are connected.
    pub clients_connected: u64,
    /// Sessions, connected or not.
    pub sessions: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Retained messages.
    pub retained_messages: u64,
    /// Application Messages received since the start.
    pub messages_received: u64,
    /// Application Messages sent since the start.
    pub messages_sent: u64,
    /// Messages dropped since the start, whatever the reason.
    pub messages_dropped: u64,
    /// Bytes of queues, outboxes and retained messages.
    pub memory_used_bytes: u64,
    /// Bytes they may have.
    pub memory_limit_bytes: u64,
    /// What outlives the process; absent when nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreStatus>,
}

/// How it stands with what outlives the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// `well`; `full`: no space is left; `failed`: the disk failed. In the last two nothing is
    /// acknowledged that is to be kept, until it is well again.
    pub state: String,
    /// Since when, milliseconds since 1970.
    pub since_unix_ms: u64,
    /// What went wrong, while it is not well.
    pub reason: Option<String>,
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Bytes of what is in use.
    pub live_bytes: u64,
    /// Messages that somebody waits for.
    pub messages: u64,
    /// Bytes written since the start.
    pub written_bytes: u64,
    /// Bytes written in the last 24 hours, or at this rate; absent in the first minute.
    pub written_per_day_bytes: Option<u64>,
    /// Commits since the start.
    pub commits: u64,
    /// Of those, how many waited for the disk.
    pub syncs: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: u64,
    /// When the last commit returned, milliseconds since 1970.
    pub committed_unix_ms: Option<u64>,
    /// The time within which half of the last commits returned, microseconds.
    pub commit_p50_us: u64,
    /// The same for 99 of a hundred.
    pub commit_p99_us: u64,
}

impl StoreStatus {
    fn of(view: StoreView) -> Option<Self> {
        let state = match view.state {
            Storing::Off => return None,
            Storing::Well => "well",
            Storing::Full => "full",
            Storing::Failed => "failed",
        };
        Some(Self {
            state: state.to_owned(),
            since_unix_ms: view.since_unix_ms,
            reason: view.reason,
            file_bytes: view.file_bytes,
            live_bytes: view.live_bytes,
            messages: view.messages,
            written_bytes: view.written_bytes,
            written_per_day_bytes: view.written_per_day_bytes,
            commits: view.commits,
            syncs: view.syncs,
            waiting_bytes: view.waiting_bytes,
            committed_unix_ms: view.committed_unix_ms,
            commit_p50_us: view.commit_p50_us,
            commit_p99_us: view.commit_p99_us,
        })
    }
}

fn ping(_: &Admin, _: &Arguments) -> Result<Value, Problem> {
    Ok(json!("pong"))
}

fn about(admin: &Admin, _: &Arguments) -> Result<Value, Problem> {
    Ok(json!(admin.host.about()))
}

fn status(admin: &Admin, _: &Arguments) -> Result<Value, Problem> {
    let stats = admin.server.stats();
    let value =
        |wanted: &str| stats.rows().find(|(name, _)| *name == wanted).map_or(0, |(_, value)| value);
    Ok(json!(Status {
        about: admin.host.about(),
        listeners: listeners(admin),
        clients_connected: value("clients.connected"),
        sessions: value("sessions"),
        subscriptions: value("subscriptions"),
        retained_messages: value("retained.messages"),
        messages_received: value("messages.received"),
        messages_sent: value("messages.sent"),
        messages_dropped: value("messages.dropped"),
        memory_used_bytes: value("memory.used_bytes"),
        memory_limit_bytes: value("memory.limit_bytes"),
        store: StoreStatus::of(admin.server.store_view()),
    }))
}

fn reload(admin: &Admin, _: &Arguments) -> Result<Value, Problem> {
    admin.host.reload().map(|reloaded| json!(reloaded))
}

fn stop(admin: &Admin, _: &Arguments) -> Result<Value, Problem> {
    admin.host.stop();
    Ok(json!("stopping"))
}
