//! Bytes on the control socket: cut into lines, read as requests, and answered by a broker that
//! serves nobody else; and the same lines as a daemon's, read by the command.
//!
//! Promises: no panic; the pieces do not matter; no line above the limit; a problem has words that
//! a terminal can show; what was read, written and read again, is the same.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use mqttd::admin::exchange::Entry;
use mqttd::admin::{
    About, Admin, Answers, Arguments, Copying, Host, NOUNS, Problem, Reloaded, Reply, Taking,
};
use mqttd::broker::{Admission, Directions, Limits, Methods};
use mqttd::codec::{
    Connect, Packet, Properties, QoS, Subscribe, SubscriptionOptions, SubscriptionRequest, Version,
    encode,
};
use mqttd::control::{Cut, Hello, REQUEST_BYTES_MAX, Request};
use mqttd::daemon::config::Loaded;
use mqttd::server::{Anonymous, Options, Server};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

/// Requests of one run; more would only take longer.
const REQUESTS_MAX: usize = 20;
/// Pages of one answer that are turned.
const PAGES_MAX: usize = 20;

/// The first byte says how large the pieces are in which the rest comes.
pub fn run(bytes: &[u8]) {
    let Some((&size, sent)) = bytes.split_first() else { return };
    let whole = cuts(&mut sent.chunks(sent.len().max(1)));
    assert_eq!(cuts(&mut sent.chunks(1 + usize::from(size))), whole, "pieces matter");
    let lines = whole.iter().filter_map(|cut| match cut {
        Cut::Line(line) => Some(line),
        Cut::TooLong => None,
    });
    STAGE.set();
    let mut lines = lines.take(REQUESTS_MAX);
    while let Some(line) = lines.next() {
        assert!(line.len() <= REQUEST_BYTES_MAX && !line.contains(&b'\n'));
        comes_back::<mqttd::control::Reply>(line);
        comes_back::<Hello>(line);
        match Request::read(line) {
            Ok(request) => {
                comes_back::<Request>(line);
                if let Some(taking) = answer(request) {
                    take(taking, &mut lines);
                }
            }
            Err(problem) => shown(&problem),
        }
    }
}

