//! What durability costs: publishers with one message of QoS 1 in flight each, for one subscriber
//! whose session is kept; it is there, or away and comes back.
//!
//! Each publisher sends its next message when PUBACK of the one before is there, so that the time a
//! broker takes to make a message safe decides the throughput, and how many it makes safe at once.
//! Every message is checked.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::check::{Faults, Ledger, STAMP_BYTES, Stamp};
use crate::fleet::{Clients, Fleet, Play, until};
use crate::flow::quantiles;
use crate::process::{self, Broker, Spent, nanos, since};
use crate::wire::{self, Packet};

/// How long nothing may happen before a run is given up; a broker may be writing.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// The subscriber is link 0, and a later one when it comes back; publishers are links from 1.
const SUBSCRIBER: &str = "load-durable-";

pub(crate) struct Durable {
    pub(crate) publishers: usize,
    pub(crate) payload: usize,
    pub(crate) secs: u64,
    /// Whether the subscriber is away while they publish.
    pub(crate) away: bool,
}

#[derive(Default)]
struct Publisher {
    topic: String,
    published: u32,
    sent_ns: u64,
}

struct Course {
    started: Instant,
    fill: usize,
    is_over: bool,
    publishers: Vec<Publisher>,
    ledgers: Vec<Ledger>,
    acknowledged: u64,
    delivered: u64,
    faults: Faults,
    latencies_us: Vec<u32>,
}

impl Course {
    fn new(asked: &Durable) -> Self {
        let publisher = |at| Publisher { topic: format!("load/{at}"), ..Publisher::default() };
        Self {
            started: process::now(),
            fill: asked.payload - STAMP_BYTES,
            is_over: false,
            publishers: (0..asked.publishers).map(publisher).collect(),
            ledgers: (0..asked.publishers).map(|_| Ledger::default()).collect(),
            acknowledged: 0,
            delivered: 0,
            faults: Faults::default(),
            latencies_us: Vec::new(),
        }
    }

    fn publish(&mut self, at: usize, out: &mut Vec<u8>) {
        let publisher = &mut self.publishers[at];
        let id = u16::try_from(publisher.published % 65_535).map_or(1, |id| id + 1);
        let number = publisher.published;
        let stamp = Stamp { publisher: u32::try_from(at).unwrap_or(u32::MAX), number, due_ns: 0 };
        wire::publish(out, &publisher.topic, (1, id), &stamp.bytes(), self.fill);
        publisher.published += 1;
        publisher.sent_ns = nanos(since(self.started));
    }

    fn acknowledged(&mut self, at: usize, out: &mut Vec<u8>) {
        let took_ns = nanos(since(self.started)).saturating_sub(self.publishers[at].sent_ns);
        self.latencies_us.push(u32::try_from(took_ns / 1000).unwrap_or(u32::MAX));
        self.acknowledged += 1;
        if !self.is_over {
            self.publish(at, out);
        }
    }

    fn receive(&mut self, payload: &[u8]) {
        let stamp = Stamp::read(payload);
        let ledger = stamp.and_then(|stamp| self.ledgers.get_mut(stamp.publisher as usize));
        match (stamp, ledger) {
            (Some(stamp), Some(ledger)) => {
                self.delivered += u64::from(ledger.note(stamp.number, &mut self.faults));
            }
            _ => self.faults.odd += 1,
        }
    }

    fn published(&self) -> u64 {
        self.publishers.iter().map(|publisher| u64::from(publisher.published)).sum()
    }
}

impl Play for Course {
    fn packet(&mut self, link: usize, packet: &Packet<'_>, out: &mut Vec<u8>) {
        let publisher = link.checked_sub(1).filter(|at| *at < self.publishers.len());
        match (publisher, packet) {
            (Some(at), Packet::Puback(_)) => self.acknowledged(at, out),
            (None, Packet::Publish { qos, id, payload }) => {
                self.receive(payload);
                self.faults.odd += u64::from(*qos != 1);
                wire::acknowledge(out, 4, *id);
            }
            _ => self.faults.odd += 1,
        }
    }
}

