//! Does the load generator notice what it says it checks? (`benches/load/check.rs`; a bench without
//! a harness cannot hold tests of its own.)

#[path = "../benches/load/check.rs"]
mod check;

use check::{Faults, Ledger, STAMP_BYTES, Stamp};

/// Feeds numbers to a ledger: how many counted as delivered, and the faults.
fn note(numbers: &[u32]) -> (usize, Faults) {
    let (mut ledger, mut faults) = (Ledger::default(), Faults::default());
    let delivered = numbers.iter().filter(|number| ledger.note(**number, &mut faults)).count();
    (delivered, faults)
}

#[test]
fn messages_in_order_are_no_fault() {
    let (delivered, faults) = note(&[0, 1, 2, 3]);
    assert_eq!((delivered, faults.duplicates, faults.reordered, faults.odd), (4, 0, 0, 0));
}

#[test]
fn a_lost_message_is_not_counted_as_delivered() {
    let (delivered, faults) = note(&[0, 1, 3]);
    assert_eq!((delivered, faults.duplicates, faults.reordered), (3, 0, 0));
}

#[test]
fn a_late_message_is_a_reordered_one() {
    let (delivered, faults) = note(&[0, 2, 1, 3]);
    assert_eq!((delivered, faults.duplicates, faults.reordered), (4, 0, 1));
}

#[test]
fn a_second_message_is_a_duplicate() {
    let (delivered, faults) = note(&[0, 1, 1, 0, 2]);
    assert_eq!((delivered, faults.duplicates, faults.reordered), (3, 2, 0));
    let (delivered, faults) = note(&[0, 2, 1, 1]);
    assert_eq!((delivered, faults.duplicates, faults.reordered), (3, 1, 1));
}

#[test]
fn a_stamp_survives_the_way() {
    let stamp = Stamp { publisher: 7, number: u32::MAX, due_ns: 1 << 40 };
    let mut payload = stamp.bytes().to_vec();
    payload.extend_from_slice(b"fill");
    assert_eq!(Stamp::read(&payload), Some(stamp));
    assert_eq!(Stamp::read(&payload[..STAMP_BYTES - 1]), None);
}
