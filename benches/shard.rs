//! What one message costs inside a shard: decode, route, encode, without sockets or threads.
//!
//! `cargo bench --bench shard` prints nanoseconds a message; under `valgrind --tool=callgrind` the
//! instruction counts repeat exactly, whatever else the machine does.
//!
//! With the word `memory` it prints what sessions that are kept take in memory while their clients
//! are away, with messages that wait in a store and without.

#![expect(clippy::print_stdout, reason = "what it prints is its result")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use mqttd::broker::{
    Admission, Commons, ConnectionId, Durability, Limits, Now, QueueFull, Shard, SharedChoice,
    Storing,
};
use mqttd::codec::{Frame, Packet, Properties, Publish, QoS, Subscribe, SubscriptionOptions};
use mqttd::codec::{SubscriptionRequest, Version, decode, encode};

const PAIRS: u16 = 100;
const BATCH: usize = 50;

fn main() {
    if std::env::args().any(|word| word == "memory") {
        return memory();
    }
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(500);
    for (name, version, qos, payload) in [
        ("pairs 100, 3.1.1, QoS 0, 16 B", Version::V311, QoS::AtMostOnce, 16),
        ("pairs 100, 5.0, QoS 0, 16 B", Version::V5, QoS::AtMostOnce, 16),
        ("pairs 100, 3.1.1, QoS 1, 16 B", Version::V311, QoS::AtLeastOnce, 16),
        ("pairs 100, 3.1.1, QoS 0, 4 KiB", Version::V311, QoS::AtMostOnce, 4096),
    ] {
        let elapsed = pairs(version, qos, payload, rounds);
        let messages = rounds as u128 * u128::from(PAIRS) * BATCH as u128;
        println!("{name}: {} ns a message (in and out)", elapsed.as_nanos() / messages);
    }
}

/// Bytes of memory of a session whose client is away, and of what waits for it.
fn memory() {
    for (sessions, messages, payload) in [(1000, 1000, 1024), (100_000, 10, 256)] {
        let commons = Commons::new(1, limits(), 7);
        commons.set_storing(Storing::Well);
        let mut shard = Shard::new(0, commons);
        let before = resident_bytes();
        for number in 0..sessions {
            let client_id = format!("device-{number:08}");
            let id = connect_as(&mut shard, Version::V311, &client_id, false);
            subscribe(&mut shard, id, Version::V311, "fleet/all/config", QoS::AtLeastOnce);
            shard.receive(id, &[0xe0, 0], Now::default());
            keep(&mut shard);
        }
        let each = (resident_bytes() - before) / sessions;
        println!("{sessions} sessions away: {each} bytes each");
        let publisher = connect(&mut shard, Version::V311, "publisher");
        let batch = publishes(Version::V311, QoS::AtLeastOnce, "fleet/all/config", payload);
        let one = &batch[..batch.len() / BATCH];
        for count in 1..=messages {
            shard.receive(publisher, one, Now::default());
            keep(&mut shard);
            if count == 1 || count == messages {
                let each = (resident_bytes() - before) / sessions;
                println!(
                    "{sessions} sessions away, {count} messages of {payload} bytes for each: {each} bytes each"
                );
            }
        }
        let mib = (resident_bytes() - before) >> 20;
        println!(
            "{sessions} sessions, {messages} messages of {payload} bytes for each: {mib} MiB in all"
        );
    }
}

/// The disk has it.
fn keep(shard: &mut Shard) {
    let trays = shard.trays();
    trays.events.clear();
    trays.closing.clear();
    let ticket = trays.records.ticket();
    trays.records.clear();
    shard.durable(ticket, Now::default());
    drain(shard);
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("Linux") * 1024
}

struct Pair {
    publisher: ConnectionId,
    subscriber: ConnectionId,
    batch: Vec<u8>,
}

