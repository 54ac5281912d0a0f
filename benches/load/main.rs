//! Load for a broker, any broker: `load SCENARIO HOST:PORT …` plays a scenario against it, checks
//! every message (loss, duplicates, order per publisher and topic) and prints one line of JSON.
//!
//! Called by `scripts/bench`, or by hand: `cargo bench --bench load -- pairs 127.0.0.1:1883 100 0
//! 16`. It starts no broker, and shares no code with ours: what it knows of MQTT 3.1.1 stands in
//! `wire.rs`, so that a fault in the broker's codec cannot hide in the generator too. One thread,
//! one epoll; as it lives beside the broker on one machine, quote the broker's CPU per message
//! (`--pid`) rather than throughput.

#![expect(clippy::print_stdout, reason = "what it prints is its result")]

mod check;
mod crowd;
mod durable;
mod fleet;
mod flow;
mod hostile;
mod process;
mod queue;
mod retained;
mod wire;

use std::process::ExitCode;

use serde_json::{Value, json};

const USAGE: &str = "\
usage: load pairs     ADDRESS N QOS PAYLOAD   N publishers, each to a subscriber of its own
       load fanout    ADDRESS N QOS PAYLOAD   one publisher to N subscribers
       load fanin     ADDRESS N QOS PAYLOAD   N publishers to one subscriber
       load idle      ADDRESS N               N connections with one QoS 1 subscription each
       load connstorm ADDRESS N               N times: connect, be accepted, disconnect
       load hostile   ADDRESS                 --idle connections, --publishers, one subscriber that
                                              never reads, and a pair that measures its latency
       load durable   ADDRESS N PAYLOAD       N publishers with one QoS 1 message in flight each, one
                                              subscriber whose session is kept (--away 1: it is away,
                                              and comes back)
       load fill      ADDRESS N M PAYLOAD     N sessions that are away, M messages for each (--all 1:
                                              each message is for all; --opened 1: the sessions
                                              are there already)
       load drain     ADDRESS N M             they come back and take them (--all 1)
       load retain    ADDRESS N PAYLOAD       N retained messages
       load retained  ADDRESS N               a subscriber takes them
options: --pid PID       the broker's process: its CPU and memory are reported
         --secs S        how long (default 3)
         --window W      messages under way per publisher (default by N and payload)
         --rate R        messages a second in all, instead of as fast as the window lets
         --idle N --publishers N --payload BYTES   of `hostile` (10000, 1000, 256)
";

/// What the command line asks for.
struct Asked {
    words: Vec<String>,
    options: Vec<(String, u64)>,
}

impl Asked {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut asked = Self { words: Vec::new(), options: Vec::new() };
        while let Some(argument) = arguments.next() {
            // `cargo bench` adds this one.
            if argument == "--bench" {
                continue;
            }
            if let Some(name) = argument.strip_prefix("--") {
                let value =
                    arguments.next().ok_or_else(|| format!("--{name}: a number follows"))?;
                let value = value.parse().map_err(|_| format!("--{name}: {value}: no number"))?;
                asked.options.push((name.to_owned(), value));
            } else {
                asked.words.push(argument);
            }
        }
        Ok(asked)
    }

    fn option(&self, name: &str) -> Option<u64> {
        self.options.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    fn word(&self, at: usize, what: &str) -> Result<&str, String> {
        self.words.get(at).map(String::as_str).ok_or_else(|| format!("{what} is missing"))
    }

    fn number(&self, at: usize, what: &str) -> Result<usize, String> {
        let word = self.word(at, what)?;
        word.parse().map_err(|_| format!("{what}: {word}: no number"))
    }
}

fn main() -> ExitCode {
    let asked = match Asked::read(std::env::args().skip(1)) {
        Ok(asked) if asked.words.is_empty() => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Ok(asked) => asked,
        Err(problem) => return usage(&problem),
    };
    match play(&asked) {
        Ok(report) => {
            println!("{report}");
            if report["correct"] == json!(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => usage(&problem),
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("load: {problem}\n\n{USAGE}");
    ExitCode::from(2)
}

fn play(asked: &Asked) -> Result<Value, String> {
    process::prepare();
    let scenario = asked.word(0, "the scenario")?;
    let address = asked.word(1, "the address")?;
    let address = address.parse().map_err(|_| format!("{address}: no address (HOST:PORT)"))?;
    let broker = process::Broker::new(asked.option("pid"));
    let secs = asked.option("secs").unwrap_or(3);
    let report = match scenario {
        "pairs" | "fanout" | "fanin" => {
            let n = asked.number(2, "N")?;
            let qos = u8::try_from(asked.number(3, "QOS")?).map_err(|_| "QOS is 0, 1 or 2")?;
            let shape = flow::Shape::new(scenario, n).ok_or("N is at least 1")?;
            let payload = asked.number(4, "PAYLOAD")?.max(check::STAMP_BYTES);
            let flow = flow::Flow {
                shape,
                qos: qos.min(2),
                payload,
                window: asked.option("window").map_or_else(|| shape.window(payload), |w| w.max(1)),
                rate: asked.option("rate"),
                secs,
            };
            flow::play(address, &flow, &broker)
        }
        "idle" => crowd::idle(address, asked.number(2, "N")?, &broker),
        "connstorm" => crowd::connstorm(address, asked.number(2, "N")?, &broker),
        "durable" => {
            let publishers = asked.number(2, "N")?.max(1);
            let payload = asked.number(3, "PAYLOAD")?.max(check::STAMP_BYTES);
            let away = asked.option("away").is_some_and(|away| away > 0);
            let durable = durable::Durable { publishers, payload, secs, away };
            durable::play(address, &durable, &broker)
        }
        "fill" => queue::fill(address, &queue(asked, asked.number(4, "PAYLOAD")?)?, &broker),
        "drain" => queue::drain(address, &queue(asked, 0)?, &broker),
        "retain" => {
            let payload = asked.number(3, "PAYLOAD")?.max(check::STAMP_BYTES);
            retained::retain(address, (asked.number(2, "N")?, payload), &broker)
        }
        "retained" => retained::retained(address, asked.number(2, "N")?, &broker),
        "hostile" => {
            let hostile = hostile::Hostile {
                idle: asked.option("idle").unwrap_or(10_000),
                publishers: asked.option("publishers").unwrap_or(1_000),
                payload: usize::try_from(asked.option("payload").unwrap_or(256))
                    .map_err(|_| "--payload is too large")?
                    .max(check::STAMP_BYTES),
                rate: asked.option("rate").unwrap_or(10_000),
                secs: asked.option("secs").unwrap_or(60),
            };
            hostile::play(address, &hostile, &broker)
        }
        other => return Err(format!("{other}: no such scenario")),
    };
    report.map_err(|error| format!("{scenario}: {error}"))
}

fn queue(asked: &Asked, payload: usize) -> Result<queue::Queue, String> {
    let messages = asked.number(3, "M")?;
    Ok(queue::Queue {
        sessions: asked.number(2, "N")?.max(1),
        messages: u32::try_from(messages).map_err(|_| format!("M: {messages} is too many"))?,
        payload: payload.max(check::STAMP_BYTES),
        shared: asked.option("all").is_some_and(|all| all > 0),
        opened: asked.option("opened").is_some_and(|opened| opened > 0),
    })
}
