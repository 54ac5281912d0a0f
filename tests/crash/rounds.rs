//! Rounds of load that end in a kill: nothing that was acknowledged may be lost.

use std::fs;
use std::path::{Path, PathBuf};

use crate::broker::{Broker, wait_ms};
use crate::chance::Chance;
use crate::disk::{Cut, Disk, shim};
use crate::play::Play;

/// Rounds of an ordinary test run.
const ROUNDS: u64 = 15;
/// Power cuts of an ordinary test run.
const CUTS: u64 = 10;
/// All that is due must have come after so many rounds.
const SETTLE_EVERY: u64 = 5;
/// With more findings than this, a run ends early.
const FINDINGS_MAX: usize = 20;

pub(crate) fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// The seed of this run: a new one, unless it was named.
pub(crate) fn seed() -> u64 {
    number("MQTTD_CRASH_SEED").unwrap_or_else(|| {
        let now = mqttd::server::clock::Clock::now();
        Chance::new(now.unix_ms ^ u64::from(std::process::id()) << 40).next() >> 32
    })
}

/// How the broker ends, and comes back.
pub(crate) trait Ending {
    /// Before a start.
    fn prepare(&mut self, _broker: &mut Broker, _chance: &mut Chance) {}
    /// Ends it.
    fn end(&mut self, broker: &mut Broker, chance: &mut Chance);
}

/// `kill -9`.
pub(crate) struct Killed;

impl Ending for Killed {
    fn end(&mut self, broker: &mut Broker, _: &mut Chance) {
        broker.kill();
    }
}

/// A power cut: `kill -9`, and the disk keeps what was synced and some of the rest.
pub(crate) struct PowerCut {
    library: PathBuf,
    log: PathBuf,
    disk: Disk,
    syncs: u64,
    cut: Cut,
    /// The file that makes syncs fail, and how many did.
    pub(crate) fault: Option<PathBuf>,
    pub(crate) failed: u64,
}

impl PowerCut {
    /// `None` without a C compiler.
    pub(crate) fn new(dir: &Path) -> Option<Self> {
        let (library, log) = (shim(dir)?, dir.join("shim.log"));
        let (disk, cut) = (Disk::default(), Cut::default());
        Some(Self { library, log, disk, syncs: 0, cut, fault: None, failed: 0 })
    }

    /// The process was killed, but the power is there: its next life is logged behind.
    pub(crate) fn outlive(&mut self) {
        self.disk.outlive(&fs::read(&self.log).unwrap());
        fs::write(&self.log, b"").unwrap();
    }
}

