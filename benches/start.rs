//! What retained messages cost the store, and how long a start takes that finds a million of them and
//! a million queued ones.
//!
//! `cargo bench --bench start [FOLDER]` writes into a folder of its own below FOLDER (the current
//! one), which should lie on a disk. Times are those of the thread that commits, syncs included;
//! bytes are compared with what the kernel counts for the process.

#![expect(clippy::print_stdout, reason = "what it prints is its result")]

use std::path::{Path, PathBuf};

use mqttd::broker::{
    Accepted, Class, Damaged, Envelope, Mid, Recipient, Records, Restore, SessionState, Sid,
    Waiting,
};
use mqttd::codec::{Properties, QoS, Version};
use mqttd::session::Content;
use mqttd::store::{Options, SqliteStore, Store};
use nix::time::{ClockId, clock_gettime};

const PAYLOAD: usize = 256;

fn main() {
    // Cargo hands over an option of its own.
    let folder = std::env::args().skip(1).find(|word| !word.starts_with("--"));
    let folder = tempfile::tempdir_in(folder.unwrap_or_else(|| ".".to_owned())).expect("a folder");
    println!("{:<34} {:>8} {:>10} {:>10} {:>10}", "", "us CPU", "per s", "bytes", "kernel");
    start(&folder.path().join("start.db"));
}

/// Processor time, time, bytes by the store's and by the kernel's count.
struct Meter {
    name: String,
    cpu_ns: u64,
    wall_ns: u64,
    written: u64,
    kernel: u64,
}

impl Meter {
    fn new(name: impl Into<String>, store: &SqliteStore) -> Self {
        let (written, kernel) = (store.usage().written_bytes, kernel_bytes());
        Self { name: name.into(), cpu_ns: 0, wall_ns: 0, written, kernel }
    }

    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let clocks = [ClockId::CLOCK_THREAD_CPUTIME_ID, ClockId::CLOCK_MONOTONIC];
        let before = clocks.map(nanoseconds);
        let result = work();
        let after = clocks.map(nanoseconds);
        self.cpu_ns += after[0] - before[0];
        self.wall_ns += after[1] - before[1];
        result
    }

    fn print(&self, store: &SqliteStore, messages: u64) {
        let payload = (messages * PAYLOAD as u64) as f64;
        let written = store.usage().written_bytes - self.written;
        println!(
            "{:<34} {:>8.2} {:>10.0} {:>10.2} {:>10.2}",
            self.name,
            self.cpu_ns as f64 / 1e3 / messages as f64,
            messages as f64 * 1e9 / self.wall_ns as f64,
            written as f64 / payload,
            (kernel_bytes() - self.kernel) as f64 / payload,
        );
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("a clock that every Linux has");
    u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec()).unwrap_or(0)
}

/// What this process handed to `write`.
fn kernel_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

fn name(number: u64) -> Mid {
    Mid::new(number).expect("names begin at one")
}

fn put_message(records: &mut Records, mid: u64, topic: &str, sids: &[u64], retained: bool) {
    let mut payload = [0; PAYLOAD];
    payload.chunks_mut(8).zip(mid..).for_each(|(eight, number)| {
        eight.copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    });
    let content =
        Content { topic, properties: Properties::EMPTY, payload: &payload, expires_ms: None };
    let accepted = Accepted {
        mid: name(mid),
        content,
        qos: QoS::AtLeastOnce,
        retain: retained,
        retained,
        unix_ms: 1_800_000_000_000,
        unix_less_ticks_ms: 0,
    };
    let recipients = sids.iter().map(|sid| Recipient {
        sid: name(*sid),
        qos: QoS::AtLeastOnce,
        retain: false,
        share: None,
        identifiers: &[],
    });
    records.message(&accepted, recipients, Class::Disk);
}

fn put_session(records: &mut Records, sid: u64) {
    let state = SessionState {
        client_id: &format!("client{sid}"),
        username: None,
        version: Version::V5,
        expiry_interval_secs: 3600,
        created_unix_ms: 1,
        connected_unix_ms: 2,
        disconnected_unix_ms: None,
        will: None,
    };
    records.session(name(sid), &state, true);
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default()).expect("a store")
}