#[expect(clippy::disallowed_methods, reason = "a benchmark times")]
fn pairs(version: Version, qos: QoS, payload: usize, rounds: usize) -> Duration {
    let now = Now::default();
    let mut shard = Shard::new(0, Commons::new(1, limits(), 7));
    let pairs: Vec<Pair> = (0..PAIRS)
        .map(|number| {
            let publisher = connect(&mut shard, version, &format!("publisher{number}"));
            let subscriber = connect(&mut shard, version, &format!("subscriber{number}"));
            let topic = format!("bench/pair/{number}");
            subscribe(&mut shard, subscriber, version, &topic, qos);
            let batch = publishes(version, qos, &topic, payload);
            Pair { publisher, subscriber, batch }
        })
        .collect();
    drain(&mut shard);
    let started = std::time::Instant::now();
    for _ in 0..rounds {
        for pair in &pairs {
            let used = shard.receive(pair.publisher, black_box(&pair.batch), now);
            assert_eq!(used, pair.batch.len());
        }
        if qos == QoS::AtLeastOnce {
            for pair in &pairs {
                acknowledge(&mut shard, pair.subscriber, version);
            }
        }
        drain(&mut shard);
    }
    started.elapsed()
}

fn drain(shard: &mut Shard) {
    let now = Now::default();
    while let Some(id) = shard.trays().dirty.pop() {
        if let Some(outbox) = shard.outbox(id) {
            let len = black_box(outbox.unsent()).len();
            outbox.sent(len);
        }
        shard.flushed(id, now);
    }
}

/// Answers every PUBLISH in the subscriber's outbox.
fn acknowledge(shard: &mut Shard, id: ConnectionId, version: Version) {
    let mut acks = Vec::new();
    if let Some(outbox) = shard.outbox(id) {
        let mut bytes = outbox.unsent();
        while let Ok(Some(frame)) = Frame::split(bytes, u32::MAX) {
            bytes = &bytes[frame.len..];
            if let Ok(Packet::Publish(publish)) = decode(frame, version) {
                let [high, low] = publish.packet_id.to_be_bytes();
                acks.extend_from_slice(&[0x40, 2, high, low]);
            }
        }
        let len = outbox.len();
        outbox.sent(len);
    }
    shard.receive(id, &acks, Now::default());
}

fn connect(shard: &mut Shard, version: Version, client_id: &str) -> ConnectionId {
    connect_as(shard, version, client_id, true)
}

fn connect_as(
    shard: &mut Shard,
    version: Version,
    client_id: &str,
    clean_start: bool,
) -> ConnectionId {
    let connect = mqttd::codec::Connect {
        version,
        bridge: false,
        clean_start,
        keep_alive_secs: 0,
        properties: Properties::EMPTY,
        client_id,
        will: None,
        username: None,
        password: None,
    };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let admission = Admission::new(&connect, peer, &limits(), || "unused".into());
    shard.admit(admission.expect("valid"), Now::default()).expect("room for a session")
}

fn subscribe(shard: &mut Shard, id: ConnectionId, version: Version, filter: &str, qos: QoS) {
    let mut payload = Vec::new();
    SubscriptionRequest { filter, options: SubscriptionOptions::new(qos) }.write(&mut payload);
    let packet = Packet::Subscribe(Subscribe::new(1, Properties::EMPTY, &payload));
    let mut bytes = Vec::new();
    encode(&packet, version, &mut bytes);
    shard.receive(id, &bytes, Now::default());
}

fn publishes(version: Version, qos: QoS, topic: &str, payload: usize) -> Vec<u8> {
    let payload = vec![b'x'; payload];
    let mut bytes = Vec::new();
    for packet_id in 1..=BATCH {
        let publish = Publish {
            dup: false,
            qos,
            retain: false,
            topic,
            packet_id: u16::try_from(packet_id).expect("a small batch"),
            properties: Properties::EMPTY,
            payload: &payload,
        };
        publish.encode(version, &mut bytes);
    }
    bytes
}

fn limits() -> Limits {
    Limits {
        packet_bytes_max: 1 << 20,
        receive_maximum: 1024,
        topic_alias_maximum: 10,
        assigned_aliases_max: 10,
        keep_alive_secs_max: u16::MAX,
        topic_levels_max: 128,
        checks_payload_format: false,
        subscriptions_max: 1000,
        inflight_max: 1024,
        queue_messages_max: 10_000,
        queue_bytes_max: 16 << 20,
        queue_full: QueueFull::DropNewest,
        store_queue_bytes_max: u64::MAX,
        session_expiry_secs_max: u32::MAX,
        outbox_bytes_max: 1 << 20,
        retained_messages_max: 1000,
        sessions_max: 1_000_000,
        memory_bytes_max: 1 << 30,
        shared_choice: SharedChoice::LeastBacklog,
        durability: Durability::default(),
    }
}
