//! What clients see of the journal: nothing is acknowledged before it is kept, and what was
//! acknowledged is there after a restart.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use super::double::Double;
use super::journal::start;
use super::peer::{Peer, connect_to_stay, packet, publish, publish_at_least_once};
use super::{Running, options};
use crate::broker::{Event, Loaded, SessionId, Storing};
use crate::server::{Inherited, Keeping, Options, Server, StartError};
use crate::store::{self, SqliteStore};
use crate::transport;

/// With a real store.
fn start_at(folder: &Path) -> Running {
    let store = SqliteStore::open(&folder.join("mqttd.db"), store::Options::default());
    let keeping = Keeping { store: Box::new(store.expect("a store")), progress: &mut |_| () };
    let server = Server::start_keeping(options(2), Inherited::new(), keeping).expect("a server");
    Running { server }
}

/// A client that is away, with a subscription to `#`.
fn away(running: &Running, client_id: &str) {
    let (mut peer, _) = Peer::that_stays(running.address(), client_id);
    peer.subscribe("#", 1);
    peer.send(&packet(0xe0, &[]));
    peer.expect_end();
}

#[test]
fn nothing_is_acknowledged_before_the_commit_has_returned() {
    let store = Double::default();
    let running = start(&store, options(2));
    away(&running, "away");
    let mut publisher = Peer::new(running.address(), "publisher");
    let mut other = Peer::new(running.address(), "other");
    other.subscribe("#", 0);
    store.hold();
    publisher.send(&publish_at_least_once("a", 1, 0, b"kept"));
    store.wait_until_held();
    // Delivered and answered at once is what need not be kept.
    assert_eq!(other.receive_publish().1, b"kept");
    publisher.ping();
    publisher.send(&publish("a", b"not kept"));
    assert_eq!(other.receive_publish().1, b"not kept");
    let mut newcomer = Peer::socket(running.address());
    newcomer.send(&connect_to_stay("newcomer"));
    for id in 2..=100 {
        publisher.send(&publish_at_least_once("a", id, 0, b"kept"));
        assert_eq!(other.receive_publish().1, b"kept");
    }
    publisher.ping();
    store.let_go();
    for id in 1..=100 {
        publisher.expect_puback(id);
    }
    assert_eq!(newcomer.receive().first, 0x20, "CONNACK");
}

#[test]
fn a_disk_that_fails_delays_acknowledgements_and_nothing_else() {
    let store = Double::default();
    let running = start(&store, options(2));
    away(&running, "away");
    let mut other = Peer::new(running.address(), "other");
    other.subscribe("#", 0);
    let mut publisher = Peer::new(running.address(), "publisher");
    store.hold();
    publisher.send(&publish_at_least_once("a", 1, 0, b"kept"));
    store.wait_until_held();
    store.inner().refuses = true;
    store.let_go();
    running.wait_for_stat("store.state", Storing::Failed as u64);
    publisher.send(&publish("a", b"not kept"));
    assert_eq!(other.receive_publish().1, b"kept");
    assert_eq!(other.receive_publish().1, b"not kept");
    publisher.ping();
    store.inner().refuses = false;
    publisher.expect_puback(1);
    running.wait_for_stat("store.state", Storing::Well as u64);
    assert_eq!(store.inner().messages.len(), 1);
}

/// `[MQTT-3.2.2-8]`: their sessions would have to be kept.
#[test]
fn clients_that_a_full_disk_refuses_are_counted() {
    let store = Double::default();
    let running = start(&store, options(2));
    store.inner().full = true;
    let mut waiting = Peer::socket(running.address());
    waiting.send(&connect_to_stay("waiting"));
    running.wait_for_stat("store.state", Storing::Full as u64);
    for client_id in ["other", "waiting"] {
        let mut refused = Peer::socket(running.address());
        refused.send(&connect_to_stay(client_id));
        let connack = refused.receive();
        assert_eq!((connack.first, &connack.body[..]), (0x20, &[0, 3][..]), "{client_id}");
        refused.expect_end();
    }
    assert_eq!(running.stat("lobby.refused.store"), 2);
    store.inner().full = false;
    assert_eq!(waiting.receive().body, [0, 0]);
}

