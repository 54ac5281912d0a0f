//! Connections without messages: `idle` (memory of each) and `connstorm` (CPU of each).

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::fleet::{Fleet, Play};
use crate::process::{self, Broker, since};
use crate::wire::{self, Packet};

/// Connections opened and closed together in a storm.
const WAVE: usize = 200;

/// Opens `n` connections with one QoS 1 subscription each; memory and CPU a connection.
pub(crate) fn idle(address: SocketAddr, n: usize, broker: &Broker) -> io::Result<Value> {
    let (memory, cpu, started) = (broker.memory(), broker.cpu_secs(), process::now());
    let mut fleet = Fleet::new()?;
    fleet.open(address, ("load-idle-", n), |number| Some((format!("idle/{number}"), 1)))?;
    let secs = since(started).as_secs_f64();
    let grown_kib = broker.memory().resident.saturating_sub(memory.resident);
    let cpu = broker.cpu_secs() - cpu;
    Ok(json!({
        "scenario": "idle",
        "n": fleet.len(),
        "correct": fleet.lost == 0,
        "bytes_per_connection": grown_kib as f64 * 1024.0 / n as f64,
        "resident_kib": broker.memory().resident,
        "cpu_us_per_connect": cpu * 1e6 / n as f64,
        "connects_per_sec": n as f64 / secs,
    }))
}

/// Connects and disconnects `n` times, [`WAVE`] at once.
pub(crate) fn connstorm(address: SocketAddr, n: usize, broker: &Broker) -> io::Result<Value> {
    let (cpu, started) = (broker.cpu_secs(), process::now());
    let mut done = 0;
    while done < n {
        let wave = WAVE.min(n - done);
        let mut fleet = Fleet::new()?;
        fleet.open(address, ("load-storm-", wave), |_| None)?;
        for at in 0..wave {
            wire::disconnect(fleet.out(at));
        }
        fleet.flush();
        await_the_end(&mut fleet, wave)?;
        fleet.clear();
        done += wave;
    }
    let secs = since(started).as_secs_f64();
    let cpu = broker.cpu_secs() - cpu;
    Ok(json!({
        "scenario": "connstorm",
        "n": n,
        "correct": true,
        "cpu_us_per_connect": cpu * 1e6 / n as f64,
        "connects_per_sec": n as f64 / secs,
        "resident_kib": broker.memory().resident,
    }))
}

/// A server closes the connection after DISCONNECT [MQTT-3.14.4-3].
fn await_the_end(fleet: &mut Fleet, wave: usize) -> io::Result<()> {
    let started = process::now();
    while fleet.lost < wave as u64 {
        fleet.turn(Some(std::time::Duration::from_millis(100)), &mut Silence)?;
        if since(started) > crate::fleet::PATIENCE {
            return Err(io::Error::other("the broker does not close after DISCONNECT"));
        }
    }
    Ok(())
}

/// Expects nothing.
pub(crate) struct Silence;

impl Play for Silence {
    fn packet(&mut self, _: usize, _: &Packet<'_>, _: &mut Vec<u8>) {}
}
