//! The broker as a whole: does it answer, how is it doing, reload, stop.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{AnswerBy, Arguments, Call, Noun, Permission};
use super::listeners::{Listener, listeners};
use super::{About, Admin, Problem};

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
    }))
}

fn reload(admin: &Admin, _: &Arguments) -> Result<Value, Problem> {
    admin.host.reload().map(|reloaded| json!(reloaded))
}

fn stop(admin: &Admin, _: &Arguments) -> Result<Value, Problem> {
    admin.host.stop();
    Ok(json!("stopping"))
}
