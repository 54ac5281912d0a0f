//! Clients: sessions, and the connections of those that are there.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::{AnswerBy, Argument, Arguments, Call, Completion, Kind, Noun, Pages, Permission};
use super::{Admin, Problem};
use crate::broker::ClientView;
use crate::codec::Version;
use crate::server::Server;

/// The noun.
pub(super) const NOUN: Noun = Noun {
    name: "clients",
    doc: "Clients: who is connected, and whose session waits for them",
    calls: &[
        Call {
            name: "clients.list",
            doc: "List clients, in the order of their identifiers",
            examples: &[
                "clients list",
                "clients list --filter sensor --limit 20",
                "clients list --connected --json",
            ],
            arguments: &[
                Argument::option(
                    "filter",
                    Kind::Text,
                    "Only clients whose identifier, user name or address contains this text",
                ),
                Argument::option("connected", Kind::Flag, "Only clients that are connected"),
                Argument::option(
                    "limit",
                    Kind::Number(1, u64::MAX),
                    "At most this many [default: all]",
                ),
            ],
            permission: Permission::Read,
            answer: AnswerBy::Pages(list),
        },
        Call {
            name: "clients.show",
            doc: "Show all that is known of one client",
            examples: &["clients show attic-sensor"],
            arguments: &[CLIENT_ID],
            permission: Permission::Read,
            answer: AnswerBy::Value(show),
        },
        Call {
            name: "clients.kick",
            doc: "End a client's connection; its session stays, and it may come back",
            examples: &["clients kick attic-sensor"],
            arguments: &[CLIENT_ID],
            permission: Permission::Operate,
            answer: AnswerBy::Value(kick),
        },
    ],
};

const CLIENT_ID: Argument = Argument::required("client_id", Kind::Text, "Client Identifier")
    .completed(Completion::ClientId);

/// Clients read from a shard at once.
const PAGE_ROWS: usize = 256;

/// One client, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Client Identifier.
    pub client_id: String,
    /// User Name of the last CONNECT.
    pub username: Option<String>,
    /// Protocol version of the last CONNECT: `3.1`, `3.1.1` or `5.0`.
    pub protocol: String,
    /// Whether a network connection is up.
    pub connected: bool,
    /// Address of the peer, when connected.
    pub peer: Option<String>,
    /// Clean Start of the last CONNECT.
    pub clean_start: bool,
    /// Keep Alive in force, seconds; 0 = off.
    pub keep_alive_secs: u16,
    /// Session Expiry Interval in force, seconds.
    pub session_expiry_interval_secs: u32,
    /// When the session began, milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When the connection began.
    pub connected_unix_ms: u64,
    /// When the last connection ended; `None` while connected.
    pub disconnected_unix_ms: Option<u64>,
    /// Subscriptions.
    pub subscriptions: usize,
    /// QoS 1 and 2 messages sent and not acknowledged.
    pub inflight: usize,
    /// QoS 2 messages received and not released.
    pub awaiting_pubrel: usize,
    /// Messages waiting.
    pub queue_messages: usize,
    /// Bytes waiting.
    pub queue_bytes: u64,
    /// Whether a Will is armed.
    pub will: bool,
    /// Application Messages received over this connection.
    pub messages_in: u64,
    /// Application Messages sent over this connection.
    pub messages_out: u64,
    /// Messages dropped for this session, whatever the reason.
    pub messages_dropped: u64,
}

impl From<ClientView> for Client {
    fn from(view: ClientView) -> Self {
        Self {
            client_id: view.client_id.into(),
            username: view.username.map(Into::into),
            protocol: protocol(view.version).to_owned(),
            connected: view.connected,
            peer: view.peer.map(|peer| peer.to_string()),
            clean_start: view.clean_start,
            keep_alive_secs: view.keep_alive_secs,
            session_expiry_interval_secs: view.session_expiry_interval_secs,
            created_unix_ms: view.created_unix_ms,
            connected_unix_ms: view.connected_unix_ms,
            disconnected_unix_ms: view.disconnected_unix_ms,
            subscriptions: view.subscriptions,
            inflight: view.inflight,
            awaiting_pubrel: view.awaiting_pubrel,
            queue_messages: view.queue_messages,
            queue_bytes: view.queue_bytes,
            will: view.will,
            messages_in: view.messages_in,
            messages_out: view.messages_out,
            messages_dropped: view.messages_dropped,
        }
    }
}

