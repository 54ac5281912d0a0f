//! The journal's thread between real shards and a store that does as the test wants.

use std::time::Duration;

use super::double::{Call, Double, Fault};
use super::{Options, Running, options};
use crate::broker::{Class, Sid, Storing};
use crate::server::{Inherited, Keeping, Server, StartError, StoreError};
use crate::store::{self, SqliteStore};

pub(super) fn start(store: &Double, options: Options) -> Running {
    let keeping = Keeping { store: store.store(), progress: &mut |_| () };
    let server = Server::start_keeping(options, Inherited::new(), keeping).expect("a server");
    Running { server }
}

/// Has a shard leave a record that somebody waits for.
fn leave(running: &Running, shard: usize) {
    running.server.ask(shard, |shard, _| shard.trays().records.session_ended(Sid::MIN));
}

fn commits(calls: &[Call]) -> Vec<(usize, Class)> {
    let commit = |call: &Call| match call {
        Call::Commit(records, class) => Some((*records, *class)),
        Call::Reopen | Call::Maintain | Call::Backup => None,
    };
    calls.iter().filter_map(commit).collect()
}

#[test]
fn a_store_is_read_before_anybody_is_let_in() {
    let store = Double::default();
    store.inner().sessions = 3;
    let mut told = Vec::new();
    let keeping = Keeping { store: store.store(), progress: &mut |count| told.push(count) };
    let server = Server::start_keeping(options(2), Inherited::new(), keeping).expect("a server");
    let running = Running { server };
    assert_eq!(told, [1, 2, 3]);
    assert_eq!(running.server.commons().storing(), Storing::Well);
    assert_eq!(running.server.store_view().state, Storing::Well);
}

#[test]
fn a_store_that_cannot_be_read_ends_the_start() {
    let store = Double::default();
    store.fail(&[Fault::Disk]);
    let keeping = Keeping { store: store.store(), progress: &mut |_| () };
    let error = Server::start_keeping(options(2), Inherited::new(), keeping).expect_err("none");
    assert!(matches!(error, StartError::Store(StoreError::Failed { .. })), "{error}");
    assert!(store.inner().closed);
}

#[test]
fn what_comes_during_a_commit_is_the_next_one() {
    let store = Double::default();
    let running = start(&store, options(2));
    store.hold();
    leave(&running, 0);
    store.wait_until_held();
    for _ in 0..50 {
        leave(&running, 0);
        leave(&running, 1);
    }
    assert_eq!(running.stat("store.records"), 0);
    store.let_go();
    store.wait_for("all is written", |inner| inner.records == 101);
    assert_eq!(commits(&store.calls()), [(1, Class::Disk), (100, Class::Disk)]);
}

#[test]
fn a_stop_writes_the_rest_and_closes_the_store() {
    let store = Double::default();
    let running = start(&store, options(2));
    // Nobody waits for this one; it would be written within a second.
    running.server.ask(1, |shard, _| shard.trays().records.done(Sid::MIN));
    running.server.stop(Duration::from_secs(5), || ());
    let inner = store.inner();
    assert!(inner.closed && inner.records == 1);
    let written = commits(&inner.calls);
    assert_eq!(written.last().map(|(_, class)| *class), Some(Class::Disk), "{written:?}");
}

#[test]
fn a_stop_does_not_wait_for_ever_for_a_disk_that_hangs() {
    let store = Double::default();
    let running = start(&store, options(1));
    store.hold();
    leave(&running, 0);
    store.wait_until_held();
    let mut looks = 0;
    running.server.hurry();
    running.server.stop(Duration::ZERO, || looks += 1);
    assert!(looks > 0 && !store.inner().closed);
    store.let_go();
    store.wait_for("the thread has ended", |inner| inner.closed);
    assert_eq!(store.inner().records, 1);
}

#[test]
fn a_full_disk_is_seen_everywhere_and_forgotten_when_there_is_space() {
    let store = Double::default();
    let running = start(&store, options(1));
    store.inner().full = true;
    leave(&running, 0);
    running.wait_for_stat("store.state", Storing::Full as u64);
    assert_eq!(running.server.commons().storing(), Storing::Full);
    let view = running.server.store_view();
    assert_eq!(view.reason.as_deref(), Some("no space is left for double.db"));
    assert!(view.waiting_bytes > 0);
    store.inner().full = false;
    running.wait_for_stat("store.state", Storing::Well as u64);
    running.wait_for_stat("store.records", 1);
    assert_eq!(running.server.store_view().reason, None);
    assert_eq!(running.stat("store.waiting_bytes"), 0);
}

#[test]
fn a_disk_that_fails_is_opened_anew() {
    let store = Double::default();
    let running = start(&store, options(1));
    store.wait_for("maintenance has looked", |inner| inner.calls.contains(&Call::Maintain));
    store.fail(&[Fault::Disk, Fault::Disk]);
    leave(&running, 0);
    store.wait_for("it is written again", |inner| inner.records == 1);
    running.wait_for_stat("store.state", Storing::Well as u64);
    running.wait_for_stat("store.failures", 2);
    let calls: Vec<_> = store.calls().into_iter().filter(|call| *call != Call::Maintain).collect();
    let write = Call::Commit(1, Class::Disk);
    assert_eq!(calls, [write, Call::Reopen, Call::Reopen, write]);
}

#[test]
fn a_journal_that_panics_misses_the_heartbeat_and_stop_still_ends() {
    let store = Double::default();
    let running = start(&store, options(1));
    running.wait_for_stat("store.state", Storing::Well as u64);
    store.wait_for("maintenance has looked", |inner| inner.calls.contains(&Call::Maintain));
    store.fail(&[Fault::Panic]);
    leave(&running, 0);
    store.wait_for("the thread is gone", |inner| inner.closed);
    running.wait_for_stat("store.state", Storing::Failed as u64);
    assert!(!running.server.heartbeat());
    // What comes now goes nowhere, and takes no room.
    leave(&running, 0);
    running.wait_for_stat("store.waiting_bytes", 0);
    let file = std::path::Path::new("/nowhere/copy");
    assert!(matches!(running.server.backup(file, &mut |_| ()), Err(StoreError::Failed { .. })));
}

#[test]
fn a_copy_is_made_while_others_are_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |name| SqliteStore::open(&folder.path().join(name), store::Options::default());
    let kept = Box::new(open("mqttd.db").expect("a store"));
    let keeping = Keeping { store: kept, progress: &mut |_| () };
    let server = Server::start_keeping(options(1), Inherited::new(), keeping).expect("a server");
    let running = Running { server };
    let copy = folder.path().join("copy");
    let mut copied = 0;
    running
        .server
        .backup(&copy, &mut |bytes| {
            copied = bytes;
            leave(&running, 0);
        })
        .expect("a copy");
    assert_eq!(copied, copy.metadata().expect("a copy").len());
    open("copy").expect("it is a store");
    let again = running.server.backup(&copy, &mut |_| ());
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    let nothing = Running::new(1);
    let refused = nothing.server.backup(&copy, &mut |_| ());
    assert!(matches!(refused, Err(StoreError::Failed { .. })), "nothing is kept");
}
