//! Messages from publishers to subscribers: `pairs`, `fanout` and `fanin`.
//!
//! As fast as a window lets (at most so many messages of a publisher are neither delivered nor, above
//! QoS 0, acknowledged), or at a fixed rate, where latency is measured from the time a message
//! was due. Every message is checked.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::check::{Faults, Ledger, STAMP_BYTES, Stamp};
use crate::fleet::{Clients, Fleet, PATIENCE, Play, until};
use crate::process::{self, Broker, nanos, since};
use crate::wire::{self, Packet};

/// Who publishes to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    name: &'static str,
    publishers: usize,
    subscribers: usize,
}

impl Shape {
    pub(crate) fn new(name: &str, n: usize) -> Option<Self> {
        let (name, publishers, subscribers) = match name {
            "fanout" => ("fanout", 1, n),
            "fanin" => ("fanin", n, 1),
            _ => ("pairs", n, n),
        };
        (n > 0).then_some(Self { name, publishers, subscribers })
    }

    /// Messages of one publisher under way, by default: the more publishers the fewer, and not more
    /// than 256 KiB of payload.
    pub(crate) fn window(self, payload: usize) -> u64 {
        let messages = match (self.name, self.publishers) {
            ("fanout", _) => 20,
            ("fanin", _) => 2,
            (_, 0..=10) => 1000,
            (_, 11..=100) => 200,
            _ => 20,
        };
        let bytes = 256 * 1024 / payload.max(1);
        messages.min(bytes.max(1) as u64)
    }

    fn filter(self, subscriber: usize) -> String {
        match self.name {
            "fanin" => "load/+".to_owned(),
            "fanout" => topic(0),
            _ => topic(subscriber),
        }
    }

    /// How many subscribers get each message.
    const fn copies(self) -> u64 {
        if self.publishers == 1 { self.subscribers as u64 } else { 1 }
    }

    /// Publishers one subscriber hears.
    const fn heard(self) -> usize {
        if self.subscribers == 1 { self.publishers } else { 1 }
    }
}

fn topic(publisher: usize) -> String {
    format!("load/{publisher}")
}

/// A run.
pub(crate) struct Flow {
    pub(crate) shape: Shape,
    pub(crate) qos: u8,
    pub(crate) payload: usize,
    pub(crate) window: u64,
    /// Messages a second, in all.
    pub(crate) rate: Option<u64>,
    pub(crate) secs: u64,
}

#[derive(Default)]
struct Publisher {
    topic: String,
    published: u64,
    acknowledged: u64,
    delivered: u64,
}

/// What has happened so far; links `0..publishers` publish, the others subscribe.
struct Course {
    qos: u8,
    copies: u64,
    window: u64,
    started: Instant,
    publishers: Vec<Publisher>,
    ledgers: Vec<Vec<Ledger>>,
    heard: usize,
    /// Publishers that may have got room in their window.
    eager: Vec<usize>,
    is_eager: Vec<bool>,
    faults: Faults,
    latencies_us: Option<Vec<u32>>,
    now_ns: u64,
}

impl Course {
    fn new(flow: &Flow) -> Self {
        let count = flow.shape.publishers;
        let publishers = (0..count).map(|p| Publisher { topic: topic(p), ..Publisher::default() });
        let ledgers = || (0..flow.shape.heard()).map(|_| Ledger::default()).collect();
        Self {
            qos: flow.qos,
            copies: flow.shape.copies(),
            window: flow.window,
            started: process::now(),
            publishers: publishers.collect(),
            ledgers: (0..flow.shape.subscribers).map(|_| ledgers()).collect(),
            heard: flow.shape.heard(),
            eager: (0..count).collect(),
            is_eager: vec![true; count],
            faults: Faults::default(),
            latencies_us: flow.rate.map(|_| Vec::new()),
            now_ns: 0,
        }
    }

    fn publish(&mut self, at: usize, fill: usize, due_ns: u64, out: &mut Vec<u8>) {
        let publisher = &mut self.publishers[at];
        let number = u32::try_from(publisher.published).unwrap_or(u32::MAX);
        let id = u16::try_from(publisher.published % 65_535).map_or(1, |id| id + 1);
        let stamp = Stamp { publisher: u32::try_from(at).unwrap_or(u32::MAX), number, due_ns };
        wire::publish(out, &publisher.topic, (self.qos, id), &stamp.bytes(), fill);
        publisher.published += 1;
    }

