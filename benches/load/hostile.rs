//! Many idle connections, many publishers, one subscriber that never reads: do the others notice?
//!
//! A pair of observers exchanges a message every 10 ms, first beside the idle connections alone, then
//! beside the publishers whose messages the deaf subscriber never takes. Half of these messages are
//! QoS 1. Reported: the observers' latency in both times, and the broker's memory.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::check::{Faults, Ledger, STAMP_BYTES, Stamp};
use crate::fleet::{Clients, Fleet, Play};
use crate::flow::quantiles;
use crate::process::{self, Broker, nanos, since};
use crate::wire::{self, Packet};

/// How long the observers are measured before the publishers begin.
const CALM_SECS: u64 = 5;
const OBSERVE_EVERY_NS: u64 = 10_000_000;

pub(crate) struct Hostile {
    pub(crate) idle: u64,
    pub(crate) publishers: u64,
    pub(crate) payload: usize,
    /// Messages a second of all publishers.
    pub(crate) rate: u64,
    pub(crate) secs: u64,
}

/// Links: 0 observes by publishing, 1 by subscribing, 2 never reads, then publishers, then idlers.
const OBSERVER: usize = 0;
const DEAF: usize = 2;
const FIRST_PUBLISHER: usize = 3;

struct Watch {
    started: Instant,
    now_ns: u64,
    observed: u32,
    ledger: Ledger,
    arrived: u64,
    faults: Faults,
    latencies_us: Vec<u32>,
    acknowledged: u64,
}

impl Watch {
    fn new() -> Self {
        Self {
            started: process::now(),
            now_ns: 0,
            observed: 0,
            ledger: Ledger::default(),
            arrived: 0,
            faults: Faults::default(),
            latencies_us: Vec::new(),
            acknowledged: 0,
        }
    }
}

impl Play for Watch {
    fn packet(&mut self, link: usize, packet: &Packet<'_>, _: &mut Vec<u8>) {
        match (link, packet) {
            (1, Packet::Publish { payload, .. }) => match Stamp::read(payload) {
                Some(stamp) => {
                    self.arrived += u64::from(self.ledger.note(stamp.number, &mut self.faults));
                    let late_us = self.now_ns.saturating_sub(stamp.due_ns) / 1000;
                    self.latencies_us.push(u32::try_from(late_us).unwrap_or(u32::MAX));
                }
                None => self.faults.odd += 1,
            },
            (_, Packet::Puback(_)) => self.acknowledged += 1,
            _ => self.faults.odd += 1,
        }
    }
}

/// Messages of the publishers: how many were sent, and what each holds.
struct Flood {
    topics: Vec<String>,
    fill: usize,
    sent: u64,
    /// Those that waited for a socket the broker did not read.
    held_back: u64,
}

