//! What the store alone costs for each message: CPU of its thread and bytes written, without broker,
//! sockets or other threads.
//!
//! `cargo bench --bench store -- DIR [BATCHES [MESSAGES]]` writes in a new folder below DIR, which must
//! be on the disk that is meant, and prints a Markdown table: of all it measures or, with MESSAGES, of the
//! churn with so many a commit alone. `scripts/bench --durable` calls it.

#![expect(clippy::print_stdout, reason = "what it prints is its result")]

use std::path::{Path, PathBuf};

use mqttd::broker::{Accepted, Class, Mid, Position, Recipient, Records, SessionState, Sid};
use mqttd::codec::{Properties, QoS, Version};
use mqttd::session::Content;
use mqttd::store::{Options, SqliteStore, Store};

const PAYLOAD: usize = 256;
const SESSIONS: u64 = 1000;
/// Commits between a message and the word that its recipient is done with it.
const LATE: u64 = 3;
/// Commits between two positions of a session, and two looks at what can wait: about a second's worth.
const POSITIONS_EVERY: u64 = 1000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let place = words.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let batches = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(2000);
    let only: Option<u64> = words.get(2).and_then(|word| word.parse().ok());
    let home = place.join(format!("mqttd-bench-store-{}", std::process::id()));
    println!("| | CPU us | messages/s | written |\n|---|---:|---:|---:|");
    let churned = only.map_or_else(|| vec![16, 256, 4096], |only| vec![only]);
    for batch in churned {
        let batches = (batches * 256 / batch).min(4 * batches).max(1);
        let mut run = Run::new(&home);
        let spent = measured(|| run.churn(batches, batch));
        told(&format!("churn, {batch} messages a commit"), batches * batch, &spent);
    }
    if only.is_none() {
        away(&home, batches);
    }
    if let Err(error) = std::fs::remove_dir_all(&home) {
        println!("\n{}: {error}", home.display());
    }
}

/// What sessions that are away are sent, and what they find when they come.
fn away(home: &Path, batches: u64) {
    let (batch, mut run) = (256, Run::new(home));
    let messages = batches * batch;
    let spent = measured(|| run.store(batches, batch));
    told(&format!("{messages} messages for {SESSIONS} sessions that are away"), messages, &spent);
    let spent = measured(|| run.drain(messages, batch));
    told("the same, taken session by session", messages, &spent);
}

fn told(what: &str, messages: u64, spent: &Spent) {
    println!(
        "| {what} | {:.2} | {:.0} | {:.2} |",
        spent.cpu_ns as f64 / 1000.0 / messages as f64,
        messages as f64 / spent.secs,
        spent.written_bytes as f64 / (messages * PAYLOAD as u64) as f64,
    );
}

/// A store that grows.
struct Run {
    store: SqliteStore,
    records: Vec<Records>,
    next_mid: u64,
}

impl Run {
    fn new(home: &Path) -> Self {
        if home.exists() {
            std::fs::remove_dir_all(home).expect("the folder is ours");
        }
        std::fs::create_dir_all(home).expect("a place that can be written");
        let store = SqliteStore::open(&home.join("store"), Options::default());
        let store = store.expect("a place that can be written");
        let mut run = Self { store, records: vec![Records::default()], next_mid: 1 };
        for number in 1..=SESSIONS {
            let state = SessionState {
                client_id: &format!("session-{number}"),
                username: None,
                version: Version::V5,
                expiry_interval_secs: u32::MAX,
                created_unix_ms: 1,
                connected_unix_ms: 1,
                disconnected_unix_ms: None,
                will: None,
            };
            run.records[0].session(sid(number), &state, true);
        }
        run.commit();
        run
    }

    fn commit(&mut self) {
        self.store.commit(&self.records, Class::Disk).expect("the store works");
        self.records[0].clear();
    }

    /// One message, for one session; the sessions in turn.
    fn accept(&mut self) {
        let name = mid(self.next_mid);
        let content = Content {
            topic: "bench/store/topic",
            properties: Properties::EMPTY,
            payload: &[b'x'; PAYLOAD],
            expires_ms: None,
        };
        let accepted = Accepted {
            mid: name,
            content,
            qos: QoS::AtLeastOnce,
            retain: false,
            retained: false,
            unix_ms: 1_800_000_000_000,
            unix_less_ticks_ms: 0,
        };
        let recipient = Recipient {
            sid: sid(self.next_mid % SESSIONS + 1),
            qos: QoS::AtLeastOnce,
            retain: false,
            share: None,
            identifiers: &[],
        };
        self.records[0].message(&accepted, std::iter::once(recipient), Class::Disk);
        self.next_mid += 1;
    }

    fn positions(&mut self, cursor: u64) {
        for number in 1..=SESSIONS {
            let position = Position { cursor, ..Position::default() };
            self.records[0].position(sid(number), &position);
        }
    }

    /// Messages come, and their recipients are done with them some commits later.
    fn churn(&mut self, batches: u64, batch: u64) {
        for number in 0..batches {
            for _ in 0..batch {
                self.accept();
            }
            let done = self.next_mid.saturating_sub((LATE + 1) * batch);
            for name in done.max(1)..(done + batch).min(self.next_mid) {
                self.records[0].done(mid(name));
            }
            if number % POSITIONS_EVERY == POSITIONS_EVERY - 1 {
                self.positions(done);
                self.maintain();
            }
            self.commit();
        }
    }

    fn store(&mut self, batches: u64, batch: u64) {
        for _ in 0..batches {
            for _ in 0..batch {
                self.accept();
            }
            self.commit();
        }
    }

    /// Session after session reads what is its own, and is done with it.
    fn drain(&mut self, messages: u64, batch: u64) {
        let mut bytes = 0;
        let step = usize::try_from(SESSIONS).expect("a small number");
        for session in 0..SESSIONS {
            let first = if session == 0 { SESSIONS } else { session };
            for name in (first..=messages).step_by(step) {
                let read = &mut |_: &[u8], body: &[u8]| bytes += body.len();
                let is_there = self.store.load(mid(name), read).expect("the store works");
                assert!(is_there, "message {name} is there");
                self.records[0].done(mid(name));
                if self.records[0].len() as u64 >= batch {
                    self.commit();
                }
            }
        }
        self.positions(messages);
        self.commit();
        while self.store.maintain().expect("the store works") {}
        assert!(bytes as u64 > messages * PAYLOAD as u64, "bodies hold their payloads");
    }

    fn maintain(&mut self) {
        self.store.maintain().expect("the store works");
    }
}

fn sid(number: u64) -> Sid {
    Sid::new(number).expect("from 1")
}

fn mid(number: u64) -> Mid {
    Mid::new(number).expect("from 1")
}

/// What a piece of work took of this thread.
struct Spent {
    secs: f64,
    cpu_ns: u64,
    written_bytes: u64,
}

#[expect(clippy::disallowed_methods, reason = "a benchmark times")]
fn measured(work: impl FnOnce()) -> Spent {
    let (started, cpu_ns, written) = (std::time::Instant::now(), cpu_ns(), written_bytes());
    work();
    Spent {
        secs: started.elapsed().as_secs_f64(),
        cpu_ns: self::cpu_ns() - cpu_ns,
        written_bytes: written_bytes() - written,
    }
}

/// Time on a processor so far (`schedstat`, proc(5)).
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// `write_bytes` of proc_pid_io(5).
fn written_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}
