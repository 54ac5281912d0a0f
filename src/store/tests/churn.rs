//! What comes and goes: how much of it is written, and what becomes of the space.

use super::kit::{Picture, mid, payload, put_message, put_session};
use super::model::rows_are_as_known;
use super::{folder, open};
use crate::broker::{Class, Records};
use crate::store::Store;

const BATCH: u64 = 256;
const PAYLOAD: [u8; 256] = [b'x'; 256];

/// Messages for a session that is done with each of them three commits after it came.
#[test]
fn messages_that_come_and_go_take_the_space_of_those_before_them() {
    let (_folder, path) = folder();
    let mut store = open(&path);
    let mut records = vec![Records::default()];
    put_session(&mut records[0], 1, 0);
    store.commit(&records, Class::Os).unwrap();
    let batches = 160;
    for batch in 0..batches {
        records[0].clear();
        for number in batch * BATCH + 1..=(batch + 1) * BATCH {
            put_message(&mut records[0], number, "a/b", &[1], (false, &PAYLOAD));
            if number > 3 * BATCH {
                records[0].done(mid(number - 3 * BATCH));
            }
        }
        store.commit(&records, Class::Os).unwrap();
    }
    let usage = store.usage();
    let payload = batches * BATCH * PAYLOAD.len() as u64;
    assert_eq!(usage.messages, 3 * BATCH);
    assert!(usage.written_bytes < 2 * payload, "{usage:?} for {payload} bytes");
    let pages = path.metadata().unwrap().len();
    assert!(pages < 4 << 20, "the database takes {pages} bytes");
    for number in 1..=batches * BATCH {
        let waits = number > (batches - 3) * BATCH;
        if waits || number % 64 == 0 {
            let found = store.load(mid(number), &mut |_, _| ()).unwrap();
            assert_eq!(found, waits, "message {number}");
        }
    }
}

/// One shard is a commit behind the other, so that half of all messages come late.
#[test]
fn messages_that_come_late_are_found_in_the_order_of_their_names() {
    let (_folder, path) = folder();
    let mut store = open(&path);
    let mut records = vec![Records::default()];
    put_session(&mut records[0], 1, 0);
    store.commit(&records, Class::Os).unwrap();
    let (messages, mut bytes) = (4000_u64, 0);
    for first in (1..=messages).step_by(200) {
        for late in [0, 1] {
            records[0].clear();
            for number in (first + late..first + 200).step_by(2) {
                // Some are too large to share a row, and some of those are late.
                let payload = payload(number, number % 97 < 2);
                put_message(&mut records[0], number, "a/b", &[1], (false, &payload));
                bytes += payload.len() as u64;
            }
            store.commit(&records, Class::Os).unwrap();
            rows_are_as_known(&store);
        }
    }
    let rows: i64 =
        store.connection.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
    assert!((300..1000).contains(&rows), "{rows} rows for {messages} messages");
    let written = store.usage().written_bytes;
    assert!(written < 4 * bytes, "{written} bytes for {bytes}");
    drop(store);
    let mut store = open(&path);
    let mut picture = Picture::default();
    store.recover(&mut picture, &mut |_| {}).unwrap();
    assert!(picture.sessions[&1].messages.keys().copied().eq(1..=messages));
    for number in 1..=messages {
        let mut found = Vec::new();
        assert!(store.load(mid(number), &mut |_, body| found = body.to_vec()).unwrap());
        assert!(found.ends_with(&payload(number, number % 97 < 2)), "message {number}");
    }
}

#[test]
fn of_two_messages_of_a_name_the_later_one_is_kept() {
    let (_folder, path) = folder();
    let mut store = open(&path);
    let mut records = Records::default();
    put_session(&mut records, 1, 0);
    for (name, payload) in [(1, b"one"), (2, b"two"), (2, b"new")] {
        put_message(&mut records, name, "t", &[1], (false, payload));
    }
    store.commit(&[records], Class::Os).unwrap();
    let kept = |store: &mut crate::store::SqliteStore, name| {
        let mut kept = Vec::new();
        assert!(store.load(mid(name), &mut |_, body| kept = body.to_vec()).unwrap());
        kept[kept.len() - 3..].to_vec()
    };
    assert_eq!(kept(&mut store, 2), b"new");
    let mut records = Records::default();
    put_message(&mut records, 1, "t", &[1], (false, b"1st"));
    store.commit(&[records], Class::Os).unwrap();
    rows_are_as_known(&store);
    assert_eq!((kept(&mut store, 1), kept(&mut store, 2)), (b"1st".to_vec(), b"new".to_vec()));
}

/// A long queue is taken: the files shrink at once, and what stays is there.
#[test]
fn a_drained_queue_gives_its_space_back() {
    let (_folder, path) = folder();
    let mut store = open(&path);
    let mut records = vec![Records::default()];
    put_session(&mut records[0], 1, 0);
    let (messages, payload) = (12_000, [b'x'; 4096]);
    for number in 1..=messages {
        put_message(&mut records[0], number, "a/b", &[1], (false, &payload));
        if number % 1000 == 0 {
            store.commit(&records, Class::Os).unwrap();
            records[0].clear();
        }
    }
    let stays = |number: &u64| number % 1000 == 7;
    // In another order than they came in.
    for number in (1..=messages).map(|number| number * 7919 % messages + 1).filter(|n| !stays(n)) {
        records[0].done(mid(number));
    }
    store.commit(&records, Class::Os).unwrap();
    let full = store.usage().file_bytes;
    assert!(full > messages * payload.len() as u64);
    let mut visits = 0;
    while store.maintain().unwrap() {
        visits += 1;
        assert!(visits < 30, "{:?}", store.usage());
    }
    assert!(store.usage().file_bytes < 2 << 20, "{:?}", store.usage());
    let connection = &store.connection;
    let mode: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap();
    assert_eq!(mode, 2, "free pages are left to later messages again");
    connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .map(|said: String| assert_eq!(said, "ok"))
        .unwrap();
    drop(store);
    let mut store = open(&path);
    for number in (1..=messages).filter(|number| stays(number) || number % 500 == 0) {
        assert_eq!(store.load(mid(number), &mut |_, _| ()).unwrap(), stays(&number));
    }
}