    fn room(&self, at: usize) -> u64 {
        let publisher = &self.publishers[at];
        let undelivered = publisher.published - publisher.delivered / self.copies;
        let unacknowledged = publisher.published - publisher.acknowledged;
        let used = if self.qos == 0 { undelivered } else { undelivered.max(unacknowledged) };
        self.window.saturating_sub(used)
    }

    fn encourage(&mut self, at: usize) {
        if !self.is_eager[at] {
            self.is_eager[at] = true;
            self.eager.push(at);
        }
    }

    fn receive(&mut self, subscriber: usize, payload: &[u8]) {
        let stamp = Stamp::read(payload);
        let known = stamp.filter(|stamp| (stamp.publisher as usize) < self.publishers.len());
        let Some(stamp) = known else {
            self.faults.odd += 1;
            return;
        };
        let publisher = stamp.publisher as usize;
        let ledger = if self.heard == 1 { 0 } else { publisher };
        let strange = self.heard == 1 && self.copies == 1 && publisher != subscriber;
        let Some(ledger) = self.ledgers[subscriber].get_mut(ledger).filter(|_| !strange) else {
            self.faults.odd += 1;
            return;
        };
        if ledger.note(stamp.number, &mut self.faults) {
            self.publishers[publisher].delivered += 1;
            self.encourage(publisher);
        }
        if let Some(latencies) = &mut self.latencies_us {
            let late_us = self.now_ns.saturating_sub(stamp.due_ns) / 1000;
            latencies.push(u32::try_from(late_us).unwrap_or(u32::MAX));
        }
    }

    fn acknowledged(&mut self, at: usize) {
        if let Some(publisher) = self.publishers.get_mut(at) {
            publisher.acknowledged += 1;
            self.encourage(at);
        } else {
            self.faults.odd += 1;
        }
    }

    fn published(&self) -> u64 {
        self.publishers.iter().map(|publisher| publisher.published).sum()
    }

    fn delivered(&self) -> u64 {
        self.publishers.iter().map(|publisher| publisher.delivered).sum()
    }

    fn is_complete(&self) -> bool {
        self.publishers.iter().all(|publisher| {
            publisher.delivered == publisher.published * self.copies
                && (self.qos == 0 || publisher.acknowledged == publisher.published)
        })
    }
}

impl Play for Course {
    fn packet(&mut self, link: usize, packet: &Packet<'_>, out: &mut Vec<u8>) {
        match *packet {
            Packet::Publish { qos, id, payload } => {
                let Some(subscriber) = link.checked_sub(self.publishers.len()) else {
                    self.faults.odd += 1;
                    return;
                };
                self.receive(subscriber, payload);
                self.faults.odd += u64::from(qos != self.qos);
                match qos {
                    0 => {}
                    1 => wire::acknowledge(out, 4, id),
                    _ => wire::acknowledge(out, 5, id),
                }
            }
            Packet::Puback(_) | Packet::Pubcomp(_) => self.acknowledged(link),
            Packet::Pubrec(id) => wire::acknowledge(out, 6, id),
            Packet::Pubrel(id) => wire::acknowledge(out, 7, id),
            Packet::Pingresp => {}
            Packet::Connack { .. } | Packet::Suback { .. } | Packet::Other(_) => {
                self.faults.odd += 1;
            }
        }
    }
}

/// Plays a run and reports.
pub(crate) fn play(address: SocketAddr, flow: &Flow, broker: &Broker) -> io::Result<Value> {
    let shape = flow.shape;
    let mut fleet = Fleet::new()?;
    fleet.open(address, Clients::clean("load-pub-", shape.publishers), |_| None)?;
    fleet.open(address, Clients::clean("load-sub-", shape.subscribers), |subscriber| {
        Some((shape.filter(subscriber), flow.qos))
    })?;
    let (broker_cpu, own_cpu) = (broker.cpu_secs(), process::own_cpu_secs());
    let mut course = Course::new(flow);
    match flow.rate {
        Some(rate) => at_a_rate(&mut fleet, &mut course, flow, rate)?,
        None => saturating(&mut fleet, &mut course, flow)?,
    }
    let secs = since(course.started).as_secs_f64();
    drain(&mut fleet, &mut course)?;
    let broker_cpu = broker.cpu_secs() - broker_cpu;
    let own_cpu = process::own_cpu_secs() - own_cpu;
    Ok(report(flow, &mut course, &fleet, broker, (secs, broker_cpu, own_cpu)))
}

