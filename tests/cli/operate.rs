//! The operator's verbs against prepared answers: exit codes, tables, pages, feeds, crowds.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use crate::bench::{Home, schema};
use crate::double::{CLIENTS, double};

#[test]
fn a_long_list_comes_whole() {
    let double = double();
    let ran = double.home.run("clients").ok();
    assert_eq!(ran.out.lines().count(), CLIENTS + 1);
    assert!(ran.out.starts_with("CLIENT "), "{}", &ran.out[..80]);
    let (_, object) = double.home.json("clients list");
    assert_eq!(object["action"], "clients.list");
    assert_eq!(object["result"].as_array().unwrap().len(), CLIENTS);
}

#[test]
fn what_the_daemon_says_becomes_exit_codes() {
    let double = double();
    assert_eq!(double.home.run("clients kick client-1").ok().out, "kicked client-1\n");
    let ran = double.home.run("clients kick nobody").exits(1);
    assert_eq!(ran.err, "mqttd: there is no client \"nobody\"\n");
    double.home.run("reload").exits(6);
    double.home.run("stop").exits(4);
    let ran = double.home.run("stats").exits(1);
    assert!(ran.err.contains("no call"), "an older daemon says so: {}", ran.err);
}

#[test]
fn p59_a_daemon_of_another_version_is_named() {
    let double = double();
    let ran = double.home.run("version").ok();
    assert_eq!(ran.out, concat!("mqttd ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(double.home.run("ping").ok().out, "pong\n");
}

#[test]
fn p59_a_daemon_of_another_protocol_is_named() {
    let home = Home::bare();
    std::fs::create_dir(home.path().join("run")).unwrap();
    let listener = UnixListener::bind(home.socket()).unwrap();
    let daemon = std::thread::spawn(move || {
        // `clients` looks once, `ping` once and, as that failed, once more.
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.write_all(b"{\"mqttd\":\"7.0.0\",\"protocol\":7}\n");
        }
    });
    let ran = home.run("clients list").exits(1);
    assert!(ran.err.contains("(7.0.0) speaks control protocol 7"), "{}", ran.err);
    home.run("ping").exits(4);
    daemon.join().unwrap();
}

#[test]
fn a_daemon_that_does_not_answer_is_unknown() {
    let home = Home::bare();
    std::fs::create_dir(home.path().join("run")).unwrap();
    let listener = UnixListener::bind(home.socket()).unwrap();
    let ran = home.run("ping --timeout 1").exits(4);
    assert!(ran.err.contains("does not answer"), "{}", ran.err);
    let (_, object) = home.json("status --timeout 1");
    assert_eq!(object["state"], "hung");
    assert_eq!(object["pid"], std::process::id());
    drop(listener); // the file stays: the daemon is dead
    home.run("status").exits(1);
}

#[test]
fn a_feed_is_printed_as_it_comes() {
    let double = double();
    let mut child = double.home.piped("log tail");
    while double.feed.receiver_count() == 0 {
        std::thread::yield_now();
    }
    double.feed.send("one \u{1b}[31m".into()).unwrap();
    double.feed.send("two".into()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "one \\u{1b}[31m");
    assert_eq!(lines.next().unwrap().unwrap(), "two");
    drop(lines); // `| head -2`
    while child.try_wait().unwrap().is_none() {
        let _ = double.feed.send("more".into());
        std::thread::yield_now();
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn p55_a_feed_is_one_object_a_line() {
    let double = double();
    let mut child = double.home.piped("log tail --json");
    while double.feed.receiver_count() == 0 {
        std::thread::yield_now();
    }
    double.feed.send("one".into()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let object = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    schema(&object);
    assert_eq!(object["result"]["line"], "one");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn p58_five_hundred_hostile_connections_do_not_stop_ping() {
    let double = double();
    let mut crowd = Vec::new();
    for number in 0..500 {
        let mut stream = UnixStream::connect(double.home.socket()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let _ = match number % 3 {
            0 => Ok(0),
            1 => stream.write(b"{\"id\":1,\"call\":"),
            _ => stream.write(&[b'x'; 100_000]),
        };
        crowd.push(stream);
    }
    assert_eq!(double.home.run("ping").ok().out, "pong\n");
}
