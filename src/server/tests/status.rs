//! `$SYS`: clients see true values, at once and by no wildcard at the first level.

use std::collections::BTreeMap;

use super::peer::{Peer, connect, publish};
use super::{Options, PATIENCE, Running, options};
use crate::server::clock::Clock;

fn running() -> Running {
    // Turns are made when the interval changes; no test waits for one.
    Running::with(Options { sys_interval_secs: 3600, ..options(2) })
}

/// Makes the status turn.
fn turn(running: &Running, sys_interval_secs: u64) {
    running.server.reconfigure(&Options { sys_interval_secs, ..options(2) });
}

fn retained(running: &Running, topic: &str) -> Option<String> {
    let mut found = running.server.commons().retained(topic, 1, Clock::now());
    found.next().map(|view| String::from_utf8(view.payload).expect("text"))
}

fn wait_for(running: &Running, name: &str, value: Option<&str>) {
    let limit = Clock::instant() + PATIENCE;
    let topic = format!("$SYS/broker/{name}");
    loop {
        let current = retained(running, &topic);
        if current.as_deref() == value {
            return;
        }
        assert!(Clock::instant() < limit, "{name} is {current:?} and not {value:?}");
        std::thread::yield_now();
    }
}

#[test]
fn the_first_client_finds_all_values_there() {
    let running = running();
    let mut client = Peer::new(running.address(), "a");
    client.subscribe("$SYS/#", 0);
    let values: BTreeMap<_, _> = (0..54).map(|_| client.receive_publish()).collect();
    assert_eq!(values.len(), 54);
    assert_eq!(values["$SYS/broker/uptime"], b"0 seconds");
    let version = concat!("mqttd version ", env!("CARGO_PKG_VERSION"));
    assert_eq!(values["$SYS/broker/version"], version.as_bytes());
    assert_eq!(values["$SYS/broker/load/publish/sent/15min"], b"0.00");
    client.ping();
}

/// `[MQTT-4.7.2-1]`
#[test]
fn no_wildcard_at_the_first_level_matches_it() {
    let running = running();
    let mut client = Peer::new(running.address(), "a");
    for filter in ["#", "+/broker/#", "+/#"] {
        client.subscribe(filter, 0);
    }
    client.ping();
    turn(&running, 3601);
    wait_for(&running, "clients/connected", Some("1"));
    client.ping();
}

#[test]
fn values_are_true() {
    let running = running();
    let mut publisher = Peer::new(running.address(), "publisher");
    let mut receiver = Peer::five(running.address(), "receiver");
    receiver.subscribe("a", 0);
    receiver.subscribe("$share/g/b", 0);
    let bytes = publish("a", &[b'x'; 10]);
    for _ in 0..5 {
        publisher.send(&bytes);
        receiver.receive_publish();
    }
    publisher.send(&publish("unmatched", b"y"));
    publisher.ping();
    let mut away = Peer::new(running.address(), "gone");
    away.send(&[0xe0, 0]);
    away.expect_end();
    turn(&running, 3601);
    let received = connect("publisher", 4).len()
        + 5 * bytes.len()
        + 14
        + 2
        + connect("receiver", 5).len()
        + 9
        + 18
        + connect("gone", 4).len()
        + 2;
    for (name, value) in [
        ("clients/connected", "2"),
        ("clients/total", "2"),
        ("clients/disconnected", "0"),
        ("clients/maximum", "3"),
        ("subscriptions/count", "1"),
        ("shared_subscriptions/count", "1"),
        ("publish/messages/received", "6"),
        ("publish/messages/sent", "5"),
        ("publish/messages/dropped", "0"),
        ("publish/bytes/received", "51"),
        ("publish/bytes/sent", "50"),
        // CONNECT 3, SUBSCRIBE 2, PUBLISH 6, PINGREQ, DISCONNECT.
        ("messages/received", "13"),
        // CONNACK 3, SUBACK 2, PUBLISH 5, PINGRESP.
        ("messages/sent", "11"),
        ("bytes/received", &received.to_string()),
        ("retained messages/count", "0"),
        ("store/messages/count", "0"),
    ] {
        wait_for(&running, name, Some(value));
    }
    assert_eq!(running.stat("messages.unmatched"), 1, "the status is nobody's traffic");
}

#[test]
fn only_what_changed_is_published_and_nothing_stays_when_it_is_turned_off() {
    let running = running();
    let mut client = Peer::new(running.address(), "a");
    client.subscribe("$SYS/broker/clients/+", 0);
    let before: BTreeMap<_, _> = (0..7).map(|_| client.receive_publish()).collect();
    assert_eq!(before["$SYS/broker/clients/connected"], b"0");
    turn(&running, 3601);
    let after: BTreeMap<_, _> = (0..4).map(|_| client.receive_publish()).collect();
    let one = b"1".to_vec();
    for name in ["active", "connected", "maximum", "total"] {
        assert_eq!(after.get(&format!("$SYS/broker/clients/{name}")), Some(&one), "{name}");
    }
    client.ping();
    turn(&running, 0);
    wait_for(&running, "uptime", None);
    turn(&running, 10);
    wait_for(&running, "clients/connected", Some("1"));
}
