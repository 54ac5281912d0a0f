//! Scripts for a broker in memory: connections of all versions, packets good and bad, cuts, time,
//! slow readers, late letters and operators, on one to three shards.
//!
//! Promises, held after each step: no panic; what a client hears is MQTT of its version, within
//! what it said it takes; nobody gets what it never asked for; every bound holds. And at the end,
//! when everybody is gone and time has passed, nothing is left.

mod door;
mod hearing;
mod packets;
mod world;

use mqttd::broker::{Lost, SharedChoice};
use mqttd::codec::QoS;

use super::tape::Tape;
use world::World;

/// Steps of one run; more would only take longer.
const STEPS_MAX: usize = 400;

/// Times to let pass, milliseconds.
const TIMES_MS: [u64; 8] = [1, 500, 999, 1000, 1501, 10_000, 130_000, 3_600_000];

const CHOICES: [SharedChoice; 4] = [
    SharedChoice::LeastBacklog,
    SharedChoice::RoundRobin,
    SharedChoice::Sticky,
    SharedChoice::HashPublisher,
];

/// The first byte says how many shards there are, how tight the bounds, and how members of Shared
/// Subscriptions are chosen; the rest are steps.
pub fn run(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let settings = tape.byte();
    let choice = CHOICES[usize::from(settings >> 4) % CHOICES.len()];
    let mut world = World::new(1 + u16::from(settings % 3), settings & 0x80 != 0, choice);
    for _ in 0..STEPS_MAX {
        if tape.is_over() {
            break;
        }
        step(&mut world, &mut tape);
        world.check();
    }
    world.end();
}

fn step(world: &mut World, tape: &mut Tape<'_>) {
    let what = tape.byte();
    match what % 16 {
        0 | 1 => {
            let (version, bytes) = packets::connect(tape);
            let number = world.open();
            world.send(number, &bytes, Some(version));
        }
        2 => {
            let number = world.open();
            world.send(number, tape.bytes(), None);
        }
        3 => {
            let number = world.pick(tape);
            world.send(number, tape.bytes(), None);
        }
        4..=7 => packet(world, tape, what % 16, usize::MAX),
        8 => {
            // A packet whose end comes later, or never.
            let kind = 4 + tape.byte() % 4;
            let len = tape.byte();
            packet(world, tape, kind, usize::from(len));
        }
        9 => {
            let number = world.pick(tape);
            world.answer(number);
        }
        10 => {
            let number = world.pick(tape);
            world.cut(
                number,
                tape.one_of(&[Lost::ByPeer, Lost::ServerShuttingDown, Lost::PartialPacketsFull]),
            );
        }
        11 => world.pass(tape.one_of(&TIMES_MS)),
        12 => {
            let number = world.pick(tape);
            world.read(number, tape.one_of(&[0, 1, 7, 64, usize::MAX]));
        }
        13 => world.hold_letters(tape.flag()),
        14 => operate(world, tape),
        _ => {
            let number = world.pick(tape);
            let bytes = packets::flood(tape, world.version(number));
            world.send(number, &bytes, None);
        }
    }
}

/// A packet that makes sense, or its first `len` bytes.
fn packet(world: &mut World, tape: &mut Tape<'_>, kind: u8, len: usize) {
    let number = world.pick(tape);
    let version = world.version(number);
    let bytes = match kind {
        4 => packets::publish(tape, version),
        5 => packets::subscribe(tape, version),
        6 => packets::acknowledge(tape, version),
        _ => packets::other(tape, version),
    };
    world.send(number, &bytes[..bytes.len().min(len)], None);
}

fn operate(world: &mut World, tape: &mut Tape<'_>) {
    match tape.byte() % 5 {
        0 => world.kick(tape.one_of(packets::CLIENT_IDS)),
        1 => {
            let (topic, qos) = (tape.one_of(packets::TOPICS), tape.below(3));
            let qos = QoS::from_bits(u8::try_from(qos).unwrap_or(0)).unwrap_or(QoS::AtMostOnce);
            world.publish(topic, tape.bytes(), qos, tape.flag());
        }
        2 => world.forget_retained(tape.one_of(packets::TOPICS)),
        3 => world.tighten(tape.flag()),
        _ => world.direct(tape.flag(), tape.flag(), tape.flag()),
    }
}
