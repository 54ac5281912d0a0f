//! Starting, stopping, and what an operator or a watchdog asks.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::peer::{Peer, publish};
use super::{Options, PATIENCE, Running, options};
use crate::codec::QoS;
use crate::server::{Inherited, Server, StartError};

/// An address that no other test uses: nobody beside it is given a port that it leaves.
pub(super) fn own_address(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, number, 1], 0))
}

/// Nobody listens there any more. A process that another test has just forked has a copy of every
/// socket until it runs its own program.
#[track_caller]
pub(super) fn is_left(address: SocketAddr) {
    let limit = crate::server::Clock::instant() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(crate::server::Clock::instant() < limit, "somebody listens on {address}");
        std::thread::yield_now();
    }
}

#[test]
fn an_address_that_is_taken_is_named_and_nothing_is_left_running() {
    // Addresses of its own, so that no test beside this one is given a port when it is free.
    let taken = TcpListener::bind(own_address(21)).expect("a listener");
    let free = TcpListener::bind(own_address(21)).expect("a listener");
    let address = taken.local_addr().expect("an address");
    let other = free.local_addr().expect("an address");
    drop(free);
    let options = Options { tcp: vec![other, address], ..options(2) };
    let error = Server::start(options, Inherited::new()).expect_err("no server");
    let StartError::Listen { address: named, source } = error else {
        panic!("{error} is about something else");
    };
    assert_eq!((named, source.kind()), (address, std::io::ErrorKind::AddrInUse));
    is_left(other);
}

#[test]
fn stop_tells_clients_and_frees_the_port() {
    let running = Running::with(Options { tcp: vec![own_address(22)], ..options(2) });
    let address = running.address();
    let mut clients: Vec<Peer> =
        (0..20).map(|number| Peer::five(address, &format!("client-{number}"))).collect();
    let mut old = Peer::new(address, "old");
    let mut looks = 0;
    running.server.stop(Duration::from_secs(5), || looks += 1);
    for client in &mut clients {
        let disconnect = client.receive();
        assert_eq!((disconnect.first, disconnect.body[0]), (0xe0, 0x8b));
        client.expect_end();
    }
    old.expect_end();
    assert!(looks > 0);
    is_left(address);
    running.server.stop(Duration::from_secs(5), || panic!("there is nothing left to stop"));
}

#[test]
fn stop_sends_what_is_still_to_be_sent() {
    let running = Running::new(2);
    let mut receiver = Peer::new(running.address(), "receiver");
    receiver.subscribe("#", 0);
    let mut publisher = Peer::new(running.address(), "publisher");
    for number in 0..100u8 {
        publisher.send(&publish("a", &[number]));
    }
    publisher.ping();
    running.server.stop(Duration::from_secs(5), || ());
    for number in 0..100u8 {
        assert_eq!(receiver.receive_publish().1, [number]);
    }
    receiver.expect_end();
}

#[test]
fn a_listening_socket_outlives_the_server_that_opened_it() {
    let first = Running::new(1);
    let address = first.address();
    let (name, kept) = first.server.listening_sockets().pop().expect("one listener");
    assert_eq!(name, "tcp");
    first.server.stop(Duration::from_secs(5), || ());
    // Comes while nobody accepts, and waits.
    let mut early = Peer::socket(address);
    let options = Options { tcp: vec![address], ..options(1) };
    let unwanted = TcpListener::bind(own_address(23)).expect("a listener");
    let unwanted_address = unwanted.local_addr().expect("its address");
    let inherited = vec![unwanted, TcpListener::from(kept)];
    let second = Server::start(options, inherited).expect("a server");
    let second = Running { server: second };
    early.send(&super::peer::connect("early", 4));
    assert_eq!(early.receive().body[1], 0);
    assert_eq!(second.address(), address);
    is_left(unwanted_address);
}

#[test]
fn a_question_may_publish_and_its_messages_leave_at_once() {
    let running = Running::new(4);
    let mut receivers: Vec<Peer> =
        (0..8).map(|number| Peer::new(running.address(), &format!("receiver-{number}"))).collect();
    for receiver in &mut receivers {
        receiver.subscribe("#", 0);
    }
    let told = running
        .server
        .ask(2, |shard, now| shard.publish("said", b"hello", QoS::AtMostOnce, false, now));
    assert_eq!(told, 8);
    for receiver in &mut receivers {
        assert_eq!(receiver.receive_publish().1, b"hello");
    }
}

#[test]
fn an_operator_ends_a_connection() {
    let running = Running::new(2);
    let mut client = Peer::five(running.address(), "client");
    let home = running.server.home("client");
    assert!(running.server.ask(home, |shard, now| shard.kick("client", now)));
    let disconnect = client.receive();
    assert_eq!((disconnect.first, disconnect.body[0]), (0xe0, 0x98));
    client.expect_end();
}

#[test]
fn every_shard_proves_that_it_turns() {
    let running = Running::new(4);
    assert!(running.server.heartbeat());
    let limit = crate::server::Clock::instant() + PATIENCE;
    while !running.server.heartbeat() {
        assert!(crate::server::Clock::instant() < limit, "a shard does not turn");
        std::thread::yield_now();
    }
}

#[test]
fn a_shard_that_panics_misses_its_heartbeat_and_stop_still_ends() {
    let running = Running::new(2);
    let question = std::panic::AssertUnwindSafe(|| {
        running.server.ask(1, |_, _| panic!("on purpose"));
    });
    assert!(std::panic::catch_unwind(question).is_err());
    let _ = running.server.heartbeat();
    assert!(!running.server.heartbeat());
    running.server.stop(Duration::from_secs(5), || ());
}

#[test]
fn counters_tell_what_went_in_and_out() {
    let running = Running::new(2);
    let mut peer = Peer::new(running.address(), "client");
    peer.subscribe("#", 0);
    peer.send(&publish("a", b"b"));
    peer.receive_publish();
    peer.ping();
    for (name, value) in [
        ("connections.accepted", 1),
        ("connections.current", 1),
        ("clients.connected", 1),
        ("messages.received", 1),
        ("messages.sent", 1),
        // CONNACK 4, SUBACK 5, PUBLISH 6, PINGRESP 2.
        ("bytes.sent", 17),
    ] {
        assert_eq!(running.stat(name), value, "{name}");
    }
}
