//! A disk that is full, and one whose syncs fail: what cannot be kept is not acknowledged, everything
//! else goes on, nobody is disconnected, and when the disk is well again so is the broker.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::broker::{Broker, ticks_ms};
use crate::chance::Chance;
use crate::link::Link;
use crate::play::Play;
use crate::rounds::{Ending, Killed, PowerCut, seed};
use crate::wire::{self, Connect, Packet, Publish};

/// How long the broker may take to notice what the disk does.
const NOTICE_MS: u64 = 90_000;

/// A client of whom nothing is kept: it sends to itself.
struct Bystander {
    link: Link,
    number: u16,
}

impl Bystander {
    fn new(broker: &Broker) -> Self {
        let mut link = Link::open(broker.address, false).unwrap();
        let connect = Connect {
            client_id: "bystander",
            v5: false,
            clean_start: true,
            expiry_secs: 0,
            will: None,
        };
        wire::connect(&mut link.out, &connect);
        wire::subscribe(&mut link.out, false, 1, 0, ("by/#", 1));
        let mut bystander = Self { link, number: 1 };
        bystander.wait(|packet| matches!(packet, Packet::Suback { .. }));
        bystander
    }

    fn wait(&mut self, wanted: impl Fn(&Packet) -> bool) {
        let until_ms = ticks_ms() + NOTICE_MS;
        loop {
            self.link.flush();
            if self.link.read().iter().any(&wanted) {
                return;
            }
            assert!(!self.link.over, "the bystander was disconnected");
            assert!(ticks_ms() < until_ms, "what is not to be kept waits too");
            let mut fds = [PollFd::new(self.link.stream.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::from(50u8));
        }
    }

    /// Messages of QoS 0, and of QoS 1 with nobody who is away to get them, go on.
    fn goes_on(&mut self) {
        for qos in [0, 1] {
            self.number += 1;
            let id = self.number;
            let payload = id.to_be_bytes().to_vec();
            let (topic, identifiers) = ("by/me".into(), Vec::new());
            let publish =
                Publish { dup: false, qos, retain: false, topic, id, payload, identifiers };
            wire::publish(&mut self.link.out, false, &publish);
            let payload = publish.payload.clone();
            self.wait(|packet| matches!(packet, Packet::Publish(came) if came.payload == payload));
        }
    }
}

/// What the broker says of its store.
fn store_state(broker: &Broker) -> String {
    broker.json("status")["result"]["store"]["state"].as_str().unwrap_or("none").to_owned()
}

/// The cast plays until the store is in this state.
fn play_until(play: &mut Play, state: &str) {
    let until_ms = ticks_ms() + NOTICE_MS;
    while store_state(&play.broker) != state {
        assert!(
            ticks_ms() < until_ms,
            "the store does not become {state:?}\n{}",
            play.broker.log()
        );
        play.play(50);
    }
}

/// The store is well: who was refused just before has heard so, and nobody is any more.
fn over(play: &mut Play) {
    play.play(300);
    play.scene.trouble = false;
}

/// All that was acknowledged is there, also after the end.
fn judge(mut play: Play, title: &str, mut ending: impl Ending) {
    let before = play.tally().acknowledged;
    play.play(500);
    play.settle();
    assert!(play.tally().acknowledged > before, "nothing is acknowledged any more");
    ending.end(&mut play.broker, &mut play.chance);
    play.mourn();
    ending.prepare(&mut play.broker, &mut play.chance);
    play.broker.launch();
    play.broker.ready();
    play.up();
    play.play(300);
    play.settle();
    play.verdict(title);
}

/// A small file system of its own.
struct Mount(PathBuf);

impl Mount {
    /// `None` for who may not mount.
    fn new(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0750"), "tmpfs"]).arg(at);
        let done = mount.output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

/// Takes all space that is left.
fn fill(path: &Path) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_delays_what_is_to_be_kept_and_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::new(&home.path().join("data"), "32m") else {
        println!("skipped: a full disk needs the right to mount");
        return;
    };
    let seed = seed();
    println!("full disk: MQTTD_CRASH_SEED={seed}");
    let mut chance = Chance::new(seed);
    let mut broker = Broker::new(home.path(), "", &mut chance);
    broker.launch();
    broker.ready();
    let mut bystander = Bystander::new(&broker);
    let mut play = Play::new(broker, chance);
    play.up();
    play.play(700);
    for _ in 0..2 {
        let ballast = play.broker.data().join("ballast");
        play.scene.trouble = true;
        let until_ms = ticks_ms() + NOTICE_MS;
        while store_state(&play.broker) != "full" {
            fill(&ballast);
            assert!(ticks_ms() < until_ms, "the store is not full\n{}", play.broker.log());
            play.play(50);
        }
        bystander.goes_on();
        play.play(1500);
        bystander.goes_on();
        play.broker.says("the store is full");
        fs::remove_file(&ballast).unwrap();
        play_until(&mut play, "well");
        over(&mut play);
        play.play(300);
    }
    judge(play, "full disk", Killed);
}

#[test]
fn syncs_that_fail_delay_what_is_to_be_kept_and_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    let beside = tempfile::tempdir().unwrap();
    let Some(mut ending) = PowerCut::new(beside.path()) else {
        println!("skipped: failing syncs need a C compiler");
        return;
    };
    let seed = seed();
    println!("failing syncs: MQTTD_CRASH_SEED={seed}");
    let mut chance = Chance::new(seed);
    let mut broker = Broker::new(home.path(), "", &mut chance);
    let fault = beside.path().join("fault");
    ending.fault = Some(fault.clone());
    ending.prepare(&mut broker, &mut chance);
    broker.launch();
    broker.ready();
    let mut bystander = Bystander::new(&broker);
    let mut play = Play::new(broker, chance);
    play.up();
    play.play(500);
    // For a while.
    play.scene.trouble = true;
    File::create(&fault).unwrap();
    play_until(&mut play, "failed");
    // What was on its way before comes yet.
    let mut answered = None;
    while answered != Some(play.tally().answered) {
        answered = Some(play.tally().answered);
        play.play(300);
    }
    bystander.goes_on();
    play.play(1000);
    bystander.goes_on();
    assert_eq!(Some(play.tally().answered), answered, "acknowledged without a sync");
    play.broker.says("the store failed");
    fs::remove_file(&fault).unwrap();
    play_until(&mut play, "well");
    // Now and then, for a moment.
    for _ in 0..3 {
        File::create(&fault).unwrap();
        let ms = play.chance.between(1, 60);
        play.play(ms);
        fs::remove_file(&fault).unwrap();
        play_until(&mut play, "well");
        let ms = play.chance.between(0, 200);
        play.play(ms);
    }
    over(&mut play);
    bystander.goes_on();
    judge(play, "failing syncs", ending);
}

/// A disk that has failed, and then the power: what the failed syncs forgot was written anew, also where
/// the broker was killed before it could.
#[test]
fn a_power_cut_right_after_failing_syncs_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let beside = tempfile::tempdir().unwrap();
    let Some(mut ending) = PowerCut::new(beside.path()) else {
        println!("skipped: failing syncs need a C compiler");
        return;
    };
    let seed = seed();
    println!("failing syncs and power cuts: MQTTD_CRASH_SEED={seed}");
    let mut chance = Chance::new(seed);
    let broker = Broker::new(home.path(), "", &mut chance);
    let fault = beside.path().join("fault");
    ending.fault = Some(fault.clone());
    let mut play = Play::new(broker, chance);
    for round in 0..5 {
        ending.prepare(&mut play.broker, &mut play.chance);
        play.broker.launch();
        play.broker.ready();
        play.up();
        play.scene.trouble = true;
        // A start that finds the disk broken ends.
        play_until(&mut play, "well");
        let ms = play.chance.between(100, 400);
        play.play(ms);
        File::create(&fault).unwrap();
        let ms = play.chance.between(1, 100);
        play.play(ms);
        if round % 2 == 1 {
            play.broker.kill();
            ending.outlive();
            play.mourn();
        }
        fs::remove_file(&fault).unwrap();
        if round % 2 == 1 {
            play.broker.launch();
            play.broker.ready();
            play.up();
        }
        let ms = play.chance.between(0, 1000);
        play.play(ms);
        ending.end(&mut play.broker, &mut play.chance);
        play.mourn();
        play.scene.trouble = false;
    }
    assert!(ending.failed > 0, "no sync has failed");
    ending.prepare(&mut play.broker, &mut play.chance);
    play.broker.launch();
    play.broker.ready();
    play.up();
    judge(play, "failing syncs and power cuts", ending);
}
