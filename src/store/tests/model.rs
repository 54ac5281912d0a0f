//! Random batches, restarts and power cuts: what must be there is there.

use super::kit::{Chance, Truth};
use super::{copy_files, folder, open};
use crate::broker::Class;
use crate::store::books::Shelf;
use crate::store::strip::STRIP_BYTES_MAX;
use crate::store::sweep::Slack;
use crate::store::{MemoryStore, Store, StoreError};

#[test]
fn a_restart_finds_what_was_kept() {
    for (seed, slack) in [(Some(1), None), (Some(2), Some(0)), (None, None), (None, Some(1000))] {
        let (_folder, path) = folder();
        let mut chance = Chance::new(seed);
        let mut truth = Truth::new(false);
        let mut store = open(&path);
        for round in 0..12 {
            truth.check(&mut store);
            if let Some(bytes) = slack {
                // Whatever is of no use is removed at once, or soon.
                store.sweep.slack = Slack { log: bytes, retained: bytes, idle: 0 };
            }
            for _ in 0..chance.below(15) {
                let steps = 1 + chance.below(60);
                let batch = truth.batch(&mut chance, steps);
                store.commit(&batch, Class::Disk).unwrap();
                if chance.one_in(3) {
                    while store.maintain().unwrap() {}
                }
                rows_are_as_known(&store);
            }
            if round % 2 == 0 {
                drop(store);
            } else {
                // As killed: what was written is there.
                let copy = path.with_extension(format!("{round}"));
                copy_files(&path, &copy);
                let mut killed = open(&copy);
                truth.clone().check(&mut killed);
                drop(store);
            }
            store = open(&path);
        }
        truth.check(&mut store);
    }
}

/// Rows of the log follow one another, hold what the books say, and are not larger than they may be.
pub(super) fn rows_are_as_known(store: &crate::store::SqliteStore) {
    let found = store.rows_of_log().unwrap();
    assert!(found.is_sorted_by(|one, other| one.0 < other.0));
    let census = store.books.census(Shelf::Log);
    let known: Vec<_> = census.from(0).map(|(mid, entry)| (mid, entry.is_head())).collect();
    let found: Vec<_> = found.iter().map(|(mid, _, is_head)| (*mid, *is_head)).collect();
    assert_eq!(found, known);
    let longest = "SELECT coalesce(max(length(strip)), 0) FROM log";
    let longest: i64 = store.connection.query_row(longest, [], |row| row.get(0)).unwrap();
    assert!(usize::try_from(longest).unwrap() <= STRIP_BYTES_MAX, "{longest}");
}

#[test]
fn the_double_keeps_what_the_real_one_keeps() {
    for seed in [Some(1), None] {
        let mut chance = Chance::new(seed);
        let mut truth = Truth::new(false);
        let mut store = MemoryStore::new();
        for _ in 0..20 {
            truth.check(&mut store);
            // A power cut after so many commits that nobody waited for.
            let mut states = Vec::new();
            for _ in 0..chance.below(8) {
                let batch = truth.batch(&mut chance, 20);
                let class = if chance.one_in(3) { Class::Disk } else { Class::Os };
                store.commit(&batch, class).unwrap();
                if class == Class::Disk {
                    states.clear();
                }
                states.push(truth.clone());
            }
            if let Some(last) = states.len().checked_sub(1) {
                let lost = chance.below(last + 1);
                truth = states.swap_remove(last - lost);
                store.crash(store.unsynced() - lost.min(store.unsynced()));
            }
        }
    }
}

#[test]
fn a_batch_that_failed_leaves_no_trace_and_can_be_tried_again() {
    let (_folder, path) = folder();
    let mut chance = Chance::new(None);
    let mut truth = Truth::new(false);
    let mut store = open(&path);
    truth.check(&mut store);
    let mut refused = 0;
    for _ in 0..30 {
        let pages: i64 =
            store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = |store: &crate::store::SqliteStore, pages: i64| {
            let set = format!("PRAGMA max_page_count = {pages}");
            store.connection.query_row(&set, [], |_| Ok(())).unwrap();
        };
        limit(&store, pages);
        let before = (store.usage(), store.books.log(), store.books.retained());
        let batch = truth.batch(&mut chance, 200);
        match store.commit(&batch, Class::Disk) {
            Ok(()) => {}
            Err(StoreError::Full { .. }) => {
                refused += 1;
                let after = (store.usage(), store.books.log(), store.books.retained());
                assert_eq!((before.1, before.2), (after.1, after.2));
                assert_eq!(before.0.commits, after.0.commits);
                limit(&store, 1 << 30);
                store.commit(&batch, Class::Disk).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
        limit(&store, 1 << 30);
    }
    assert!(refused > 5, "{refused} commits of 30");
    drop(store);
    truth.check(&mut open(&path));
}
