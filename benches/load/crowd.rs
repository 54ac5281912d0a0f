//! Connections without messages: `idle` (memory of each) and `connstorm` (CPU of each).

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::fleet::{Clients, Fleet};
use crate::process::{self, Broker, since};

/// Connections opened and closed together in a storm.
const WAVE: usize = 200;

/// Opens `n` connections with one QoS 1 subscription each; memory and CPU a connection.
pub(crate) fn idle(address: SocketAddr, n: usize, broker: &Broker) -> io::Result<Value> {
    let (memory, cpu, started) = (broker.memory(), broker.cpu_secs(), process::now());
    let mut fleet = Fleet::new()?;
    let clients = Clients::clean("load-idle-", n);
    fleet.open(address, clients, |number| Some((format!("idle/{number}"), 1)))?;
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
        fleet.open(address, Clients::clean("load-storm-", wave), |_| None)?;
        // A server closes the connection after DISCONNECT [MQTT-3.14.4-3].
        fleet.leave(0..wave)?;
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