fn saturating(fleet: &mut Fleet, course: &mut Course, flow: &Flow) -> io::Result<()> {
    let deadline = course.started + Duration::from_secs(flow.secs);
    while process::now() < deadline {
        let eager = std::mem::take(&mut course.eager);
        for &at in &eager {
            course.is_eager[at] = false;
            if fleet.is_blocked(at) {
                course.encourage(at);
                continue;
            }
            let room = course.room(at);
            for _ in 0..room {
                course.publish(at, flow.payload - STAMP_BYTES, 0, fleet.out(at));
            }
        }
        fleet.flush();
        fleet.turn(Some(until(deadline, Duration::from_millis(10))), course)?;
    }
    Ok(())
}

fn at_a_rate(fleet: &mut Fleet, course: &mut Course, flow: &Flow, rate: u64) -> io::Result<()> {
    let interval_ns = 1_000_000_000 / rate.max(1);
    let end_ns = flow.secs * 1_000_000_000;
    let mut number = 0u64;
    loop {
        let due_ns = number * interval_ns;
        if due_ns >= end_ns {
            return Ok(());
        }
        course.now_ns = nanos(since(course.started));
        if due_ns <= course.now_ns {
            let at = usize::try_from(number).unwrap_or(0) % course.publishers.len();
            course.publish(at, flow.payload - STAMP_BYTES, due_ns, fleet.out(at));
            number += 1;
            continue;
        }
        fleet.flush();
        let pause = Duration::from_nanos(due_ns - course.now_ns);
        wait(fleet, course, pause)?;
    }
}

/// Turns once; messages that come count as arrived when the turn began to read.
fn wait(fleet: &mut Fleet, course: &mut Course, pause: Duration) -> io::Result<()> {
    fleet.await_readable(Some(pause))?;
    course.now_ns = nanos(since(course.started));
    fleet.turn(Some(Duration::ZERO), course)
}

/// Takes what is still under way.
fn drain(fleet: &mut Fleet, course: &mut Course) -> io::Result<()> {
    let deadline = process::now() + PATIENCE;
    while !course.is_complete() && process::now() < deadline && fleet.lost == 0 {
        fleet.flush();
        wait(fleet, course, Duration::from_millis(50))?;
    }
    // A duplicate would come now.
    fleet.flush();
    wait(fleet, course, Duration::from_millis(50))
}

fn report(
    flow: &Flow,
    course: &mut Course,
    fleet: &Fleet,
    broker: &Broker,
    (secs, broker_cpu, own_cpu): (f64, f64, f64),
) -> Value {
    let (published, delivered) = (course.published(), course.delivered());
    let lost = published * course.copies - delivered;
    let Faults { duplicates, reordered, odd } = course.faults;
    let millions = (published + delivered) as f64 / 1e6;
    let memory = broker.memory();
    let mut report = json!({
        "scenario": flow.shape.name,
        "n": flow.shape.publishers.max(flow.shape.subscribers),
        "qos": flow.qos,
        "payload": flow.payload,
        "window": flow.window,
        "rate": flow.rate,
        "secs": secs,
        "published": published,
        "delivered": delivered,
        "delivered_per_sec": delivered as f64 / secs,
        "lost": lost,
        "duplicates": duplicates,
        "reordered": reordered,
        "odd": odd,
        "closed": fleet.lost,
        "correct": lost + duplicates + reordered + odd + fleet.lost == 0 && delivered > 0,
        "broker_cpu_secs": broker_cpu,
        "broker_cpu_secs_per_million": broker_cpu / millions,
        "own_cpu_secs_per_million": own_cpu / millions,
        "resident_kib": memory.resident,
        "peak_kib": memory.peak,
    });
    if let Some(latencies) = &mut course.latencies_us {
        report["latency_us"] = quantiles(latencies);
    }
    report
}

/// Median and tail of latencies, microseconds.
pub(crate) fn quantiles(latencies_us: &mut [u32]) -> Value {
    latencies_us.sort_unstable();
    let at = |per_mille: usize| {
        let last = latencies_us.len().saturating_sub(1);
        latencies_us.get(last * per_mille / 1000).copied().unwrap_or(0)
    };
    json!({ "p50": at(500), "p99": at(990), "p999": at(999), "max": at(1000) })
}
