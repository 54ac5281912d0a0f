//! What is told to clients that must go: elsewhere, or because memory is short.

use std::time::Duration;

use super::operate::{is_left, own_address};
use super::peer::{Peer, connect};
use super::{Options, Running, limits, options};
use crate::broker::{Directions, Limits};

fn other_server() -> Directions {
    Directions { server_reference: Some("other:1884".into()), ..Directions::default() }
}

/// Section 4.11: 0x9C with a Server Reference.
#[test]
fn a_server_that_stops_names_the_other_one() {
    let tcp = vec![own_address(24)];
    let running = Running::with(Options { tcp, directions: other_server(), ..options(2) });
    let address = running.address();
    let mut peer = Peer::five(address, "a");
    let mut older = Peer::new(address, "older");
    running.server.stop(Duration::from_secs(5), || ());
    let goodbye = peer.receive();
    assert_eq!((goodbye.first, goodbye.body[0]), (0xe0, 0x9c));
    assert!(goodbye.body.windows(13).any(|part| part == b"\x1c\x00\x0aother:1884"));
    peer.expect_end();
    older.expect_end();
    is_left(address);
}

/// Draining ends with a new configuration.
#[test]
fn a_server_drains_and_serves_again() {
    let running = Running::new(2);
    let mut peer = Peer::five(running.address(), "a");
    let draining = Options { directions: other_server(), draining: true, ..options(2) };
    running.server.reconfigure(&draining);
    assert_eq!(peer.receive().body[0], 0x9c);
    peer.expect_end();
    let mut late = Peer::socket(running.address());
    late.send(&connect("late", 5));
    assert_eq!(late.receive().body[1], 0x9c);
    late.expect_end();
    let mut older = Peer::socket(running.address());
    older.send(&connect("older", 4));
    assert_eq!(older.receive().body, [0, 3]);
    older.expect_end();
    assert_eq!(running.stat("lobby.refused.redirected"), 2);
    running.server.reconfigure(&options(2));
    Peer::five(running.address(), "a").ping();
}

/// What incomplete packets may hold is a quarter of the memory budget; who finds no room is told
/// so: 0x97.
#[test]
fn an_incomplete_packet_without_room_is_told() {
    let limits = Limits { memory_bytes_max: 400_000, ..limits() };
    let running = Running::with(Options { limits, ..options(1) });
    let mut peer = Peer::five(running.address(), "a");
    peer.send(b"\x30\x80\x80\x40");
    peer.send(&[0; 150_000]);
    let goodbye = peer.receive();
    assert_eq!((goodbye.first, goodbye.body[0]), (0xe0, 0x97));
    peer.expect_end();
    let mut stranger = Peer::socket(running.address());
    stranger.send(b"\x10\x80\xea\x18\x00\x04MQTT\x05\x02\x00\x00\x00");
    stranger.send(&[0; 150_000]);
    let refused = stranger.receive();
    assert_eq!((refused.first, refused.body[1]), (0x20, 0x97));
    stranger.expect_end();
    assert_eq!(running.stat("connections.ended.partial_full"), 2);
    running.wait_for_stat("memory.partial_bytes", 0);
}
