//! `$SYS/broker/…`: what the broker tells clients of itself, by the names mosquitto gave it.
//!
//! A task of the lobby turns every `sys_interval_secs`: it reads the counters, and publishes through
//! the first shard, retained, what has changed since the last turn. Nobody waits for it. Values that
//! mosquitto counts otherwise: retained messages do not include these topics themselves, the store
//! counts a message once for each session it waits for where nothing is kept on a disk, and the heap
//! is the anonymous memory that is resident, as the kernel counts it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::clock::Clock;
use super::errands::Errands;
use super::shared::Shared;
use crate::broker::{Now, Stats, Storing};

/// Topics below `$SYS/broker/` whose value is a row of the counters.
const COUNTERS: &[(&str, &str)] = &[
    ("bytes/received", "bytes.received"),
    ("bytes/sent", "bytes.sent"),
    ("clients/active", "clients.connected"),
    ("clients/connected", "clients.connected"),
    ("clients/expired", "sessions.expired"),
    ("clients/maximum", "clients.connected_max"),
    ("clients/total", "sessions"),
    ("messages/inflight", "messages.inflight"),
    ("messages/received", "packets.received"),
    ("messages/sent", "packets.sent"),
    ("publish/bytes/received", "messages.received.bytes"),
    ("publish/bytes/sent", "messages.sent.bytes"),
    ("publish/messages/dropped", "messages.dropped"),
    ("publish/messages/received", "messages.received"),
    ("publish/messages/sent", "messages.sent"),
    ("retained messages/count", "retained.messages"),
    ("shared_subscriptions/count", "subscriptions.shared"),
];

/// Topics below `$SYS/broker/load/`: how much a row grew in a minute, as a moving average.
const LOADS: &[(&str, &str)] = &[
    ("bytes/received", "bytes.received"),
    ("bytes/sent", "bytes.sent"),
    ("connections", "lobby.connects"),
    ("messages/received", "packets.received"),
    ("messages/sent", "packets.sent"),
    ("publish/dropped", "messages.dropped"),
    ("publish/received", "messages.received"),
    ("publish/sent", "messages.sent"),
    ("sockets", "connections.accepted"),
];

/// The spans of the averages: name and minutes.
const SPANS: [(&str, f64); 3] = [("1min", 1.0), ("5min", 5.0), ("15min", 15.0)];

/// The broker's status, turn by turn.
#[derive(Debug)]
pub(super) struct Status {
    began: Now,
    turned: Now,
    /// What was published last, by topic.
    values: BTreeMap<String, String>,
    loads: Vec<Load>,
    heap_bytes_max: u64,
}

/// A row of the counters at the last turn, and its growth per minute averaged over [`SPANS`].
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    count: u64,
    averages: [f64; 3],
}

/// Turns until the server ends, and at once when the interval is not `in_force_secs` any more. The
/// first turn has been made by whoever spawns this.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut status: Status,
    mut interval_secs: watch::Receiver<u64>,
    mut in_force_secs: u64,
) {
    loop {
        let secs = *interval_secs.borrow_and_update();
        if secs == in_force_secs {
            let changed = interval_secs.changed();
            let changed = match secs {
                0 => Ok(changed.await),
                secs => timeout(Duration::from_secs(secs), changed).await,
            };
            match changed {
                Ok(Ok(())) => continue,
                Ok(Err(_)) => return,
                Err(_) => {}
            }
        }
        in_force_secs = secs;
        if shared.is_stopping() {
            return;
        }
        let shared = Arc::clone(&shared);
        // It waits for each shard in turn, which nobody in the lobby may have to.
        let turn = tokio::task::spawn_blocking(move || {
            if secs > 0 {
                status.turn(&shared);
            } else {
                status.clear(&shared);
            }
            status
        });
        match turn.await {
            Ok(back) => status = back,
            Err(_) => return,
        }
    }
}

impl Status {
    pub(super) fn new() -> Self {
        let now = Clock::now();
        let loads = vec![Load::default(); LOADS.len()];
        Self { began: now, turned: now, values: BTreeMap::new(), loads, heap_bytes_max: 0 }
    }

    /// Publishes what has changed.
    pub(super) fn turn(&mut self, shared: &Shared) {
        let now = Clock::now();
        let current = self.current(&shared.all_stats(), heap_bytes(), now);
        let known = std::mem::replace(&mut self.values, current);
        let is_new = |(topic, value): &(&String, &String)| known.get(*topic) != Some(*value);
        publish(shared, self.values.iter().filter(is_new));
    }

    /// Removes everything: the values are not kept true any more.
    fn clear(&mut self, shared: &Shared) {
        let values = std::mem::take(&mut self.values);
        let nothing = String::new();
        publish(shared, values.keys().map(|topic| (topic, &nothing)));
    }

