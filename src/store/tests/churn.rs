//! What comes and goes: how much of it is written, and what becomes of the space.

use super::kit::{mid, put_message, put_session};
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
