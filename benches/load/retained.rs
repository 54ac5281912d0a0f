//! Retained messages: `retain` publishes them, `retained` subscribes and checks that each comes once.
//! Between the two the broker may have been killed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::check::{STAMP_BYTES, Stamp};
use crate::fleet::{Clients, Fleet, Play};
use crate::process::{self, Broker, since};
use crate::wire::{self, Packet};

const PUBLISHERS: usize = 20;
/// Messages of one publisher that are not yet acknowledged.
const WINDOW: u64 = 50;
/// How long nothing may come.
const SILENCE_MAX: Duration = Duration::from_secs(20);

struct Retaining {
    count: u64,
    fill: usize,
    /// Of each publisher: published and acknowledged.
    publishers: Vec<(u64, u64)>,
    acknowledged: u64,
    odd: u64,
}

impl Retaining {
    fn publish(&mut self, at: usize, out: &mut Vec<u8>) {
        let step = self.publishers.len() as u64;
        let (published, acknowledged) = &mut self.publishers[at];
        while *published < *acknowledged + WINDOW {
            let number = *published * step + at as u64;
            if number >= self.count {
                return;
            }
            let id = u16::try_from(*published % 65_535).map_or(1, |id| id + 1);
            let stamp = u32::try_from(number).unwrap_or(u32::MAX);
            let stamp = Stamp { publisher: 0, number: stamp, due_ns: 0 };
            let topic = format!("kept/{}/{}", number / 1000, number % 1000);
            wire::retain(out, &topic, id, &stamp.bytes(), self.fill);
            *published += 1;
        }
    }
}

impl Play for Retaining {
    fn packet(&mut self, link: usize, packet: &Packet<'_>, out: &mut Vec<u8>) {
        if matches!(packet, Packet::Puback(_)) {
            self.acknowledged += 1;
            self.publishers[link].1 += 1;
            self.publish(link, out);
        } else {
            self.odd += 1;
        }
    }
}

/// Publishes `count` retained messages of `payload` bytes on as many topics.
pub(crate) fn retain(
    address: SocketAddr,
    (count, payload): (usize, usize),
    broker: &Broker,
) -> io::Result<Value> {
    let mut fleet = Fleet::new()?;
    fleet.open(address, Clients::clean("load-retain-", PUBLISHERS), |_| None)?;
    let mut retaining = Retaining {
        count: count as u64,
        fill: payload - STAMP_BYTES,
        publishers: vec![(0, 0); PUBLISHERS],
        acknowledged: 0,
        odd: 0,
    };
    let (before, spent, started) = (broker.memory(), broker.spent(), process::now());
    for at in 0..PUBLISHERS {
        retaining.publish(at, fleet.out(at));
    }
    let (mut moved, mut seen) = (started, 0);
    while seen < count as u64 && since(moved) < SILENCE_MAX && fleet.lost == 0 {
        fleet.flush();
        fleet.turn(Some(Duration::from_millis(50)), &mut retaining)?;
        if retaining.acknowledged > seen {
            seen = retaining.acknowledged;
            moved = process::now();
        }
    }
    let (spent, after) = (broker.spent().since(&spent), broker.memory());
    let unacknowledged = count as u64 - retaining.acknowledged;
    let each = |amount: f64| amount / retaining.acknowledged.max(1) as f64;
    Ok(json!({
        "scenario": "retain",
        "n": count,
        "payload": payload,
        "secs": since(started).as_secs_f64(),
        "acknowledged": retaining.acknowledged,
        "unacknowledged": unacknowledged,
        "odd": retaining.odd,
        "closed": fleet.lost,
        "correct": unacknowledged + retaining.odd + fleet.lost == 0,
        "cpu_us_per_message": each(spent.cpu_secs * 1e6),
        "written_per_payload_byte": each(spent.written_bytes as f64) / payload as f64,
        "resident_kib_before": before.resident,
        "resident_kib": after.resident,
    }))
}

struct Getting {
    had: Vec<bool>,
    delivered: u64,
    duplicates: u64,
    odd: u64,
}

impl Play for Getting {
    fn packet(&mut self, _: usize, packet: &Packet<'_>, out: &mut Vec<u8>) {
        if let Packet::Publish { qos: 1, id, payload } = packet {
            wire::acknowledge(out, 4, *id);
            let stamp = Stamp::read(payload);
            match stamp.and_then(|stamp| self.had.get_mut(stamp.number as usize)) {
                Some(had) if *had => self.duplicates += 1,
                Some(had) => {
                    *had = true;
                    self.delivered += 1;
                }
                None => self.odd += 1,
            }
        } else if !matches!(packet, Packet::Suback { code: 1 }) {
            self.odd += 1;
        }
    }
}

/// One subscriber gets `count` retained messages, each once.
pub(crate) fn retained(address: SocketAddr, count: usize, broker: &Broker) -> io::Result<Value> {
    let mut fleet = Fleet::new()?;
    fleet.open(address, Clients::clean("load-retained-", 1), |_| None)?;
    let mut getting = Getting { had: vec![false; count], delivered: 0, duplicates: 0, odd: 0 };
    let (spent, started) = (broker.spent(), process::now());
    wire::subscribe(fleet.out(0), "kept/#", 1);
    let (mut moved, mut seen) = (started, 0);
    while seen < count as u64 && since(moved) < SILENCE_MAX && fleet.lost == 0 {
        fleet.flush();
        fleet.turn(Some(Duration::from_millis(50)), &mut getting)?;
        if getting.delivered > seen {
            seen = getting.delivered;
            moved = process::now();
        }
    }
    fleet.flush();
    fleet.turn(Some(Duration::from_millis(50)), &mut getting)?;
    let spent = broker.spent().since(&spent);
    let lost = count as u64 - getting.delivered;
    Ok(json!({
        "scenario": "retained",
        "n": count,
        "secs": since(started).as_secs_f64(),
        "delivered": getting.delivered,
        "lost": lost,
        "duplicates": getting.duplicates,
        "odd": getting.odd,
        "closed": fleet.lost,
        "correct": lost + getting.duplicates + getting.odd + fleet.lost == 0,
        "cpu_us_per_message": spent.cpu_secs * 1e6 / getting.delivered.max(1) as f64,
    }))
}
