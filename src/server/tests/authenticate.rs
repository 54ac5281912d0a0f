//! Enhanced authentication, as far as the lobby and operators see it. The dialogues are in
//! `tests/protocol/authenticate.rs`.

use std::sync::Arc;

use super::peer::{Peer, packet};
use super::{Anonymous, Options, Running, options};
use crate::broker::{Applicant, Exchange, Grant, Method, Methods, Step};

/// Asks once for a name, and believes it.
struct Name;

/// Whether it has asked.
struct Asked(bool);

impl Method for Name {
    fn name(&self) -> &str {
        "name"
    }

    fn begin(&self, applicant: &Applicant<'_>) -> Box<dyn Exchange> {
        assert!(applicant.peer.ip().is_loopback());
        Box::new(Asked(false))
    }
}

impl Exchange for Asked {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        if !std::mem::replace(&mut self.0, true) {
            return Step::Continue(None);
        }
        let username = data.map(|data| String::from_utf8_lossy(data).into());
        Step::Granted(Grant { username, data: None })
    }
}

fn running(options: Options) -> Running {
    Running::with(Options { methods: Methods::default().with(Arc::new(Name)), ..options })
}

/// CONNECT of `dog` with the method and the User Name `claimed`.
fn connect() -> Vec<u8> {
    packet(0x10, b"\0\x04MQTT\x05\x82\0\0\x07\x15\0\x04name\0\x03dog\0\x07claimed")
}

fn auth(reason: u8, name: &str) -> Vec<u8> {
    let mut body = vec![reason, u8::try_from(10 + name.len()).expect("short")];
    body.extend(b"\x15\0\x04name\x16\0");
    body.push(u8::try_from(name.len()).expect("short"));
    body.extend(name.as_bytes());
    packet(0xf0, &body)
}

/// AUTH that asks for the name, or grants it: the method, and no data.
fn expect_auth(peer: &mut Peer, reason: u8) {
    let auth = peer.receive();
    assert_eq!(
        (auth.first, &auth.body[..]),
        (0xf0, &[&[reason], &b"\x07\x15\0\x04name"[..]].concat()[..])
    );
}

fn expect_connack(peer: &mut Peer, reason: u8) {
    let connack = peer.receive();
    assert_eq!((connack.first, connack.body[1]), (0x20, reason));
}

/// `[MQTT-4.12.0-4]`: the time for CONNECT is the time for all of it.
#[test]
fn an_authentication_has_to_end_in_time() {
    let running = running(Options { connect_timeout_secs: 1, ..options(1) });
    let mut peer = Peer::socket(running.address());
    peer.send(&connect());
    expect_auth(&mut peer, 0x18);
    peer.send(&auth(0x18, "late")[..5]);
    expect_connack(&mut peer, 0x87);
    peer.expect_end();
    assert_eq!(running.stat("lobby.timeout"), 1);
    running.wait_for_stat("lobby.connecting", 0);
    running.wait_for_stat("connections.current", 0);
    assert_eq!(running.stat("memory.partial_bytes"), 0);
}

#[test]
fn who_goes_away_meanwhile_leaves_nothing_behind() {
    let running = running(options(2));
    for _ in 0..10 {
        let mut peer = Peer::socket(running.address());
        peer.send(&connect());
        expect_auth(&mut peer, 0x18);
        peer.send(&auth(0x18, "gone")[..5]);
    }
    running.wait_for_stat("lobby.connecting", 0);
    running.wait_for_stat("connections.current", 0);
    assert_eq!(running.stat("memory.partial_bytes"), 0);
    assert_eq!(running.stat("sessions"), 0);
    assert_eq!(running.stat("lobby.closed"), 10);
}

#[test]
fn who_proves_something_is_let_in_from_anywhere_under_the_name_it_proved() {
    let running = running(Options { anonymous: Anonymous::Never, ..options(2) });
    let mut peer = Peer::socket(running.address());
    peer.send(&connect());
    expect_auth(&mut peer, 0x18);
    peer.send(&auth(0x18, "rex"));
    expect_connack(&mut peer, 0);
    let username = || {
        let home = running.server.home("dog");
        let view = running.server.ask(home, |shard, _| shard.client("dog"));
        view.and_then(|view| view.username)
    };
    assert_eq!(username().as_deref(), Some("rex"));

    peer.send(&auth(0x19, ""));
    expect_auth(&mut peer, 0x18);
    peer.ping();
    assert_eq!(username().as_deref(), Some("rex"));
    peer.send(&auth(0x18, "fido"));
    expect_auth(&mut peer, 0x00);
    assert_eq!(username().as_deref(), Some("fido"));
}

#[test]
fn a_method_nobody_knows_is_counted() {
    let running = Running::new(1);
    let mut peer = Peer::socket(running.address());
    peer.send(&connect());
    expect_connack(&mut peer, 0x8c);
    peer.expect_end();
    assert_eq!(running.stat("lobby.refused.authentication"), 1);
}