/// What a conversation cuts from what comes; it ends with a line that is too long.
fn cuts(pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<Cut> {
    let (mut cuts, mut read) = (Vec::new(), Vec::new());
    for piece in pieces {
        read.extend_from_slice(piece);
        while let Some(cut) = Cut::first(&mut read) {
            cuts.push(cut);
            if cuts.last() == Some(&Cut::TooLong) {
                return cuts;
            }
        }
    }
    cuts
}

fn comes_back<F: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(line: &[u8]) {
    let Ok(frame) = serde_json::from_slice::<F>(line) else { return };
    let written = serde_json::to_vec(&frame).expect("a frame has a line");
    assert!(!written.contains(&b'\n'), "two lines for a frame");
    assert_eq!(serde_json::from_slice::<F>(&written).expect("its own line"), frame);
}

/// Lines for a call that takes some, up to an empty one.
fn take(mut taking: Taking, lines: &mut dyn Iterator<Item = &Vec<u8>>) {
    for line in lines {
        if line.is_empty() {
            if let Err(problem) = taking.finish() {
                shown(&problem);
            }
            return;
        }
        comes_back::<Entry>(line);
        if let Err(problem) = taking.take(line) {
            return shown(&problem);
        }
    }
}

/// Answers a request; what takes lines is given back.
fn answer(request: Request) -> Option<Taking> {
    let calls = || NOUNS.iter().flat_map(|noun| noun.calls);
    let known = calls().find(|call| call.name == request.call);
    let fits = known.is_some_and(|call| Arguments::check(call, request.args.clone()).is_ok());
    match STAGE.admin.answer(&request.call, request.args) {
        Ok(reply) => {
            assert!(fits, "answered in spite of its arguments");
            turn(reply)
        }
        Err(problem) => {
            shown(&problem);
            None
        }
    }
}

fn turn(reply: Reply) -> Option<Taking> {
    match reply {
        Reply::Value(value) => assert!(value.to_string().len() < 1 << 20),
        Reply::Pages(mut pages) => {
            for page in std::iter::from_fn(|| pages().unwrap_or_default()).take(PAGES_MAX) {
                assert!(page.len() <= 1024, "{} rows of a page", page.len());
            }
        }
        Reply::Lines(lines) => drop(lines),
        Reply::Takes(taking) => return Some(taking),
    }
    None
}

fn shown(problem: &Problem) {
    assert!(!problem.code.is_empty() && !problem.message.is_empty());
    let words = format!("{}{}", problem.message, problem.hint.as_deref().unwrap_or_default());
    assert!(!words.contains(char::is_control), "{words:?}");
}

/// A broker without a listener; it stays for all runs.
static STAGE: LazyLock<Stage> = LazyLock::new(Stage::new);

struct Stage {
    server: Server,
    admin: Admin,
}

impl Stage {
    fn new() -> Self {
        let config = Loaded::defaults().config;
        let options = Options {
            shards: 2,
            tcp: Vec::new(),
            limits: Limits { memory_bytes_max: 1 << 20, ..config.limits },
            anonymous: Anonymous::Always,
            methods: Methods::default(),
            directions: Directions::default(),
            draining: false,
            sys_interval_secs: 0,
            sync_delay_ms_max: 0,
            connections_max: 10,
            connect_timeout_secs: 10,
            connecting_max: 10,
        };
        let server = Server::start(options, Vec::new()).expect("a server without a listener");
        Self { admin: Admin::new(server.clone(), Arc::new(Process)), server }
    }

    /// Two clients that are there, each with a subscription, and nothing retained: whatever the
    /// run before did.
    fn set(&self) {
        for (client_id, filter) in [("ann", "a/+"), ("bob", "$share/g/#")] {
            let connect = connect(client_id);
            let peer = SocketAddr::from(([127, 0, 0, 1], 1024));
            let limits = self.server.commons().limits();
            let admission = Admission::new(&connect, peer, &limits, || "nobody".into());
            let admission = admission.expect("a CONNECT that is in order");
            self.server.ask(self.server.home(client_id), |shard, now| {
                let id = shard.admit(admission, now).expect("room for two sessions");
                shard.receive(id, &subscribe(filter), now);
            });
        }
        let now = self.server.ask(0, |_, now| now);
        for filter in ["#", "$SYS/#"] {
            for retained in self.server.commons().retained(filter, usize::MAX, now) {
                self.server.ask(0, |shard, now| shard.forget_retained(&retained.topic, now));
            }
        }
    }
}

fn connect(client_id: &str) -> Connect<'_> {
    Connect {
        version: Version::V5,
        bridge: false,
        clean_start: true,
        keep_alive_secs: 0,
        properties: Properties::EMPTY,
        client_id,
        will: None,
        username: None,
        password: None,
    }
}

fn subscribe(filter: &str) -> Vec<u8> {
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    let options = SubscriptionOptions::new(QoS::AtLeastOnce);
    SubscriptionRequest { filter, options }.write(&mut payload);
    let subscribe = Subscribe::new(1, Properties::EMPTY, &payload);
    encode(&Packet::Subscribe(subscribe), Version::V5, &mut bytes);
    bytes
}

/// The process around the broker; it only says what it is.
struct Process;

impl Host for Process {
    fn about(&self) -> About {
        About {
            version: "1.0.0".to_owned(),
            pid: 1,
            managed_by: "foreground".to_owned(),
            uptime_secs: 1,
            started_unix_ms: 1_700_000_000_000,
            config_file: "mqttd.toml".to_owned(),
            config_changed: false,
            data_dir: "data".to_owned(),
            open_files_max: 1024,
            connections_max: 10,
            resident_bytes: 1 << 20,
            recovered: None,
        }
    }

    fn reload(&self) -> Result<Reloaded, Problem> {
        Ok(Reloaded::default())
    }

    fn backup(&self) -> Result<Copying, Problem> {
        Err(Problem::new("busy", "another backup is being made"))
    }

    fn stop(&self) {}

    fn log_level(&self) -> String {
        "info".to_owned()
    }

    fn set_log_level(&self, _level: &str) -> Result<(), Problem> {
        Ok(())
    }

    fn watch_log(&self) -> broadcast::Receiver<Arc<str>> {
        broadcast::channel(1).1
    }
}
