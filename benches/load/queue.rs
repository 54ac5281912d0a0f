//! Sessions that are away: `fill` queues messages for them, `drain` brings them back and checks that
//! all is there, once and in order. Between the two the broker may have been killed.
//!
//! Session `i` has the client identifier `load-away-i` and a subscription to `away/i`, or all of them
//! to `away/all`. Message `m` of a session is stamped with `i` and `m`, so that `drain` needs no
//! knowledge of `fill`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::check::{Faults, Ledger, STAMP_BYTES, Stamp};
use crate::fleet::{Clients, Fleet, Play};
use crate::process::{self, Broker, since};
use crate::wire::{self, Packet};

/// Sessions that are connected together.
const WAVE: usize = 100;
const PUBLISHERS: usize = 50;
/// Messages of one publisher that are not yet acknowledged.
const WINDOW: u64 = 20;
/// How long nothing may come.
const SILENCE_MAX: Duration = Duration::from_secs(20);
const PREFIX: &str = "load-away-";

pub(crate) struct Queue {
    pub(crate) sessions: usize,
    /// For each session; or for all of them, when they share a topic.
    pub(crate) messages: u32,
    pub(crate) payload: usize,
    pub(crate) shared: bool,
    /// Whether the sessions are there already.
    pub(crate) opened: bool,
}

impl Queue {
    fn filter(&self, session: usize) -> String {
        if self.shared { "away/all".to_owned() } else { format!("away/{session}") }
    }

    /// How many topics messages go to.
    const fn topics(&self) -> usize {
        if self.shared { 1 } else { self.sessions }
    }

    fn waves(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let sessions = self.sessions;
        (0..sessions).step_by(WAVE).map(move |first| first..sessions.min(first + WAVE))
    }
}

/// Publishes, a window at a time: message after message to each of its topics.
struct Filling<'a> {
    asked: &'a Queue,
    publishers: Vec<Publisher>,
    acknowledged: u64,
    odd: u64,
}

#[derive(Default)]
struct Publisher {
    /// Its topics.
    topics: Vec<usize>,
    published: u64,
    acknowledged: u64,
}

impl<'a> Filling<'a> {
    fn new(asked: &'a Queue) -> Self {
        let count = PUBLISHERS.min(asked.topics());
        let mut publishers: Vec<_> = (0..count).map(|_| Publisher::default()).collect();
        for topic in 0..asked.topics() {
            publishers[topic % count].topics.push(topic);
        }
        Self { asked, publishers, acknowledged: 0, odd: 0 }
    }

    fn all(&self) -> u64 {
        self.asked.topics() as u64 * u64::from(self.asked.messages)
    }

    fn publish(&mut self, at: usize, out: &mut Vec<u8>) {
        let publisher = &mut self.publishers[at];
        let topics = publisher.topics.len() as u64;
        let all = topics * u64::from(self.asked.messages);
        while publisher.published < all.min(publisher.acknowledged + WINDOW) {
            let of = usize::try_from(publisher.published % topics).unwrap_or(0);
            let number = u32::try_from(publisher.published / topics).unwrap_or(u32::MAX);
            let id = u16::try_from(publisher.published % 65_535).map_or(1, |id| id + 1);
            let session = publisher.topics[of];
            let stamp = u32::try_from(session).unwrap_or(u32::MAX);
            let stamp = Stamp { publisher: stamp, number, due_ns: 0 };
            let fill = self.asked.payload - STAMP_BYTES;
            wire::publish(out, &self.asked.filter(session), (1, id), &stamp.bytes(), fill);
            publisher.published += 1;
        }
    }
}

impl Play for Filling<'_> {
    fn packet(&mut self, link: usize, packet: &Packet<'_>, out: &mut Vec<u8>) {
        if matches!(packet, Packet::Puback(_)) && link < self.publishers.len() {
            self.acknowledged += 1;
            self.publishers[link].acknowledged += 1;
            self.publish(link, out);
        } else {
            self.odd += 1;
        }
    }
}

