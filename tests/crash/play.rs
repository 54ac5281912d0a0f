//! Rounds: the cast plays until the broker is killed, and again, until all that is due must have come.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::process::Command;

use crate::broker::{Broker, ticks_ms};
use crate::cast::{CAST, TOPICS};
use crate::chance::Chance;
use crate::client::{Client, Scene, Truth};
use crate::ledger::{Ledger, Tally};
use crate::registers::Registers;

/// How long everything that is due may take to come, once nothing new does.
const SETTLE_MS: u64 = 120_000;

/// Whether what a run leaves is kept, and what its clients say and hear is written down.
pub(crate) fn keeps() -> bool {
    std::env::var_os("MQTTD_CRASH_KEEP").is_some()
}

/// A broker, its clients and their judges.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) broker: Broker,
    pub(crate) truth: Truth,
    clients: Vec<Client>,
    pub(crate) chance: Chance,
    pub(crate) scene: Scene,
    began_ms: u64,
}

impl Play {
    pub(crate) fn new(broker: Broker, chance: Chance) -> Self {
        let names: Vec<&str> = CAST.iter().map(|part| part.name).collect();
        let retained = TOPICS.iter().filter(|topic| topic.starts_with("r/"));
        let truth = Truth {
            ledger: Ledger::new(TOPICS, &names),
            registers: Registers::new(retained.map(|topic| (*topic).to_owned())),
            trace: keeps().then(|| File::create(broker.home.join("trace")).unwrap()),
        };
        let clients = CAST.iter().enumerate().map(|(who, part)| Client::new(who, part)).collect();
        let scene = Scene {
            now_ms: 0,
            address: broker.address,
            up_ms: None,
            calm: false,
            reading: false,
            trouble: false,
        };
        Self { broker, truth, clients, chance, scene, began_ms: ticks_ms() }
    }

    fn look_at_the_clock(&mut self) {
        self.scene.now_ms = ticks_ms() - self.began_ms;
        self.truth.ledger.at(self.scene.now_ms);
    }

    /// The broker takes connections: the cast comes back, what is retained is read first.
    pub(crate) fn up(&mut self) {
        self.look_at_the_clock();
        self.scene.up_ms = Some(self.scene.now_ms);
        self.scene.reading = true;
        self.clients.iter_mut().for_each(|client| client.read_once = false);
        self.truth.ledger.restarted();
        if let Some(trace) = &mut self.truth.trace {
            let _ = writeln!(trace, "{} ---- the broker is up", self.scene.now_ms);
        }
    }

    /// One step of everybody.
    fn step(&mut self) {
        let waiting: Vec<usize> =
            (0..self.clients.len()).filter(|at| self.clients[*at].link.is_some()).collect();
        let mut ready: Vec<PollFd<'_>> = waiting
            .iter()
            .filter_map(|at| self.clients[*at].link.as_ref())
            .map(|link| PollFd::new(link.stream.as_fd(), PollFlags::POLLIN))
            .collect();
        let _ = poll(&mut ready, PollTimeout::from(1u8));
        let heard: Vec<bool> = ready.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        drop(ready);
        self.look_at_the_clock();
        for (at, _) in waiting.iter().zip(heard).filter(|(_, heard)| *heard) {
            self.clients[*at].hear(&self.scene, &mut self.truth, &mut self.chance);
        }
        for client in &mut self.clients {
            client.act(&self.scene, &mut self.truth, &mut self.chance);
        }
        if self.scene.reading && self.clients.iter().any(|client| client.read_once) {
            self.scene.reading = false;
        }
    }

    /// The cast plays so long.
    pub(crate) fn play(&mut self, ms: u64) {
        self.look_at_the_clock();
        let until_ms = self.scene.now_ms + ms;
        while self.scene.now_ms < until_ms {
            self.step();
        }
        if let Some(status) = self.broker.ended() {
            let said = self.broker.whole_log();
            let said: Vec<&str> = said.lines().filter(|line| !line.contains(" INFO ")).collect();
            let line = format!(
                "{} ms: the broker ended by itself: {status}: {}",
                self.scene.now_ms,
                said.join(" / ")
            );
            self.truth.ledger.findings.push(line);
        }
    }

    /// Everybody notices that the broker is dead, after what it had said before.
    pub(crate) fn mourn(&mut self) {
        self.look_at_the_clock();
        self.scene.up_ms = None;
        for client in &mut self.clients {
            // Its end of the socket is closed: all there is can be read at once.
            client.hear(&self.scene, &mut self.truth, &mut self.chance);
            client.lose(&self.scene, &mut self.truth, &mut self.chance);
        }
        self.truth.ledger.crashed();
        if let Some(trace) = &mut self.truth.trace {
            let _ = writeln!(trace, "{} ---- the broker is dead", self.scene.now_ms);
        }
        for client in &mut self.clients {
            client.crashed(&mut self.truth);
        }
    }

    /// Nobody begins anything new; waits until all that is due has come, and judges.
    pub(crate) fn settle(&mut self) {
        self.scene.calm = true;
        self.look_at_the_clock();
        let until_ms = self.scene.now_ms + SETTLE_MS;
        let mut calm_ms = 0;
        while self.scene.now_ms < until_ms {
            self.step();
            let all_there = self.clients.iter().all(|client| {
                let absent = client.part.reads || client.part.will.is_some();
                absent || (client.online() && client.quiet())
            });
            let done = all_there
                && !self.scene.reading
                && self.clients.iter().all(Client::quiet)
                && self.truth.ledger.outstanding() == 0;
            if !done {
                calm_ms = self.scene.now_ms;
            } else if self.scene.now_ms > calm_ms + 200 {
                break;
            }
        }
        if self.scene.now_ms >= until_ms {
            for client in self.clients.iter().filter(|client| !client.quiet()) {
                self.truth.ledger.find(client.who, &format!("is stuck: {}", client.state()));
            }
        }
        self.truth.ledger.settle();
        self.scene.calm = false;
        // What is retained now must be what a reader is told.
        self.scene.reading = true;
        self.clients.iter_mut().for_each(|client| client.read_once = false);
        while self.scene.reading && self.scene.now_ms < until_ms + 60_000 {
            self.step();
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.truth.ledger.tally
    }

    pub(crate) fn findings(&self) -> &[String] {
        &self.truth.ledger.findings
    }

    /// Says what was judged; fails with what was found.
    pub(crate) fn verdict(&self, title: &str) {
        let Tally { acknowledged, refused, delivered, repeated, resumed, .. } = self.tally();
        let findings = self.findings();
        println!(
            "{title}: {acknowledged} messages acknowledged, {refused} refused, {delivered} delivered, \
             {repeated} of them again, {resumed} sessions resumed, {} findings",
            findings.len()
        );
        if keeps() {
            let kept = tempfile::tempdir().unwrap().keep();
            let copied = Command::new("cp").arg("-a").arg(&self.broker.home).arg(&kept).status();
            println!("{title}: kept in {} ({copied:?})", kept.display());
        }
        assert!(findings.is_empty(), "{}\n{}", findings.join("\n"), self.broker.log());
        assert!(acknowledged > 0 && delivered > acknowledged, "nothing was tried");
    }
}
