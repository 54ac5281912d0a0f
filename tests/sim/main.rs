//! The deterministic simulation: production shards in one thread, with a time, a network, a disk,
//! crashes and clients that a seed decides, judged by a naive model.
//!
//! `cargo test --test sim` runs 200 seeds. `MQTTD_SIM_SEEDS` runs that many, from `MQTTD_SIM_FIRST`
//! on; `MQTTD_SIM_SEED` runs one alone, with its history when `MQTTD_SIM_TRACE` is set. See
//! `docs/testing.md`.
//!
//! * `schedule` chooses what happens; `host` is the server around the shards, `network` its lines,
//!   `disk` its journal;
//! * `honest` and `dishonest` are the clients;
//! * `model` says what must be true: `door`, `ear`, `pay`, `groups`, `after`, `checks`;
//! * `crash` says what must be there after a crash, by what `survey` finds in the store and by the
//!   `history` of what clients were told;
//! * `moments` are single moments that seeds have found.

mod after;
mod chance;
mod checks;
mod crash;
mod dishonest;
mod disk;
mod door;
mod ear;
mod flow;
mod groups;
mod history;
mod honest;
mod host;
mod model;
mod moments;
mod naive;
mod network;
mod pay;
mod plan;
mod record;
mod schedule;
mod survey;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mqttd::server::clock::Clock;

use plan::Plan;
use record::Tally;
use schedule::{Outcome, run};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// Runs a plan; when it fails, says how to run it again.
fn tried(plan: &Plan) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| run(plan))) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let seed = plan.seed;
            eprintln!("{plan:?}");
            eprintln!("again: MQTTD_SIM_SEED={seed} cargo test --test sim seeds -- --nocapture");
            resume_unwind(panic)
        }
    }
}

/// What the model holds every seed to, among the rest: `[MQTT-4.6.0-5]` `[MQTT-4.8.2-4]`.
#[test]
fn seeds_run_without_a_failure() {
    let (first, count) = match number("MQTTD_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => {
            (number("MQTTD_SIM_FIRST").unwrap_or(0), number("MQTTD_SIM_SEEDS").unwrap_or(SEEDS))
        }
    };
    let start = Clock::instant();
    let mut tally = Tally::default();
    for seed in first..first + count {
        tally.add(&tried(&Plan::of(seed)).record.tally);
        if count > SEEDS && (seed - first) % 500 == 499 {
            eprintln!("{} of {count} seeds, {} s", seed - first + 1, start.elapsed().as_secs());
        }
    }
    let wall_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    eprintln!("{count} seeds from {first} on, {wall_ms} ms, 1 : {}", tally.virtual_ms / wall_ms);
    eprintln!("{tally}");
    let missing = tally.missing();
    assert!(count < SEEDS || missing.is_empty(), "never exercised: {missing:?}");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 1000..1005 {
        let (one, other) = (tried(&Plan::of(seed)), tried(&Plan::of(seed)));
        assert_eq!(one.record.hash, other.record.hash, "seed {seed}");
        assert_eq!(one.record.tally, other.record.tally, "seed {seed}");
        assert_eq!(one.heard, other.heard, "seed {seed}");
    }
}

/// Without races of time and network, each client hears the same of each publisher and topic, in
/// the same order, however many shards there are.
#[test]
fn one_shard_and_four_are_equivalent() {
    for seed in 2000..2020 {
        let one = tried(&Plan::calm(seed, 1));
        let four = tried(&Plan::calm(seed, 4));
        assert_eq!(one.heard.len(), four.heard.len());
        for (number, (one, four)) in one.heard.iter().zip(&four.heard).enumerate() {
            let (one, four) = (plan::by_publisher(one), plan::by_publisher(four));
            assert_eq!(one, four, "seed {seed}: client {number}");
        }
    }
}
