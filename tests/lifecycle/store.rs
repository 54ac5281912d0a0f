//! What outlives the process, over its starts and ends; and a store that cannot be used.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};

use nix::sys::signal::Signal;
use rusqlite::Connection;

use crate::home::{Home, PATIENCE_MS, is_root, signal};

/// CONNECT of `client` with a session that stays, 3.1.1; `true` when there was one.
fn connect(home: &Home, client: u8) -> (TcpStream, bool) {
    let mut stream = home.connect();
    stream.write_all(&[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 0, 0, 1, client]).unwrap();
    let connack = read::<4>(&mut stream);
    assert_eq!((connack[0], connack[3]), (0x20, 0), "let in");
    (stream, connack[2] == 1)
}

fn read<const LEN: usize>(stream: &mut TcpStream) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    stream.set_read_timeout(Some(std::time::Duration::from_millis(PATIENCE_MS))).unwrap();
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// A client that is away with a subscription, and three messages for it that were acknowledged.
pub(crate) fn leave_messages(home: &Home) {
    let (mut away, _) = connect(home, b'a');
    away.write_all(&[0x82, 6, 0, 1, 0, 1, b't', 1]).unwrap();
    assert_eq!(read::<5>(&mut away), [0x90, 3, 0, 1, 1]);
    away.write_all(&[0xe0, 0]).unwrap();
    let (mut publisher, _) = connect(home, b'p');
    for id in 1..=3 {
        publisher.write_all(&[0x32, 6, 0, 1, b't', 0, id, id]).unwrap();
        assert_eq!(read::<4>(&mut publisher), [0x40, 2, 0, id]);
    }
}

pub(crate) fn expect_messages(home: &Home) {
    let (mut back, present) = connect(home, b'a');
    assert!(present);
    for number in 1..=3 {
        let message = read::<8>(&mut back);
        assert_eq!((message[0] & 0xf6, message[7]), (0x32, number));
    }
}

#[test]
fn p19_what_was_acknowledged_is_there_after_every_kind_of_end() {
    for (end, signals) in [
        ("stop", &[][..]),
        ("SIGTERM", &[Signal::SIGTERM][..]),
        ("SIGTERM twice", &[Signal::SIGTERM, Signal::SIGTERM][..]),
        ("SIGKILL", &[Signal::SIGKILL][..]),
    ] {
        let home = Home::new();
        let pid = home.start();
        leave_messages(&home);
        if signals.is_empty() {
            assert_eq!(home.run("stop").code, Some(0));
        }
        signals.iter().for_each(|one| signal(pid, *one));
        while !home.processes().is_empty() {
            std::thread::yield_now();
        }
        home.start();
        expect_messages(&home);
        let read = "recovered what was kept sessions=2 subscriptions=1 retained=0 messages=3";
        eprintln!("after {end}:");
        home.logged(read);
    }
}

#[test]
fn a_store_that_cannot_be_used_is_refused_in_words_and_left_as_it_is() {
    let home = Home::new();
    home.start();
    assert_eq!(home.run("stop").code, Some(0));
    let file = home.path.join("data/mqttd.db");
    let store = Connection::open(&file).unwrap();
    store.pragma_update(None, "user_version", 999).unwrap();
    drop(store);
    let newer = home.json("start");
    assert_eq!(newer["error"]["code"], "store_newer", "{newer}");
    assert!(newer["error"]["message"].as_str().unwrap().contains("format 999"), "{newer}");
    fs::write(&file, "not a database, though it has some length of its own".repeat(100)).unwrap();
    let before = fs::read(&file).unwrap();
    let foreign = home.json("start");
    assert_eq!(foreign["error"]["code"], "store_foreign", "{foreign}");
    assert!(foreign["error"]["hint"].as_str().unwrap().contains("moved away"));
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(home.processes().is_empty());
    fs::remove_file(&file).unwrap();
    home.start();
}

#[test]
fn p62_a_store_of_somebody_else_is_named_with_its_owner() {
    if !is_root() {
        return; // nobody else's file can be made
    }
    let mut home = Home::new();
    home.belong_to(65_534);
    let data = home.path.join("data");
    fs::create_dir(&data).unwrap();
    chown(&data, Some(65_534), Some(65_534)).unwrap();
    let file = data.join("mqttd.db");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let done = home.run("start");
    assert_eq!(done.code, Some(4), "{done:?}");
    let words = format!("cannot open {}: permission denied (owner root", file.display());
    assert!(done.err.contains(&words), "{done:?}");
}