fn commit(store: &mut SqliteStore, records: Records, class: Class) {
    store.commit(&[records], class).expect("a commit");
}

/// A start with 1 000 000 messages for 10 000 sessions and 1 000 000 retained ones.
fn start(path: &Path) {
    const SESSIONS: u64 = 10_000;
    const MESSAGES: u64 = 1_000_000;
    let mut store = open(path);
    let mut records = Records::default();
    (1..=SESSIONS).for_each(|sid| put_session(&mut records, sid));
    commit(&mut store, records, Class::Disk);
    let mut meter = Meter::new("fill 1 M retained", &store);
    for first in (1..=MESSAGES).step_by(1000) {
        let mut records = Records::default();
        for mid in first..first + 1000 {
            put_message(&mut records, mid, &format!("site/{}/state", mid * 7919), &[], true);
        }
        meter.time(|| commit(&mut store, records, Class::Disk));
    }
    meter.print(&store, MESSAGES);
    for first in (MESSAGES + 1..=2 * MESSAGES).step_by(1000) {
        let mut records = Records::default();
        for mid in first..first + 1000 {
            put_message(&mut records, mid, "a/b/c", &[1 + mid % SESSIONS], false);
        }
        commit(&mut store, records, Class::Disk);
    }
    let mut meter = Meter::new("20 of 1 M retained anew, a commit", &store);
    for round in 0..2000 {
        let mut records = Records::default();
        for number in 0..20 {
            let mid = 2 * MESSAGES + 1 + round * 20 + number;
            let topic = format!("site/{}/state", (1 + mid * 7_368_787 % MESSAGES) * 7919);
            put_message(&mut records, mid, &topic, &[], true);
        }
        meter.time(|| commit(&mut store, records, Class::Disk));
    }
    meter.print(&store, 40_000);
    drop(store);
    let resident = resident_mib();
    let began = nanoseconds(ClockId::CLOCK_MONOTONIC);
    let cpu = nanoseconds(ClockId::CLOCK_THREAD_CPUTIME_ID);
    let mut store = open(path);
    let recovered = store.recover(&mut Taken, &mut |_| {}).expect("a store that can be read");
    println!(
        "start with 1 M queued and 1 M retained: {:.2} s, {:.2} s CPU, {} MiB resident",
        (nanoseconds(ClockId::CLOCK_MONOTONIC) - began) as f64 / 1e9,
        (nanoseconds(ClockId::CLOCK_THREAD_CPUTIME_ID) - cpu) as f64 / 1e9,
        resident_mib() - resident
    );
    assert_eq!((recovered.messages, recovered.retained), (MESSAGES, MESSAGES));
    let copy = PathBuf::from(format!("{}.copy", path.display()));
    let mut meter = Meter::new("copy of it", &store);
    meter.time(|| store.backup(&copy, &mut |_| {}).expect("a copy"));
    println!("copy of it: {:.2} s", meter.wall_ns as f64 / 1e9);
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Takes everything in and keeps nothing.
struct Taken;

impl Restore for Taken {
    fn session(&mut self, _sid: Sid, _state: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
    fn subscription(&mut self, _sid: Sid, _filter: &str, _options: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
    fn position(&mut self, _sid: Sid, _cursor: u64, _position: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
    fn received(&mut self, _sid: Sid, _packet_id: u16) {}
    fn sent(&mut self, _sid: Sid, _mid: Mid, _packet_id: u16, _released: bool) {}
    fn retained(&mut self, _mid: Mid, _body: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
    fn message(&mut self, _mid: Mid, envelope: &[u8]) -> Result<Waiting, Damaged> {
        let recipients = Envelope::open(envelope).ok_or(Damaged)?.recipients().count();
        let recipients = u32::try_from(recipients).map_err(|_| Damaged)?;
        Ok(Waiting { recipients, wants_body: false })
    }
    fn body(&mut self, _mid: Mid, _body: &[u8]) -> Result<(), Damaged> {
        Ok(())
    }
}