/// Plays a run and reports.
pub(crate) fn play(address: SocketAddr, asked: &Durable, broker: &Broker) -> io::Result<Value> {
    let mut fleet = Fleet::new()?;
    fleet.open(address, Clients::kept(SUBSCRIBER, 0..1), |_| Some(("load/+".to_owned(), 1)))?;
    if asked.away {
        fleet.leave(0..1)?;
    }
    fleet.open(address, Clients::clean("load-pub-", asked.publishers), |_| None)?;
    let memory = broker.memory();
    let mut course = Course::new(asked);
    let (spent, began_unix) = (broker.spent(), process::unix_secs());
    saturate(&mut fleet, &mut course, asked)?;
    let secs = since(course.started).as_secs_f64();
    course.is_over = true;
    settle(&mut fleet, &mut course, |course| course.acknowledged == course.published())?;
    if !asked.away {
        settle(&mut fleet, &mut course, |course| course.delivered == course.published())?;
    }
    let (spent, ended_unix) = (broker.spent().since(&spent), process::unix_secs());
    let filled = broker.memory();
    linger(&mut fleet, &mut course)?;
    let drained =
        if asked.away { come_back(address, &mut fleet, &mut course, broker)? } else { Value::Null };
    let mut report = report(asked, &mut course, &fleet, (secs, &spent));
    report["began_unix"] = json!(began_unix);
    report["ended_unix"] = json!(ended_unix);
    report["resident_kib_before"] = json!(memory.resident);
    report["resident_kib"] = json!(filled.resident);
    report["drain"] = drained;
    Ok(report)
}

fn saturate(fleet: &mut Fleet, course: &mut Course, asked: &Durable) -> io::Result<()> {
    let deadline = course.started + Duration::from_secs(asked.secs);
    for at in 0..asked.publishers {
        course.publish(at, fleet.out(at + 1));
    }
    while process::now() < deadline {
        fleet.flush();
        fleet.turn(Some(until(deadline, Duration::from_millis(10))), course)?;
    }
    Ok(())
}

/// Goes on until `is_done`, or nothing happens any more.
fn settle(
    fleet: &mut Fleet,
    course: &mut Course,
    is_done: impl Fn(&Course) -> bool,
) -> io::Result<()> {
    let mut moved = process::now();
    let mut seen = 0;
    while !is_done(course) && since(moved) < SILENCE_MAX && fleet.lost == 0 {
        fleet.flush();
        fleet.turn(Some(Duration::from_millis(50)), course)?;
        if course.acknowledged + course.delivered > seen {
            seen = course.acknowledged + course.delivered;
            moved = process::now();
        }
    }
    Ok(())
}

/// A duplicate would come now.
fn linger(fleet: &mut Fleet, course: &mut Course) -> io::Result<()> {
    fleet.flush();
    fleet.turn(Some(Duration::from_millis(50)), course)
}

/// The subscriber that was away comes and gets everything.
fn come_back(
    address: SocketAddr,
    fleet: &mut Fleet,
    course: &mut Course,
    broker: &Broker,
) -> io::Result<Value> {
    let (started, spent) = (process::now(), broker.spent());
    let present = fleet.resume(address, Clients::kept(SUBSCRIBER, 0..1), course)?;
    settle(fleet, course, |course| course.delivered == course.published())?;
    let secs = since(started).as_secs_f64();
    linger(fleet, course)?;
    let spent = broker.spent().since(&spent);
    Ok(json!({
        "session_present": present == 1,
        "secs": secs,
        "cpu_us_per_message": spent.cpu_secs * 1e6 / course.delivered.max(1) as f64,
        "written_bytes": spent.written_bytes,
    }))
}

fn report(
    asked: &Durable,
    course: &mut Course,
    fleet: &Fleet,
    (secs, spent): (f64, &Spent),
) -> Value {
    let published = course.published();
    let lost = published - course.delivered;
    let Faults { duplicates, reordered, odd } = course.faults;
    let unacknowledged = published - course.acknowledged;
    let bad = lost + duplicates + reordered + odd + unacknowledged + fleet.lost;
    let each = |amount: f64| amount / course.acknowledged.max(1) as f64;
    let threads = spent.threads_cpu_ns.iter();
    let threads: Value =
        threads.map(|(name, ns)| (name.clone(), json!(each(*ns as f64 / 1000.0)))).collect();
    json!({
        "scenario": "durable",
        "n": asked.publishers,
        "away": asked.away,
        "payload": asked.payload,
        "secs": secs,
        "published": published,
        "acknowledged": course.acknowledged,
        "delivered": course.delivered,
        "acknowledged_per_sec": course.acknowledged as f64 / secs,
        "lost": lost,
        "unacknowledged": unacknowledged,
        "duplicates": duplicates,
        "reordered": reordered,
        "odd": odd,
        "closed": fleet.lost,
        "correct": bad == 0 && published > 0,
        "cpu_us_per_message": each(spent.cpu_secs * 1e6),
        "threads_us_per_message": threads,
        "written_per_payload_byte": each(spent.written_bytes as f64) / asked.payload as f64,
        "latency_us": quantiles(&mut course.latencies_us),
    })
}
