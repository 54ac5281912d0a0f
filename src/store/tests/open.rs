//! Who may open a store, and what it takes and gives back.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::kit::{Chance, Picture, Truth, mid, payload, put_message, put_session};
use super::{folder, open};
use crate::broker::{Class, Position, Records, Sid};
use crate::store::reopen::Boot;
use crate::store::{Options, SqliteStore, Store, StoreError};

#[test]
fn a_store_has_one_owner_and_its_files_are_not_for_everybody() {
    let (_folder, path) = folder();
    let store = open(&path);
    let second = SqliteStore::open(&path, Options::default());
    assert!(matches!(second, Err(StoreError::InUse { .. })), "{second:?}");
    for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o027, 0, "{mode:o}");
    }
    drop(store);
    open(&path);
}

#[test]
fn what_is_newer_or_foreign_is_not_touched() {
    let (_folder, path) = folder();
    drop(open(&path));
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let newer = SqliteStore::open(&path, Options::default());
    assert!(matches!(newer, Err(StoreError::Newer { found: 99, .. })), "{newer:?}");
    let path = path.with_file_name("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let foreign = SqliteStore::open(&path, Options::default());
    assert!(matches!(foreign, Err(StoreError::Foreign { .. })), "{foreign:?}");
    assert!(before == std::fs::read(&path).unwrap());
    let path = path.with_file_name("text");
    std::fs::write(&path, "no database, but a text that is long enough\n".repeat(100)).unwrap();
    let foreign = SqliteStore::open(&path, Options::default());
    assert!(matches!(foreign, Err(StoreError::Foreign { .. })), "{foreign:?}");
}

#[test]
fn a_name_of_any_letters_is_a_file() {
    let (_folder, path) = folder();
    let path = path.with_file_name("a b?c#d%41&ü.db");
    drop(open(&path));
    assert!(path.exists());
}

#[test]
fn what_everybody_is_done_with_is_never_written() {
    let (_folder, path) = folder();
    let mut store = open(&path);
    let mut records = Records::default();
    put_session(&mut records, 1, 0);
    store.commit(&[records], Class::Disk).unwrap();
    let before = store.usage();
    for name in 1..=100 {
        let (mut one, mut other) = (Records::default(), Records::default());
        put_message(&mut one, name, "t", &[1], (false, &payload(name, false)));
        other.done(mid(name));
        store.commit(&[other, one], Class::Disk).unwrap();
    }
    let after = store.usage();
    assert_eq!((after.spared, after.messages), (100, 0));
    // The bound of names was raised once.
    assert_eq!(after.syncs - before.syncs, 1);
    drop(store);
    let recovered = open(&path).recover(&mut Picture::default(), &mut |_| {}).unwrap();
    assert!(recovered.last_mid >= 100 && recovered.messages == 0);
}

/// Fills queues, drains them, and goes on a little.
#[test]
fn space_is_given_back_after_a_drain() {
    let (_folder, path) = folder();
    let mut store = open(&path);
    let mut records = Records::default();
    (1..=10).for_each(|sid| put_session(&mut records, sid, 0));
    store.commit(&[records], Class::Disk).unwrap();
    for first in (1..=20_000).step_by(500) {
        let mut records = Records::default();
        for name in first..first + 500 {
            put_message(&mut records, name, "t", &[1 + name % 10], (false, &[7; 2000]));
        }
        store.commit(&[records], Class::Disk).unwrap();
    }
    let full = store.usage();
    assert!(full.file_bytes > 40 << 20 && full.messages == 20_000);
    for sid in 1..=10 {
        let mut records = Records::default();
        for name in (1..=20_000).filter(|name| 1 + name % 10 == sid) {
            records.done(mid(name));
        }
        records
            .position(Sid::new(sid).unwrap(), &Position { cursor: 20_000, ..Position::default() });
        store.commit(&[records], Class::Os).unwrap();
    }
    let visits = (0..10_000).take_while(|_| store.maintain().unwrap()).count();
    let drained = store.usage();
    assert!(drained.file_bytes < 4 << 20, "{drained:?} after {visits} visits");
    assert_eq!(drained.messages, 0);
    // Written bytes are near what the tables and the file beside them took.
    let payload = 20_000.0 * 2000.0;
    let factor = drained.written_bytes as f64 / payload;
    assert!((2.0..4.0).contains(&factor), "{factor} bytes a byte");
}

/// A process that is killed may have left what no sync reached.
#[test]
fn a_store_that_was_not_closed_is_in_doubt_until_the_machine_starts_anew() {
    let (folder, path) = folder();
    let mut chance = Chance::new(None);
    let mut truth = Truth::new(false);
    let mut store = open(&path);
    truth.check(&mut store);
    store.commit(&truth.batch(&mut chance, 40), Class::Disk).unwrap();
    // As a kill leaves it.
    let killed = folder.path().join("killed.db");
    let beside = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for suffix in ["", "-wal", "-boot"] {
        std::fs::copy(beside(&path, suffix), beside(&killed, suffix)).unwrap();
    }
    assert!(Boot::of(&killed).is_in_doubt);
    drop(store);
    assert!(!beside(&path, "-boot").exists(), "it was closed");
    truth.check(&mut open(&killed));
    std::fs::write(beside(&killed, "-wal"), "something").unwrap();
    std::fs::write(beside(&killed, "-boot"), "another start").unwrap();
    assert!(!Boot::of(&killed).is_in_doubt);
    assert!(Boot::of(&killed).is_in_doubt, "this start is known now");
}

#[test]
fn a_store_that_is_opened_anew_goes_on() {
    let (_folder, path) = folder();
    let mut chance = Chance::new(None);
    let mut truth = Truth::new(false);
    let mut store = open(&path);
    truth.check(&mut store);
    for _ in 0..10 {
        for _ in 0..3 {
            let batch = truth.batch(&mut chance, 40);
            store.commit(&batch, Class::Disk).unwrap();
        }
        // A commit whose end is not known: it is there, the books say it is not, and it is written
        // once more.
        let batch = truth.batch(&mut chance, 40);
        let slice = store.retained_slice();
        store.books.take_in(&batch);
        let slice = store.with_log(slice);
        store.books.undo();
        let books = store.books.clone();
        store.commit(&batch, Class::Disk).unwrap();
        (store.books, store.sweep.doubtful) = (books, slice);
        store.reopen().unwrap();
        store.commit(&batch, Class::Disk).unwrap();
        while store.maintain().unwrap() {}
    }
    drop(store);
    truth.check(&mut open(&path));
}

#[test]
fn what_a_start_will_read_is_told_about_right() {
    let (_folder, path) = folder();
    let mut store = open(&path);
    let marks = store.records_about();
    let mut records = Records::default();
    (1..=300).for_each(|sid| put_session(&mut records, sid, 0));
    // Retained ones as they are after a while: far apart, and ever farther.
    for number in 1..=2_000_u64 {
        let name = 1 + number * number * 50;
        let payload = payload(name, false);
        put_message(&mut records, name, &format!("t/{number}"), &[], (true, &payload));
    }
    for number in 1..=3_000 {
        let (name, sid) = (1 << 32 | number, 1 + number % 300);
        put_message(&mut records, name, "queued", &[sid], (false, &payload(name, false)));
    }
    store.commit(&[records], Class::Disk).unwrap();
    while store.maintain().unwrap() {}
    let about = store.records_about();
    drop(store);
    let mut store = open(&path);
    assert_eq!(store.records_about(), about, "it is the same before the recovery");
    let mut read = 0;
    store.recover(&mut Picture::default(), &mut |records| read = records).unwrap();
    assert!(read >= 5_300, "{read}");
    assert!((read * 4 / 5..read * 5 / 4).contains(&about), "about {about}, and it was {read}");
    assert_eq!(marks, 0, "there was nothing");
}