/// A protocol version as operators say it.
pub(super) const fn protocol(version: Version) -> &'static str {
    match version {
        Version::V31 => "3.1",
        Version::V311 => "3.1.1",
        Version::V5 => "5.0",
    }
}

/// All clients in the order of their identifiers, read from the shards piece by piece. A client
/// that comes or goes meanwhile may be seen or not; none is seen twice.
pub(super) struct Walk {
    server: Server,
    shards: Vec<Portion>,
}

/// What has been read of one shard and not handed out.
#[derive(Default)]
struct Portion {
    waiting: VecDeque<ClientView>,
    /// Identifier of the last one read, or where to begin.
    last: Option<Box<str>>,
    exhausted: bool,
}

impl Walk {
    pub(super) fn new(server: &Server) -> Self {
        Self::after(server, None)
    }

    /// Those behind an identifier, which need not be there any more.
    pub(super) fn after(server: &Server, client_id: Option<&str>) -> Self {
        let portion = |_| Portion { last: client_id.map(Into::into), ..Portion::default() };
        Self { server: server.clone(), shards: (0..server.shards()).map(portion).collect() }
    }

    fn fill(&mut self) {
        for (shard, portion) in self.shards.iter_mut().enumerate() {
            if !portion.waiting.is_empty() || portion.exhausted {
                continue;
            }
            let after = portion.last.take();
            let read =
                self.server.ask(shard, |shard, _| shard.clients(after.as_deref(), PAGE_ROWS));
            portion.exhausted = read.len() < PAGE_ROWS;
            portion.last = read.last().map(|client| client.client_id.clone());
            portion.waiting = read.into();
        }
    }
}

impl Iterator for Walk {
    type Item = ClientView;

    fn next(&mut self) -> Option<ClientView> {
        self.fill();
        self.shards
            .iter_mut()
            .filter(|portion| !portion.waiting.is_empty())
            .min_by(|one, other| {
                let id =
                    |portion: &Portion| portion.waiting.front().map(|view| view.client_id.clone());
                id(one).cmp(&id(other))
            })?
            .waiting
            .pop_front()
    }
}

fn list(admin: &Admin, arguments: &Arguments) -> Result<Pages, Problem> {
    let filter = arguments.text("filter").unwrap_or_default().to_lowercase();
    let connected = arguments.flag("connected");
    let limit = arguments.number("limit").unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let rows = Walk::new(&admin.server)
        .map(Client::from)
        .filter(move |client| (client.connected || !connected) && fits(client, &filter))
        .take(limit)
        .map(|client| json!(client));
    Ok(pages(rows))
}

fn fits(client: &Client, filter: &str) -> bool {
    let contains = |text: &str| text.to_lowercase().contains(filter);
    contains(&client.client_id)
        || client.username.as_deref().is_some_and(contains)
        || client.peer.as_deref().is_some_and(contains)
}

/// Rows in pages of a size that is quick to make and not many lines.
pub(super) fn pages(mut rows: impl Iterator<Item = Value> + Send + 'static) -> Pages {
    Box::new(move || {
        let page: Vec<_> = rows.by_ref().take(PAGE_ROWS).collect();
        Ok((!page.is_empty()).then_some(page))
    })
}

fn show(admin: &Admin, arguments: &Arguments) -> Result<Value, Problem> {
    let client_id = arguments.text("client_id").unwrap_or_default();
    let home = admin.server.home(client_id);
    let view = admin.server.ask(home, |shard, _| shard.client(client_id));
    match view {
        Some(view) => Ok(json!(Client::from(view))),
        None => Err(absent(client_id)),
    }
}

fn kick(admin: &Admin, arguments: &Arguments) -> Result<Value, Problem> {
    let client_id = arguments.text("client_id").unwrap_or_default();
    let home = admin.server.home(client_id);
    let (known, kicked) = admin.server.ask(home, |shard, now| {
        let known = shard.client(client_id).is_some();
        (known, shard.kick(client_id, now))
    });
    match (known, kicked) {
        (_, true) => Ok(json!({ "client_id": client_id, "kicked": true })),
        (true, false) => {
            Err(Problem::new("not_connected", format!("client {client_id:?} is not connected")))
        }
        (false, false) => Err(absent(client_id)),
    }
}

/// The problem of asking for a client that is not there.
pub(super) fn absent(client_id: &str) -> Problem {
    Problem::new("not_found", format!("there is no client {client_id:?}"))
        .hint("mqttd clients list --filter TEXT")
}
