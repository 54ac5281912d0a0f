//! Coming in, and not being let in.

use std::io::Write;
use std::time::Duration;

use super::peer::{Peer, connect, packet, publish};
use super::{Anonymous, Options, Running, options};

/// `[MQTT31-21]`
#[test]
fn who_sends_no_connect_is_closed_when_the_time_is_up() {
    let running = Running::with(Options { connect_timeout_secs: 1, ..options(1) });
    let mut silent = Peer::socket(running.address());
    let mut slow = Peer::socket(running.address());
    slow.send(&connect("slow", 4)[..5]);
    silent.expect_end();
    slow.expect_end();
    assert_eq!(running.stat("lobby.timeout"), 2);
    running.wait_for_stat("lobby.connecting", 0);
}

#[test]
fn silent_connections_wait_outside_and_the_next_client_comes_in_when_they_go() {
    let running =
        Running::with(Options { connecting_max: 2, connect_timeout_secs: 1, ..options(1) });
    let _silent: Vec<Peer> = (0..4).map(|_| Peer::socket(running.address())).collect();
    Peer::new(running.address(), "patient").ping();
}

#[test]
fn a_connect_may_come_byte_by_byte_and_with_packets_behind_it() {
    let running = Running::new(2);
    let mut peer = Peer::socket(running.address());
    let mut bytes = connect("slow", 4);
    bytes.extend(packet(0x82, b"\0\x01\0\x01#\0"));
    bytes.extend(publish("a", b"1"));
    for byte in bytes {
        peer.send(&[byte]);
    }
    assert_eq!(peer.receive().first, 0x20);
    assert_eq!(peer.receive().first, 0x90);
    assert_eq!(peer.receive_publish().1, b"1");
}

#[test]
fn all_packets_in_one_segment_are_answered() {
    let running = Running::new(2);
    let mut peer = Peer::socket(running.address());
    let mut bytes = connect("eager", 4);
    bytes.extend(packet(0x82, b"\0\x01\0\x01#\0"));
    bytes.extend(publish("a", b"1"));
    bytes.extend(packet(0xe0, &[]));
    peer.send(&bytes);
    assert_eq!(peer.receive().first, 0x20);
    assert_eq!(peer.receive().first, 0x90);
    assert_eq!(peer.receive_publish().1, b"1");
    peer.expect_end();
}

#[test]
fn without_leave_a_client_is_told_so_in_its_own_version() {
    let running = Running::with(Options { anonymous: Anonymous::Never, ..options(1) });
    for (level, code) in [(4, 5), (5, 0x87)] {
        let mut peer = Peer::socket(running.address());
        peer.send(&connect("stranger", level));
        let connack = peer.receive();
        assert_eq!((connack.first, connack.body[1]), (0x20, code));
        peer.expect_end();
    }
    assert_eq!(running.stat("lobby.refused.not_authorized"), 2);
    assert_eq!(running.server.listeners()[0].refused, 2);
}

#[test]
fn an_unknown_version_is_told_which_answer_it_can_read() {
    let running = Running::new(1);
    for (level, code) in [(2, 1), (6, 0x84)] {
        let mut peer = Peer::socket(running.address());
        peer.send(&connect("visitor", level));
        let connack = peer.receive();
        assert_eq!((connack.first, connack.body[1]), (0x20, code));
        peer.expect_end();
    }
}

#[test]
fn what_is_not_mqtt_is_closed_at_once() {
    let running = Running::new(1);
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\0", &publish("a", b"b")] {
        let mut peer = Peer::socket(running.address());
        peer.send(bytes);
        peer.expect_end();
    }
    assert_eq!(running.stat("lobby.refused.malformed"), 3);
}

#[test]
fn a_connect_above_the_limit_is_refused_before_it_has_come() {
    let running = Running::new(1);
    // Its version decides whether it is told: 0x95.
    let mut peer = Peer::socket(running.address());
    peer.send(b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x05\x02\x00");
    assert_eq!(peer.receive().body[1], 0x95);
    peer.expect_end();
    let mut older = Peer::socket(running.address());
    older.send(b"\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\x02\x00");
    older.expect_end();
}

#[test]
fn one_client_too_many_is_told_that_the_server_is_busy() {
    let running = Running::with(Options { connections_max: 1, ..options(1) });
    let first = Peer::new(running.address(), "first");
    let mut second = Peer::socket(running.address());
    second.send(&connect("second", 5));
    assert_eq!(second.receive().body[1], 0x89);
    second.expect_end();
    drop(first);
    running.wait_for_stat("connections.current", 0);
    Peer::new(running.address(), "second").ping();
}

#[test]
fn a_client_without_identifier_gets_one() {
    let running = Running::new(2);
    let mut peer = Peer::socket(running.address());
    peer.send(&connect("", 5));
    let connack = peer.receive();
    let text = String::from_utf8_lossy(&connack.body).into_owned();
    assert!(text.contains("mqttd-"), "{text:?}");
    let mut other = Peer::new(running.address(), "");
    other.ping();
    assert_eq!(running.stat("clients.connected"), 2);
}

#[test]
fn the_same_client_identifier_takes_the_connection_over() {
    let running = Running::new(2);
    let mut first = Peer::five(running.address(), "client");
    let mut second = Peer::five(running.address(), "client");
    let disconnect = first.receive();
    assert_eq!((disconnect.first, disconnect.body[0]), (0xe0, 0x8e));
    first.expect_end();
    second.ping();
    running.wait_for_stat("connections.current", 1);
}

#[test]
fn a_reason_arrives_even_at_a_client_that_goes_on_sending() {
    let running = Running::with(Options { anonymous: Anonymous::Never, ..options(1) });
    let mut peer = Peer::socket(running.address());
    let mut bytes = connect("talker", 4);
    bytes.extend(publish("a", &[0; 4096]));
    peer.send(&bytes);
    assert_eq!(peer.receive().body[1], 5);
    // It may fail, as the server is about to close: that is not looked at.
    let _ = peer.socket.write(&[0xc0, 0]);
    peer.expect_end();
}

#[test]
fn what_the_options_change_is_in_force_at_once() {
    let mut options = options(1);
    let running = Running::with(options.clone());
    Peer::new(running.address(), "before").ping();
    options.anonymous = Anonymous::Never;
    running.server.reconfigure(&options);
    let mut refused = Peer::socket(running.address());
    refused.send(&connect("after", 4));
    assert_eq!(refused.receive().body[1], 5);
    let quick = Duration::from_secs(1);
    options.connect_timeout_secs = quick.as_secs();
    running.server.reconfigure(&options);
    Peer::socket(running.address()).expect_end();
}
