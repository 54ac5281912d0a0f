//! Repairing damaged stores, and copies of stores in use.

use std::os::unix::fs::FileExt;
use std::path::Path;

use super::kit::{Chance, Picture, Truth, mid, put_message, put_session};
use super::{folder, open};
use crate::broker::{Class, Records};
use crate::store::{Options, Recovered, SqliteStore, Store, StoreError, repair, wal};

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

fn find(path: &Path, needle: &[u8]) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(needle.len()).position(|window| window == needle);
    at.expect("it is in the file") as u64
}

fn recover(path: &Path) -> (Recovered, Picture) {
    let mut picture = Picture::default();
    let recovered = open(path).recover(&mut picture, &mut |_| {}).unwrap();
    (recovered, picture)
}

/// Two sessions, a retained message on `topic/1` that was another one before, messages for both.
fn some(path: &Path) -> SqliteStore {
    let mut store = open(path);
    let mut records = Records::default();
    put_session(&mut records, 1, 0);
    put_session(&mut records, 2, 0);
    store.commit(&[records], Class::Disk).unwrap();
    for name in 1..=200 {
        let mut records = Records::default();
        let retained = name == 5 || name == 150;
        let payload = super::kit::payload(name, false);
        put_message(&mut records, name, "topic/1", &[1, 2], (retained, &payload));
        store.commit(&[records], Class::Disk).unwrap();
    }
    store
}

#[test]
fn a_sound_store_stays_as_it_is() {
    let (_folder, path) = folder();
    drop(some(&path));
    let before = std::fs::read(&path).unwrap();
    let repaired = repair(&path, &mut |_| {}).unwrap();
    assert_eq!((repaired.lost.len(), repaired.aside), (0, None));
    assert!(std::fs::read(&path).unwrap() == before);
    let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_is_sound_is_kept_and_what_is_not_is_named() {
    let (_folder, path) = folder();
    drop(some(&path));
    let client = find(&path, b"client2");
    overwrite(&path, client, b"cliemt2");
    let payload = super::kit::payload(150, false);
    let retained = find(&path, &payload[..64]);
    overwrite(&path, retained + 40, b"?");
    // One of some messages that share a row.
    let queued = find(&path, &super::kit::payload(61, false)[..24]);
    overwrite(&path, queued + 20, b"?");
    assert!(matches!(
        open(&path).recover(&mut Picture::default(), &mut |_| {}),
        Err(StoreError::Damaged { .. })
    ));
    let repaired = repair(&path, &mut |_| {}).unwrap();
    assert_eq!(
        repaired.lost,
        [
            "1 sessions: cliemt2",
            "1 retained messages: 150 on topic/1",
            "1 queued messages: 61 on topic/1"
        ],
        "{repaired:?}"
    );
    assert!(repaired.aside.unwrap().exists());
    let (recovered, picture) = recover(&path);
    assert_eq!((recovered.sessions, recovered.damaged), (1, 3));
    assert_eq!(picture.sessions[&1].messages.len(), 198);
    // The one before is no longer true.
    assert!(picture.retained.is_empty());
    assert!(recovered.last_mid >= 200 && recovered.last_sid >= 2);
    assert_eq!(recover(&path).0.damaged, 0);
}

#[test]
fn unreadable_pages_cost_what_is_on_them() {
    let mut chance = Chance::new(None);
    for first in [false, true] {
        let (_folder, path) = folder();
        drop(some(&path));
        let pages = std::fs::metadata(&path).unwrap().len() / 4096;
        assert!(pages > 20);
        let wrecked = if first { 0 } else { 14 + chance.next() % (pages - 14) };
        overwrite(&path, wrecked * 4096, &[0xff; 4096]);
        let repaired = repair(&path, &mut |_| {}).unwrap();
        assert!(!repaired.lost.is_empty(), "page {wrecked}");
        let (recovered, picture) = recover(&path);
        if first {
            assert_eq!((recovered.sessions, recovered.messages), (2, 200));
        } else {
            assert_eq!(recovered.sessions, 2);
            let kept = picture.sessions[&1].messages.len();
            assert!((140..=200).contains(&kept), "{kept} of 200, without page {wrecked}");
        }
    }
}

#[test]
fn commits_behind_a_damaged_one_are_kept() {
    let (_folder, path) = folder();
    let store = some(&path);
    let frame = wal::FRAME_BYTES;
    let killed = path.with_file_name("killed.db");
    super::copy_files(&path, &killed);
    drop(store);
    let log = wal::beside(&killed);
    // In the page of some message, in a commit long before the last.
    let at = find(&log, &super::kit::payload(60, false)[..64]);
    overwrite(&log, at + 30, b"??");
    assert!(at > 32 + frame);
    let opened = SqliteStore::open(&killed, Options::default());
    assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{opened:?}");
    let repaired = repair(&killed, &mut |_| {}).unwrap();
    assert!(repaired.lost[0].contains("commits behind it"), "{repaired:?}");
    let (recovered, picture) = recover(&killed);
    assert_eq!(recovered.sessions, 2);
    // A page is written again with each commit, until it is full.
    let kept = picture.sessions[&1].messages.len();
    assert!(kept > 180, "{kept} of 200");
}

#[test]
fn an_interrupted_repair_is_completed() {
    let (_folder, path) = folder();
    drop(some(&path));
    let ready = path.with_file_name("mqttd.db.repaired");
    std::fs::copy(&path, &ready).unwrap();
    overwrite(&path, 0, &[0; 4096]);
    let opened = SqliteStore::open(&path, Options::default());
    assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{opened:?}");
    assert!(repair(&path, &mut |_| {}).unwrap().aside.unwrap().exists());
    assert_eq!(recover(&path).0.messages, 200);
}

#[test]
fn a_copy_is_the_state_of_its_moment_while_the_store_goes_on() {
    let (_folder, path) = folder();
    let mut chance = Chance::new(None);
    let mut truth = Truth::new(false);
    let mut store =
        SqliteStore::open(&path, Options { checkpoint_pages: 30, ..Options::default() }).unwrap();
    truth.check(&mut store);
    let commit = |store: &mut SqliteStore, truth: &mut Truth, chance: &mut Chance| {
        let batch = truth.batch(chance, 30);
        store.commit(&batch, Class::Disk).unwrap();
    };
    (0..20).for_each(|_| commit(&mut store, &mut truth, &mut chance));
    let copy = path.with_file_name("copy.db");
    let backup = store.begin_backup(&copy).unwrap();
    let mut then = truth.clone();
    (0..20).for_each(|_| commit(&mut store, &mut truth, &mut chance));
    assert!(matches!(store.begin_backup(&copy), Err(StoreError::InUse { .. })));
    let mut told = 0;
    std::thread::spawn(move || backup.write(&mut |bytes| told = bytes)).join().unwrap().unwrap();
    (0..20).for_each(|_| commit(&mut store, &mut truth, &mut chance));
    then.check(&mut open(&copy));
    assert!(matches!(store.begin_backup(&copy), Err(StoreError::Exists { .. })));
    assert!(!path.with_file_name("copy.db.part").exists());
    drop(store);
    truth.check(&mut open(&path));
    assert!(mid(1).get() == 1);
}

#[test]
fn a_copy_is_not_made_of_a_store_that_was_closed_meanwhile() {
    let (_folder, path) = folder();
    let mut store = some(&path);
    let copy = path.with_file_name("copy.db");
    let backup = store.begin_backup(&copy).unwrap();
    drop(store);
    assert!(backup.write(&mut |_| {}).is_err());
    assert!(!copy.exists() && !path.with_file_name("copy.db.part").exists());
}
