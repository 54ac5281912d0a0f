//! Sessions: what the broker keeps for clients, connected or not.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{AnswerBy, Argument, Arguments, Call, Completion, Kind, Noun, Pages, Permission};
use super::clients::{Walk, absent, pages, protocol};
use super::{Admin, Problem};
use crate::broker::ClientView;

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "sessions",
    doc: "Sessions: what is kept for clients, connected or away",
    calls: &[
        Call {
            name: "sessions.list",
            doc: "List sessions, in the order of their client identifiers",
            examples: &[
                "sessions list",
                "sessions list --offline",
                "sessions list --limit 100 --after sensor-0099",
            ],
            arguments: &[
                Argument::option("offline", Kind::Flag, "Only sessions whose client is away"),
                Argument::option(
                    "limit",
                    Kind::Number(1, u64::MAX),
                    "At most this many [default: all]",
                ),
                Argument::option(
                    "after",
                    Kind::Text,
                    "Begin behind this client identifier (the last one of the list before)",
                ),
            ],
            permission: Permission::Read,
            answer: AnswerBy::Pages(list),
        },
        Call {
            name: "sessions.show",
            doc: "Show the session of a client",
            examples: &["sessions show attic-sensor"],
            arguments: &[CLIENT_ID],
            permission: Permission::Read,
            answer: AnswerBy::Value(show),
        },
        Call {
            name: "sessions.delete",
            doc: "End a client's connection and its session for good, with all that waits for it",
            examples: &["sessions delete attic-sensor", "sessions delete attic-sensor --yes"],
            arguments: &[CLIENT_ID],
            permission: Permission::Destroy,
            answer: AnswerBy::Value(delete),
        },
    ],
};

const CLIENT_ID: Argument = Argument::required("client_id", Kind::Text, "Client Identifier")
    .completed(Completion::ClientId);

/// One session, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Client Identifier.
    pub client_id: String,
    /// User Name of the last CONNECT.
    pub username: Option<String>,
    /// Protocol version of the last CONNECT: `3.1`, `3.1.1` or `5.0`.
    pub protocol: String,
    /// Whether the client is connected.
    pub connected: bool,
    /// When the session began, milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When the last connection began.
    pub connected_unix_ms: u64,
    /// Since when the client is away; `None` while it is connected.
    pub disconnected_unix_ms: Option<u64>,
    /// Session Expiry Interval in force, seconds; 0 = ends with the connection, 4294967295 = never.
    pub expiry_interval_secs: u32,
    /// When it ends if the client stays away; `None` while it is connected, and for never.
    pub expires_unix_ms: Option<u64>,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Messages waiting for their turn.
    pub queue_messages: usize,
    /// Bytes of them.
    pub queue_bytes: u64,
    /// How many of them are on disk only, but for their names.
    #[serde(default)]
    pub queue_disk_messages: usize,
    /// Bytes of those.
    #[serde(default)]
    pub queue_disk_bytes: u64,
    /// QoS 1 and 2 messages sent and not acknowledged.
    pub inflight: usize,
    /// QoS 2 messages received and not released.
    pub awaiting_pubrel: usize,
    /// Whether a Will is armed.
    pub will: bool,
    /// Messages dropped for this session, whatever the reason.
    pub messages_dropped: u64,
}

impl From<ClientView> for Session {
    fn from(view: ClientView) -> Self {
        let expiry_interval_secs = view.session_expiry_interval_secs;
        let lasts_ms = u64::from(expiry_interval_secs) * 1000;
        let expires = expiry_interval_secs != u32::MAX;
        Self {
            client_id: view.client_id.into(),
            username: view.username.map(Into::into),
            protocol: protocol(view.version).to_owned(),
            connected: view.connected,
            created_unix_ms: view.created_unix_ms,
            connected_unix_ms: view.connected_unix_ms,
            disconnected_unix_ms: view.disconnected_unix_ms,
            expiry_interval_secs,
            expires_unix_ms: view
                .disconnected_unix_ms
                .filter(|_| expires)
                .map(|since_ms| since_ms + lasts_ms),
            subscriptions: view.subscriptions,
            queue_messages: view.queue_messages,
            queue_bytes: view.queue_bytes,
            queue_disk_messages: view.parked_messages,
            queue_disk_bytes: view.parked_bytes,
            inflight: view.inflight,
            awaiting_pubrel: view.awaiting_pubrel,
            will: view.will,
            messages_dropped: view.messages_dropped,
        }
    }
}

fn list(admin: &Admin, arguments: &Arguments) -> Result<Pages, Problem> {
    let offline = arguments.flag("offline");
    let limit = arguments.number("limit").unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let rows = Walk::after(&admin.server, arguments.text("after"))
        .filter(move |view| !(offline && view.connected))
        .take(limit)
        .map(|view| json!(Session::from(view)));
    Ok(pages(rows))
}

fn show(admin: &Admin, arguments: &Arguments) -> Result<Value, Problem> {
    let client_id = arguments.text("client_id").unwrap_or_default();
    let home = admin.server.home(client_id);
    match admin.server.ask(home, |shard, _| shard.client(client_id)) {
        Some(view) => Ok(json!(Session::from(view))),
        None => Err(absent(client_id)),
    }
}

fn delete(admin: &Admin, arguments: &Arguments) -> Result<Value, Problem> {
    let client_id = arguments.text("client_id").unwrap_or_default();
    let home = admin.server.home(client_id);
    if admin.server.ask(home, |shard, now| shard.delete_session(client_id, now)) {
        Ok(json!({ "client_id": client_id, "deleted": true }))
    } else {
        Err(absent(client_id))
    }
}