#[test]
fn who_brings_more_than_the_disk_takes_is_not_read_and_everybody_else_is() {
    const MESSAGES: u16 = 700;
    let store = Double::default();
    let running = start(&store, options(2));
    let mut other = Peer::new(running.address(), "other");
    let mut publisher = Peer::new(running.address(), "publisher");
    store.hold();
    publisher.send(&publish_at_least_once("first", 1, 1, b""));
    let mut writer = publisher.socket.try_clone().expect("the other end");
    let send = std::thread::spawn(move || {
        let payload = vec![7; 64 * 1024];
        for id in 2..=MESSAGES {
            let message = publish_at_least_once(&format!("to/{id}"), id, 1, &payload);
            std::io::Write::write_all(&mut writer, &message).expect("the server reads in the end");
        }
    });
    running.wait_for_stat("connections.paused", 1);
    assert_eq!(running.stat("store.pauses"), 1);
    assert!(!send.is_finished(), "44 MiB do not fit");
    other.subscribe("b", 0);
    other.send(&publish("b", b"not kept"));
    assert_eq!(other.receive_publish().1, b"not kept");
    store.let_go();
    for id in 1..=MESSAGES {
        publisher.expect_puback(id);
    }
    send.join().expect("the sender");
    running.wait_for_stat("connections.paused", 0);
    running.wait_for_stat("store.waiting_bytes", 0);
    assert_eq!(store.inner().messages.len(), usize::from(MESSAGES) - 1);
}

#[test]
fn nobody_can_connect_before_all_is_restored() {
    let bound = transport::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = bound.local_addr().expect("its address");
    let options = Options { tcp: vec![address], ..options(2) };
    let store = Double::default();
    store.inner().sessions = 3;
    let mut tries = 0;
    let mut progress = |_| {
        let refused = TcpStream::connect(address).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        tries += 1;
    };
    let keeping = Keeping { store: store.store(), progress: &mut progress };
    let server = Server::start_keeping(options, vec![bound], keeping).expect("a server");
    let running = Running { server };
    assert_eq!(tries, 3);
    let recovery = running.server.recovery().expect("what was kept");
    assert_eq!((recovery.sessions, recovery.messages), (3, 0));
    Peer::new(running.address(), "client").ping();
}

#[test]
fn a_port_that_is_taken_while_all_is_restored_is_named() {
    let bound = transport::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = bound.local_addr().expect("its address");
    let options = Options { tcp: vec![address], ..options(2) };
    let store = Double::default();
    store.inner().sessions = 1;
    let mut other = None;
    let mut progress = |_| other = TcpListener::bind(address).ok();
    let keeping = Keeping { store: store.store(), progress: &mut progress };
    let error = Server::start_keeping(options, vec![bound], keeping).expect_err("it is taken");
    let StartError::Listen { address: named, source } = error else { panic!("{error}") };
    assert_eq!((named, source.kind()), (address, ErrorKind::AddrInUse));
    assert!(other.is_some() && store.inner().closed, "nothing is left running");
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = start_at(folder.path());
    away(&running, "away");
    let mut publisher = Peer::new(running.address(), "publisher");
    for id in 1..=300u16 {
        publisher.send(&publish_at_least_once("a", id, 0, &id.to_be_bytes()));
    }
    publisher.send(&publish_at_least_once("state", 301, 1, b"on"));
    (1..=301).for_each(|id| publisher.expect_puback(id));
    drop(running);
    let running = start_at(folder.path());
    let mut newcomer = Peer::new(running.address(), "newcomer");
    newcomer.subscribe("state", 0);
    assert_eq!(newcomer.receive_publish(), ("state".to_owned(), b"on".to_vec()));
    let (mut peer, present) = Peer::that_stays(running.address(), "away");
    assert!(present);
    for id in 1..=300u16 {
        assert_eq!(peer.receive_at_least_once().1, id.to_be_bytes());
    }
    assert_eq!(peer.receive_at_least_once().0, "state");
    assert_eq!(running.stat("messages.dropped"), 0);
}

#[test]
fn nobody_is_told_of_losses_when_all_messages_came_from_the_disk() {
    let store = Double::default();
    let running = start(&store, options(1));
    away(&running, "away");
    let told = running.server.ask(0, |shard, now| {
        for serial in 0..8 {
            let session = SessionId { shard: 0, slot: 0, serial };
            shard.loaded(Loaded { session, messages: Vec::new() }, now);
        }
        shard.trays().events.iter().any(|event| matches!(event, Event::Dropping { .. }))
    });
    assert!(!told);
}