/// Sessions begin and are left, unless they are there; then messages are published for them.
pub(crate) fn fill(address: SocketAddr, asked: &Queue, broker: &Broker) -> io::Result<Value> {
    let opened = process::now();
    for wave in asked.waves().filter(|_| !asked.opened) {
        let mut fleet = Fleet::new()?;
        let count = wave.len();
        fleet
            .open(address, Clients::kept(PREFIX, wave), |number| Some((asked.filter(number), 1)))?;
        fleet.leave(0..count)?;
    }
    let open_secs = since(opened).as_secs_f64();
    let mut fleet = Fleet::new()?;
    let mut filling = Filling::new(asked);
    fleet.open(address, Clients::clean("load-fill-", filling.publishers.len()), |_| None)?;
    let (before, spent, started) = (broker.memory(), broker.spent(), process::now());
    for at in 0..filling.publishers.len() {
        filling.publish(at, fleet.out(at));
    }
    let (mut moved, mut seen) = (started, 0);
    while filling.acknowledged < filling.all() && since(moved) < SILENCE_MAX && fleet.lost == 0 {
        fleet.flush();
        fleet.turn(Some(Duration::from_millis(50)), &mut filling)?;
        if filling.acknowledged > seen {
            seen = filling.acknowledged;
            moved = process::now();
        }
    }
    let secs = since(started).as_secs_f64();
    let (spent, after) = (broker.spent().since(&spent), broker.memory());
    let unacknowledged = filling.all() - filling.acknowledged;
    let each = |amount: f64| amount / filling.acknowledged.max(1) as f64;
    Ok(json!({
        "scenario": "fill",
        "sessions": asked.sessions,
        "messages": asked.messages,
        "payload": asked.payload,
        "open_secs": open_secs,
        "secs": secs,
        "acknowledged": filling.acknowledged,
        "acknowledged_per_sec": filling.acknowledged as f64 / secs,
        "unacknowledged": unacknowledged,
        "odd": filling.odd,
        "closed": fleet.lost,
        "correct": unacknowledged + filling.odd + fleet.lost == 0,
        "cpu_us_per_message": each(spent.cpu_secs * 1e6),
        "written_per_payload_byte": each(spent.written_bytes as f64) / asked.payload as f64,
        "resident_kib_before": before.resident,
        "anonymous_kib_before": before.anonymous,
        "resident_kib": after.resident,
        "anonymous_kib": after.anonymous,
        "peak_kib": after.peak,
    }))
}

/// What the sessions of one wave get.
struct Draining<'a> {
    asked: &'a Queue,
    first: usize,
    ledgers: Vec<Ledger>,
    delivered: u64,
    faults: Faults,
}

impl Draining<'_> {
    fn due(&self) -> u64 {
        self.ledgers.len() as u64 * u64::from(self.asked.messages)
    }
}

impl Play for Draining<'_> {
    fn packet(&mut self, link: usize, packet: &Packet<'_>, out: &mut Vec<u8>) {
        let Packet::Publish { qos: 1, id, payload } = packet else {
            self.faults.odd += 1;
            return;
        };
        wire::acknowledge(out, 4, *id);
        let whose = if self.asked.shared { 0 } else { self.first + link };
        let stamp = Stamp::read(payload).filter(|stamp| stamp.publisher as usize == whose);
        match stamp {
            Some(stamp) if stamp.number < self.asked.messages => {
                let is_new = self.ledgers[link].note(stamp.number, &mut self.faults);
                self.delivered += u64::from(is_new);
            }
            _ => self.faults.odd += 1,
        }
    }
}

/// The sessions come back, wave by wave, and take what waits for them.
pub(crate) fn drain(address: SocketAddr, asked: &Queue, broker: &Broker) -> io::Result<Value> {
    let (started, spent, before) = (process::now(), broker.spent(), broker.memory());
    let (mut delivered, mut due, mut missing, mut closed) = (0, 0, 0, 0);
    let mut faults = Faults::default();
    for wave in asked.waves() {
        let mut fleet = Fleet::new()?;
        let count = wave.len();
        let ledgers = wave.clone().map(|_| Ledger::default()).collect();
        let mut draining = Draining { asked, first: wave.start, ledgers, delivered: 0, faults };
        let present = fleet.resume(address, Clients::kept(PREFIX, wave), &mut draining)?;
        take(&mut fleet, &mut draining)?;
        missing += count - present;
        closed += fleet.lost;
        if fleet.lost == 0 {
            fleet.leave(0..count)?;
        }
        due += draining.due();
        delivered += draining.delivered;
        faults = draining.faults;
    }
    let (secs, spent, after) =
        (since(started).as_secs_f64(), broker.spent().since(&spent), broker.memory());
    let Faults { duplicates, reordered, odd } = faults;
    let lost = due - delivered;
    let bad = lost + duplicates + reordered + odd + closed + missing as u64;
    Ok(json!({
        "scenario": "drain",
        "sessions": asked.sessions,
        "messages": asked.messages,
        "secs": secs,
        "delivered": delivered,
        "delivered_per_sec": delivered as f64 / secs,
        "lost": lost,
        "duplicates": duplicates,
        "reordered": reordered,
        "odd": odd,
        "closed": closed,
        "sessions_missing": missing,
        "correct": bad == 0,
        "cpu_us_per_message": spent.cpu_secs * 1e6 / delivered.max(1) as f64,
        "written_bytes": spent.written_bytes,
        "resident_kib_before": before.resident,
        "resident_kib": after.resident,
        "peak_kib": after.peak,
    }))
}

fn take(fleet: &mut Fleet, draining: &mut Draining<'_>) -> io::Result<()> {
    let (mut moved, mut seen) = (process::now(), 0);
    while draining.delivered < draining.due() && since(moved) < SILENCE_MAX && fleet.lost == 0 {
        fleet.flush();
        fleet.turn(Some(Duration::from_millis(50)), draining)?;
        if draining.delivered > seen {
            seen = draining.delivered;
            moved = process::now();
        }
    }
    // A duplicate would come now.
    fleet.flush();
    fleet.turn(Some(Duration::from_millis(5)), draining)
}
