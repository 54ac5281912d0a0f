//! A daemon made of a control socket and prepared answers.

use std::sync::Arc;

use mqttd::admin::{Answers, Problem, Reply};
use mqttd::control::{Door, Serving, serve};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

use crate::bench::Home;

/// Rows `clients.list` has.
pub(crate) const CLIENTS: usize = 5000;

pub(crate) struct Double {
    pub(crate) home: Home,
    pub(crate) feed: broadcast::Sender<Arc<str>>,
    _serving: Serving,
    _runtime: tokio::runtime::Runtime,
}

/// Begins to answer in a new home.
pub(crate) fn double() -> Double {
    let home = Home::bare();
    std::fs::create_dir(home.path().join("run")).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (feed, _) = broadcast::channel(64);
    let door = Door::bind(&home.socket(), None).unwrap();
    let answers = Arc::new(Prepared { feed: feed.clone() });
    let serving = serve(door, answers, runtime.handle()).unwrap();
    Double { home, feed, _serving: serving, _runtime: runtime }
}

struct Prepared {
    feed: broadcast::Sender<Arc<str>>,
}

impl Answers for Prepared {
    fn answer(&self, call: &str, arguments: Map<String, Value>) -> Result<Reply, Problem> {
        let id = || arguments["client_id"].as_str().unwrap_or_default().to_owned();
        match call {
            "ping" => Ok(Reply::Value(json!("pong"))),
            "about" => Ok(Reply::Value(about())),
            "stop" => Err(Problem::new("permission_denied", "the double does not stop")),
            "reload" => Err(Problem::new("config_invalid", "mqttd.toml:3:1: no such key")),
            "clients.list" => {
                let mut clients = (0..CLIENTS).map(client);
                Ok(Reply::Pages(Box::new(move || {
                    let page: Vec<_> = clients.by_ref().take(256).collect();
                    Ok((!page.is_empty()).then_some(page))
                })))
            }
            "clients.kick" if id() == "client-1" => {
                Ok(Reply::Value(json!({ "client_id": id(), "kicked": true })))
            }
            "clients.kick" | "clients.show" => {
                Err(Problem::new("not_found", format!("there is no client {:?}", id())))
            }
            "log.tail" => Ok(Reply::Lines(self.feed.subscribe())),
            _ => Err(Problem::new("unknown_call", format!("no call {call:?}"))),
        }
    }
}

fn about() -> Value {
    json!({
        "version": "0.9.0", "pid": std::process::id(), "managed_by": "daemon",
        "uptime_secs": 61, "started_unix_ms": 0, "config_file": "/x/mqttd.toml",
        "config_changed": false, "data_dir": "/x", "open_files_max": 1024,
        "connections_max": 1000, "resident_bytes": 4096,
    })
}

fn client(number: usize) -> Value {
    json!({
        "client_id": format!("client-{number}"), "username": null, "protocol": "5.0",
        "connected": true, "peer": "127.0.0.1:9", "clean_start": true, "keep_alive_secs": 60,
        "session_expiry_interval_secs": 0, "created_unix_ms": 0, "connected_unix_ms": 0,
        "disconnected_unix_ms": null, "subscriptions": 1, "inflight": 0, "awaiting_pubrel": 0,
        "queue_messages": 0, "queue_bytes": 0, "will": false, "messages_in": 2,
        "messages_out": 3, "messages_dropped": 0,
    })
}