pub(crate) fn play(address: SocketAddr, asked: &Hostile, broker: &Broker) -> io::Result<Value> {
    let mut fleet = Fleet::new()?;
    let filter = |number| match number {
        0 => None,
        1 => Some(("observe/0".to_owned(), 0)),
        _ => Some(("flood/#".to_owned(), 1)),
    };
    let publishers = usize::try_from(asked.publishers).unwrap_or(0);
    let idle = usize::try_from(asked.idle).unwrap_or(0);
    fleet.open(address, Clients::clean("load-observer-", FIRST_PUBLISHER), filter)?;
    fleet.open(address, Clients::clean("load-pub-", publishers), |_| None)?;
    let idlers = Clients::clean("load-idle-", idle);
    fleet.open(address, idlers, |number| Some((format!("idle/{number}"), 1)))?;
    fleet.deafen(DEAF)?;
    let mut watch = Watch::new();
    let mut flood = Flood {
        topics: (0..publishers).map(|number| format!("flood/{number}")).collect(),
        fill: asked.payload - STAMP_BYTES,
        sent: 0,
        held_back: 0,
    };
    let before = broker.memory();
    let calm_end_ns = CALM_SECS * 1_000_000_000;
    run(&mut fleet, &mut watch, &mut flood, (0, calm_end_ns))?;
    let calm = quantiles(&mut std::mem::take(&mut watch.latencies_us));
    let end_ns = calm_end_ns + asked.secs * 1_000_000_000;
    run(&mut fleet, &mut watch, &mut flood, (asked.rate, end_ns))?;
    let beset = quantiles(&mut std::mem::take(&mut watch.latencies_us));
    run(&mut fleet, &mut watch, &mut flood, (0, end_ns + 500_000_000))?;
    let memory = broker.memory();
    let lost = u64::from(watch.observed).saturating_sub(watch.arrived);
    let Faults { duplicates, reordered, odd } = watch.faults;
    Ok(json!({
        "scenario": "hostile",
        "idle": idle,
        "publishers": publishers,
        "secs": asked.secs,
        "flooded": flood.sent,
        "flooded_bytes": flood.sent * asked.payload as u64,
        "held_back": flood.held_back,
        "acknowledged": watch.acknowledged,
        "observed": watch.observed,
        "lost": lost,
        "closed": fleet.lost,
        "correct": lost <= 1 && duplicates + reordered + odd == 0,
        "latency_us_calm": calm,
        "latency_us_beset": beset,
        "resident_kib_before": before.resident,
        "resident_kib": memory.resident,
        "peak_kib": memory.peak,
        "broker_cpu_secs": broker.cpu_secs(),
    }))
}

/// Observes until `end_ns`, with `rate` messages a second of the publishers beside it.
fn run(
    fleet: &mut Fleet,
    watch: &mut Watch,
    flood: &mut Flood,
    (rate, end_ns): (u64, u64),
) -> io::Result<()> {
    let first_ns = nanos(since(watch.started));
    let first = flood.sent + flood.held_back;
    loop {
        watch.now_ns = nanos(since(watch.started));
        if watch.now_ns >= end_ns {
            return Ok(());
        }
        let observe_ns = u64::from(watch.observed) * OBSERVE_EVERY_NS;
        if observe_ns <= watch.now_ns {
            let stamp = Stamp { publisher: 0, number: watch.observed, due_ns: observe_ns };
            wire::publish(fleet.out(OBSERVER), "observe/0", (0, 0), &stamp.bytes(), 48);
            watch.observed += 1;
        }
        let due = first + (watch.now_ns - first_ns) / 1000 * rate / 1_000_000;
        while flood.sent + flood.held_back < due && !flood.topics.is_empty() {
            one_more(fleet, flood, watch.now_ns);
        }
        fleet.flush();
        let pause_ns = if rate > 0 { 1_000_000 } else { OBSERVE_EVERY_NS };
        let next = (u64::from(watch.observed) * OBSERVE_EVERY_NS).min(watch.now_ns + pause_ns);
        let pause = Duration::from_nanos(next.saturating_sub(watch.now_ns));
        fleet.await_readable(Some(pause))?;
        watch.now_ns = nanos(since(watch.started));
        fleet.turn(Some(Duration::ZERO), watch)?;
    }
}

fn one_more(fleet: &mut Fleet, flood: &mut Flood, due_ns: u64) {
    let number = flood.sent + flood.held_back;
    let publisher = usize::try_from(number).unwrap_or(0) % flood.topics.len();
    let at = FIRST_PUBLISHER + publisher;
    if fleet.is_blocked(at) {
        flood.held_back += 1;
        return;
    }
    let round = number / flood.topics.len() as u64;
    let id = u16::try_from(round % 65_535).map_or(1, |id| id + 1);
    let qos = u8::from(publisher % 2 == 1);
    let stamp = Stamp { publisher: 0, number: 0, due_ns };
    let topic = &flood.topics[publisher];
    wire::publish(fleet.out(at), topic, (qos, id), &stamp.bytes(), flood.fill);
    flood.sent += 1;
}