impl Ending for PowerCut {
    fn prepare(&mut self, broker: &mut Broker, chance: &mut Chance) {
        self.disk = Disk::of(&broker.data());
        fs::write(&self.log, b"").unwrap();
        let delay_us = chance.pick(&[0, 500, 3_000, 10_000]);
        broker.surroundings = [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("CRASH_SHIM_DIR", broker.data().display().to_string()),
            ("CRASH_SHIM_LOG", self.log.display().to_string()),
            ("CRASH_SHIM_DELAY", delay_us.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        if let Some(fault) = &self.fault {
            let fault = ("CRASH_SHIM_FAULT".to_owned(), fault.display().to_string());
            broker.surroundings.push(fault);
        }
    }

    fn end(&mut self, broker: &mut Broker, chance: &mut Chance) {
        broker.kill();
        self.disk.replay(&fs::read(&self.log).unwrap());
        let cut = self.disk.cut(chance);
        self.syncs += self.disk.syncs;
        self.failed += self.disk.failed_syncs;
        self.cut.dropped += cut.dropped;
        self.cut.kept += cut.kept;
        self.cut.torn += cut.torn;
    }
}

/// Runs rounds; fails with what was found.
pub(crate) fn run(title: &str, rounds: u64, home: &Path, more: &str, ending: &mut dyn Ending) {
    let seed = seed();
    println!("{title}: seed {seed}, {rounds} rounds");
    let mut chance = Chance::new(seed);
    let broker = Broker::new(home, more, &mut chance);
    let mut play = Play::new(broker, chance);
    let mut kills = 0;
    let mut reported = 0;
    for round in 1..=rounds {
        kills += 1 + begin(&mut play, ending, round);
        let short = play.chance.once_in(3);
        let ms = play.chance.between(0, if short { 200 } else { 1500 });
        play.play(ms);
        if round % SETTLE_EVERY == 0 || round == rounds {
            play.settle();
            let ms = play.chance.between(0, 300);
            play.play(ms);
        }
        for finding in &play.findings()[reported..] {
            println!("{title}: round {round}: {finding}");
        }
        reported = play.findings().len();
        ending.end(&mut play.broker, &mut play.chance);
        play.mourn();
        if reported > FINDINGS_MAX {
            break;
        }
    }
    println!(
        "{title}: {rounds} rounds, {kills} kills; again: scripts/crash {rounds} --seed {seed}"
    );
    play.verdict(title);
}

/// Starts it, and sometimes kills it while it starts: how often.
fn begin(play: &mut Play, ending: &mut dyn Ending, round: u64) -> u64 {
    let mut kills = 0;
    ending.prepare(&mut play.broker, &mut play.chance);
    while round > 1 && play.chance.once_in(4) {
        play.broker.launch();
        wait_ms(play.chance.between(0, 120));
        ending.end(&mut play.broker, &mut play.chance);
        ending.prepare(&mut play.broker, &mut play.chance);
        kills += 1;
    }
    if play.broker.surroundings.is_empty() && play.chance.once_in(5) {
        play.broker.detach();
    } else {
        play.broker.launch();
    }
    play.broker.ready();
    play.up();
    kills
}

#[test]
fn what_is_acknowledged_survives_kills_at_random_moments() {
    let home = tempfile::tempdir().unwrap();
    let rounds = number("MQTTD_CRASH_ROUNDS").unwrap_or(ROUNDS);
    run("kill -9", rounds, home.path(), "", &mut Killed);
}

#[test]
fn what_is_acknowledged_survives_power_cuts_at_random_moments() {
    let home = tempfile::tempdir().unwrap();
    let beside = tempfile::tempdir().unwrap();
    let Some(mut ending) = PowerCut::new(beside.path()) else {
        println!("skipped: power cuts need a C compiler");
        return;
    };
    let rounds = number("MQTTD_CRASH_CUTS").unwrap_or(CUTS);
    run("power cut", rounds, home.path(), "", &mut ending);
    println!(
        "power cut: {} syncs; of what was not synced, {} pages were dropped, {} kept, {} of them torn",
        ending.syncs, ending.cut.dropped, ending.cut.kept, ending.cut.torn
    );
    assert!(ending.syncs > 0 && ending.cut.dropped > 0, "the shim saw nothing of the disk");
}

/// What is replayed is what the process sees in its files, to the last byte: nothing bypasses the log.
#[test]
fn the_log_of_the_disk_misses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let beside = tempfile::tempdir().unwrap();
    let Some(mut ending) = PowerCut::new(beside.path()) else {
        println!("skipped: power cuts need a C compiler");
        return;
    };
    let mut chance = Chance::new(seed());
    let mut broker = Broker::new(home.path(), "", &mut chance);
    for ms in [600, 300] {
        ending.prepare(&mut broker, &mut chance);
        broker.launch();
        broker.ready();
        let mut play = Play::new(broker, chance);
        play.up();
        play.play(ms);
        play.broker.stop();
        ending.disk.replay(&fs::read(&ending.log).unwrap());
        assert_eq!(ending.disk.differences(), Vec::<String>::new());
        assert!(ending.disk.syncs > 0, "the shim saw no sync");
        (broker, chance) = (play.broker, play.chance);
    }
}

/// The judges find nothing where nothing happens.
#[test]
fn a_life_without_a_crash_has_no_findings() {
    let seed = seed();
    println!("one life: seed {seed}");
    let home = tempfile::tempdir().unwrap();
    let mut chance = Chance::new(seed);
    let mut broker = Broker::new(home.path(), "", &mut chance);
    broker.launch();
    broker.ready();
    let mut play = Play::new(broker, chance);
    play.up();
    for _ in 0..number("MQTTD_CRASH_LIFE").unwrap_or(2) {
        play.play(2000);
        play.settle();
    }
    let findings = play.findings();
    assert!(findings.is_empty(), "MQTTD_CRASH_SEED={seed}\n{}", findings.join("\n"));
}
