//! `mqttd foreground`: what systemd, containers and people in a hurry run.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use nix::sys::signal::Signal;

use crate::home::{Done, Home, signal};

/// Starts it and reads its log until it runs.
fn running(home: &Home) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = home.command("foreground");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    read_until(&mut log, "mqttd is running");
    assert_eq!(home.run("ping --wait 90").code, Some(0));
    (child, log)
}

fn read_until(log: &mut impl BufRead, words: &str) -> String {
    let mut read = String::new();
    while !read.contains(words) {
        let count = log.read_line(&mut read).unwrap();
        assert_ne!(count, 0, "{words:?} does not come: {read}");
    }
    read
}

#[test]
fn p60_signals_end_it_in_order() {
    for (kind, name) in [(Signal::SIGINT, "SIGINT"), (Signal::SIGTERM, "SIGTERM")] {
        let home = Home::new();
        let (child, mut log) = running(&home);
        assert_eq!(home.json("status")["managed_by"], "foreground");
        signal(child.id(), kind);
        read_until(&mut log, &format!("stopping reason={name}"));
        read_until(&mut log, "mqttd has stopped");
        let done = Done::wait(child);
        assert_eq!((done.code, done.out.as_str()), (Some(0), ""), "{done:?}");
        assert!(!home.run_file("mqttd.sock").exists());
        assert!(!home.run_file("mqttd.pid").exists());
    }
}

#[test]
fn p33_a_hang_up_reads_the_configuration_again() {
    let home = Home::new();
    let (child, mut log) = running(&home);
    home.configure("[limits]\nreceive_maximum = 9\n[listener.tcp]\naddress = [\"127.0.0.1:0\"]");
    signal(child.id(), Signal::SIGHUP);
    read_until(&mut log, "configuration reloaded applied=limits.receive_maximum");
    home.configure("[limits]\nreceive_maximum = \"nine\"\n");
    signal(child.id(), Signal::SIGHUP);
    let read = read_until(&mut log, "configuration not reloaded");
    assert!(read.contains("mqttd.toml:2:19: limits.receive_maximum: "), "{read}");
    assert_eq!(home.run("ping").code, Some(0));
    signal(child.id(), Signal::SIGTERM);
    assert_eq!(Done::wait(child).code, Some(0));
}

#[test]
fn p52_a_second_one_is_refused_with_the_pid_of_the_first() {
    let home = Home::new();
    let pid = home.start();
    let done = home.run("foreground");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains(&format!("already running (pid {pid})")), "{done:?}");
    assert_eq!(home.pid(), pid);
}

#[test]
fn json_lines_on_request() {
    let home =
        Home::with("[log]\nformat = \"json\"\n[listener.tcp]\naddress = [\"127.0.0.1:0\"]\n");
    let (child, mut log) = running(&home);
    signal(child.id(), Signal::SIGTERM);
    let read = read_until(&mut log, "mqttd has stopped");
    for line in read.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["level"], "info", "{line}");
    }
    assert_eq!(Done::wait(child).code, Some(0));
}