    /// All topics with their values.
    fn current(&mut self, stats: &Stats, heap_bytes: u64, now: Now) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        let mut put = |name: &str, value: String| {
            values.insert(format!("$SYS/broker/{name}"), value);
        };
        for (name, row) in COUNTERS {
            put(name, stats.value(row).to_string());
        }
        let away = stats.value("sessions").saturating_sub(stats.value("clients.connected"));
        put("clients/disconnected", away.to_string());
        put("clients/inactive", away.to_string());
        let shared = stats.value("subscriptions.shared");
        let own = stats.value("subscriptions").saturating_sub(shared);
        put("subscriptions/count", own.to_string());
        let (stored, bytes) = stored(stats);
        put("messages/stored", stored.to_string());
        put("store/messages/count", stored.to_string());
        put("store/messages/bytes", bytes.to_string());
        self.heap_bytes_max = self.heap_bytes_max.max(heap_bytes);
        put("heap/current", heap_bytes.to_string());
        put("heap/maximum", self.heap_bytes_max.to_string());
        put("uptime", format!("{} seconds", secs_between(self.began, now)));
        put("version", format!("mqttd version {}", env!("CARGO_PKG_VERSION")));
        self.measure(stats, now);
        for ((name, _), load) in LOADS.iter().zip(&self.loads) {
            for ((span, _), average) in SPANS.iter().zip(&load.averages) {
                put(&format!("load/{name}/{span}"), format!("{average:.2}"));
            }
        }
        values
    }

    /// Brings the averages up to now.
    fn measure(&mut self, stats: &Stats, now: Now) {
        let minutes = float(now.ticks_ms.saturating_sub(self.turned.ticks_ms)) / 60_000.0;
        if minutes <= 0.0 {
            return;
        }
        self.turned = now;
        for ((_, row), load) in LOADS.iter().zip(&mut self.loads) {
            let count = stats.value(row);
            let per_minute = float(count.saturating_sub(load.count)) / minutes;
            load.count = count;
            for ((_, span), average) in SPANS.iter().zip(&mut load.averages) {
                let weight = (-minutes / span).exp();
                *average = average.mul_add(weight, per_minute * (1.0 - weight));
            }
        }
    }
}

/// Messages that wait for somebody or are retained, and their bytes: those on the disk, where there
/// is a store, else those in memory.
fn stored(stats: &Stats) -> (u64, u64) {
    if stats.value("store.state") == Storing::Off as u64 {
        let waiting = stats.value("messages.queued") + stats.value("messages.inflight");
        let bytes = stats.value("messages.held_bytes") + stats.value("retained.bytes");
        return (waiting + stats.value("retained.messages"), bytes);
    }
    let messages = stats.value("store.messages") + stats.value("retained.messages");
    (messages, stats.value("store.live_bytes"))
}

fn publish<'v>(shared: &Shared, values: impl Iterator<Item = (&'v String, &'v String)>) {
    let mut errands = Errands::default();
    shared.visit(0, &mut errands, |hall, now| {
        for (topic, value) in values {
            hall.shard.publish_status(topic, value, now);
        }
    });
    errands.run(shared);
}

const fn secs_between(began: Now, now: Now) -> u64 {
    now.ticks_ms.saturating_sub(began.ticks_ms) / 1000
}

#[expect(clippy::cast_precision_loss, reason = "an average is not exact to the last of 2^53")]
const fn float(count: u64) -> f64 {
    count as f64
}

/// Anonymous memory that is resident: heap, stacks and tables, without the program's file.
fn heap_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| {
        let value = line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?;
        value.parse::<u64>().ok()
    });
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ticks_ms: u64) -> Now {
        Now { ticks_ms, unix_ms: 0 }
    }

    fn status() -> Status {
        Status { began: at(0), turned: at(0), ..Status::new() }
    }

    #[test]
    fn averages_come_to_the_rate_sooner_the_shorter_their_span() {
        let mut status = status();
        let mut stats = Stats::default();
        // Two messages a second.
        for turn in 1..=30 {
            stats.set("messages.received", turn * 20);
            status.measure(&stats, at(turn * 10_000));
        }
        let values = status.current(&stats, 0, at(300_000));
        let value = |span: &str| -> f64 {
            values[&format!("$SYS/broker/load/publish/received/{span}")].parse().unwrap()
        };
        // After five minutes: 1 - e^(-5/span) of 120 a minute.
        assert!((value("1min") - 119.19).abs() < 0.01, "{}", value("1min"));
        assert!((value("5min") - 75.85).abs() < 0.01, "{}", value("5min"));
        assert!((value("15min") - 34.02).abs() < 0.01, "{}", value("15min"));
        assert_eq!(values["$SYS/broker/load/publish/sent/1min"], "0.00");
    }

    #[test]
    fn values_come_from_their_rows() {
        let mut stats = Stats::default();
        for (row, value) in [
            ("sessions", 7),
            ("clients.connected", 4),
            ("messages.queued", 10),
            ("messages.inflight", 3),
            ("retained.messages", 2),
            ("messages.held_bytes", 1000),
            ("retained.bytes", 100),
            ("subscriptions", 9),
            ("subscriptions.shared", 4),
        ] {
            stats.set(row, value);
        }
        let values = status().current(&stats, 4096, at(61_999));
        for (topic, value) in [
            ("clients/total", "7"),
            ("clients/connected", "4"),
            ("clients/disconnected", "3"),
            ("store/messages/count", "15"),
            ("store/messages/bytes", "1100"),
            ("messages/inflight", "3"),
            ("subscriptions/count", "5"),
            ("shared_subscriptions/count", "4"),
            ("heap/maximum", "4096"),
            ("uptime", "61 seconds"),
        ] {
            assert_eq!(values[&format!("$SYS/broker/{topic}")], value, "{topic}");
        }
        stats.set("store.state", Storing::Well as u64);
        stats.set("store.messages", 8);
        stats.set("store.live_bytes", 900);
        let values = status().current(&stats, 4096, at(61_999));
        assert_eq!(values["$SYS/broker/store/messages/count"], "10");
        assert_eq!(values["$SYS/broker/store/messages/bytes"], "900");
    }
}
