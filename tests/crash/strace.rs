//! The order of system calls: the record is written, the disk has it, PUBACK leaves.

use std::fs;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::broker::{Broker, ticks_ms};
use crate::chance::Chance;
use crate::link::Link;
use crate::rounds::seed;
use crate::wire::{self, Connect, Packet, Publish};

const WORDS: &str = "what is acknowledged is on the disk";

fn wait(link: &mut Link, wanted: impl Fn(&Packet) -> bool) {
    let until_ms = ticks_ms() + 90_000;
    loop {
        link.flush();
        if link.read().iter().any(&wanted) {
            return;
        }
        assert!(ticks_ms() < until_ms && !link.over, "no answer");
        let mut fds = [PollFd::new(link.stream.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(50u8));
    }
}

fn connect(broker: &Broker, client_id: &str) -> Link {
    let mut link = Link::open(broker.address, false).unwrap();
    let connect = Connect { client_id, v5: false, clean_start: false, expiry_secs: 0, will: None };
    wire::connect(&mut link.out, &connect);
    wait(&mut link, |packet| matches!(packet, Packet::Connack { code: 0, .. }));
    link
}

/// A line of strace without what nobody needs to see: paths, and what stands around the words.
fn short(line: &str) -> String {
    let line = line.replace('\u{fffd}', ".");
    let mut words: Vec<String> = Vec::new();
    for part in line.split('"') {
        let part = if words.len() % 2 == 1 && part.len() > 60 {
            if part.contains(WORDS) { format!("…{WORDS}…") } else { "…".to_owned() }
        } else {
            part.to_owned()
        };
        words.push(part);
    }
    let line = words.join("\"");
    let Some((before, rest)) = line.split_once('<') else { return line };
    let Some((path, after)) = rest.split_once('>') else { return line };
    format!("{before}<{}>{after}", path.rsplit('/').next().unwrap_or(path))
}

#[test]
fn the_record_is_written_then_synced_then_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let trace = home.path().join("strace");
    let mut broker = Broker::new(home.path(), "", &mut Chance::new(seed()));
    let calls = "trace=pwrite64,fdatasync,fsync,sendto,write,writev";
    let out = trace.display().to_string();
    let before = ["strace", "-f", "-y", "-s", "5000", "-e", calls, "-e", "signal=none", "-o", &out];
    broker.before = before.map(str::to_owned).to_vec();
    let probe = std::process::Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("skipped: the order of system calls needs strace");
        return;
    }
    broker.launch();
    broker.ready();
    let mut away = connect(&broker, "away");
    wire::subscribe(&mut away.out, false, 1, 0, ("#", 1));
    wait(&mut away, |packet| matches!(packet, Packet::Suback { .. }));
    drop(away);
    let mut publisher = connect(&broker, "publisher");
    let publish = Publish {
        dup: false,
        qos: 1,
        retain: false,
        topic: "t".into(),
        id: 7,
        payload: WORDS.into(),
        identifiers: Vec::new(),
    };
    wire::publish(&mut publisher.out, false, &publish);
    wait(&mut publisher, |packet| *packet == Packet::Puback { id: 7, code: 0 });
    broker.kill_traced();
    let trace = String::from_utf8_lossy(&fs::read(&trace).unwrap()).into_owned();
    let lines: Vec<&str> = trace.lines().collect();
    let after = |from: usize, wanted: &dyn Fn(&str) -> bool| {
        let at = lines[from..].iter().position(|line| wanted(line)).map(|at| from + at);
        at.unwrap_or_else(|| panic!("not behind line {from}:\n{trace}"))
    };
    let written = after(0, &|line| line.contains("pwrite64") && line.contains(WORDS));
    let is_sync = |line: &str| line.contains("fdatasync") || line.contains("fsync");
    let synced = after(written, &|line| is_sync(line) && line.trim_end().ends_with("= 0"));
    // `@` is the first byte of PUBACK.
    let acknowledged = after(0, &|line| line.contains(r#""@\2\0\7""#));
    assert!(written < synced && synced < acknowledged, "{trace}");
    for line in &lines[written..=acknowledged] {
        println!("{}", short(line));
    }
}
