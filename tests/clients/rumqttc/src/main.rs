//! rumqttc behind the line protocol of tests/clients (see parties.py).
//!
//! Called by the runner as a process; one JSON object a line, both ways. It adds nothing to what the
//! library does: a connection that broke is not made again.

mod v4;
mod v5;

use std::collections::{HashMap, VecDeque};
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

/// Requests that wait in the library.
pub(crate) const CAPACITY: usize = 100_000;

/// Bytes of the largest packet a test sends.
pub(crate) const PACKET_BYTES_MAX: usize = 256 * 1024 * 1024;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, serve());
    std::process::exit(0); // a read of stdin may be left
}

async fn serve() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut connections: HashMap<String, UnboundedSender<Value>> = HashMap::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let given: Value = serde_json::from_str(&line).unwrap();
        let name = text(&given, "name");
        if given["do"] == "connect" {
            let (sender, receiver) = unbounded_channel();
            connections.insert(name, sender);
            if given["version"] == "5" {
                tokio::task::spawn_local(v5::run(given, receiver));
            } else {
                tokio::task::spawn_local(v4::run(given, receiver));
            }
        } else {
            let id = given["id"].clone();
            let sender = connections.get(&name);
            if sender.is_none_or(|sender| sender.send(given).is_err()) {
                say(json!({ "id": id, "error": "the connection is over" }));
            }
        }
    }
}

pub(crate) type Asked = UnboundedReceiver<Value>;

/// Who waits for which answer. The library names the packet identifier once it has sent.
#[derive(Default)]
pub(crate) struct Waiting {
    publishes: VecDeque<Value>,
    others: VecDeque<Value>,
    sent: HashMap<u16, Value>,
}

impl Waiting {
    pub(crate) fn asked(&mut self, given: &Value) {
        let list = if given["do"] == "publish" { &mut self.publishes } else { &mut self.others };
        list.push_back(given["id"].clone());
    }

    /// A PUBLISH left; with QoS 0 that is all.
    pub(crate) fn published(&mut self, packet_id: u16) {
        let Some(id) = self.publishes.pop_front() else { return };
        if packet_id == 0 {
            say(json!({ "id": id, "ok": { "reason": 0 } }));
        } else {
            self.sent.insert(packet_id, id);
        }
    }

    /// A SUBSCRIBE, UNSUBSCRIBE or DISCONNECT left.
    pub(crate) fn left(&mut self, packet_id: u16) {
        if let Some(id) = self.others.pop_front() {
            self.sent.insert(packet_id, id);
        }
    }

    pub(crate) fn answered(&mut self, packet_id: u16, answer: Value) {
        if let Some(id) = self.sent.remove(&packet_id) {
            say(json!({ "id": id, "ok": answer }));
        }
    }
}

pub(crate) fn say(line: Value) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").unwrap();
    stdout.flush().unwrap();
}

pub(crate) fn text(given: &Value, name: &str) -> String {
    given[name].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn bytes(given: &Value, name: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text(given, name)).unwrap()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub(crate) fn number(given: &Value, name: &str) -> u64 {
    given[name].as_u64().unwrap_or_default()
}

pub(crate) fn list(given: &Value) -> &[Value] {
    given.as_array().map(Vec::as_slice).unwrap_or_default()
}
