//! The keeper against a store that fails as the test wants, with time as a number.

use super::batch::Batch;
use super::inbox::Wakes;
use super::keeper::{Keeper, Outcome};
use crate::broker::{Accepted, Class, Load, Mid, Now, Recipient, Records, SessionId, Sid, Storing};
use crate::codec::{Properties, QoS};
use crate::server::tests::double::{Call, Double, Fault};
use crate::session::Content;

struct Bench {
    store: Double,
    keeper: Keeper,
    /// What each shard leaves, for its tickets.
    trays: Vec<Records>,
    ms: u64,
}

/// What came of a turn.
#[derive(Debug, Default, PartialEq, Eq)]
struct Came {
    /// Shard and ticket.
    durable: Vec<(u16, u64)>,
    /// Messages by name, and their Subscription Identifiers.
    loaded: Vec<(u64, Option<u32>)>,
    changed: Option<Storing>,
    errors: usize,
}

impl Bench {
    fn new() -> Self {
        let store = Double::default();
        let keeper = Keeper::new(store.store());
        let mut bench =
            Self { store, keeper, trays: vec![Records::default(), Records::default()], ms: 1000 };
        // Maintenance looks once at the start.
        bench.turn();
        assert_eq!(bench.store.calls(), [Call::Maintain]);
        bench
    }

    fn leave(&mut self, shard: usize, put: impl FnOnce(&mut Records)) {
        put(&mut self.trays[shard]);
        let records = self.trays[shard].take(Records::default());
        let mut batch = Batch::default();
        batch.push(u16::try_from(shard).unwrap(), records);
        self.keeper.take(&mut batch, &mut Vec::new(), self.now());
    }

    fn disk(&mut self, shard: usize) {
        self.leave(shard, |records| records.received(sid(1), 1));
    }

    fn ask(&mut self, mids: &[u64]) {
        let session = SessionId { shard: 0, slot: 0, serial: 0 };
        let mids = mids.iter().map(|mid| Mid::new(*mid).unwrap()).collect();
        let load = Load { session, sid: sid(7), mids };
        self.keeper.take(&mut Batch::default(), &mut vec![(0, load)], self.now());
    }

    const fn now(&self) -> Now {
        Now { ticks_ms: self.ms, unix_ms: self.ms + 1_000_000 }
    }

    fn turn(&mut self) -> Came {
        self.keeper.work(self.now(), false);
        self.keeper.tidy(self.now());
        self.came()
    }

    fn came(&mut self) -> Came {
        let Outcome { durable, loaded, changed, errors, .. } =
            std::mem::take(&mut self.keeper.outcome);
        let named = |(mid, message): (Mid, Option<(_, crate::session::Identifiers)>)| {
            let identifier = message.and_then(|(_, ids)| ids.as_slice().first().copied());
            (mid.get(), identifier)
        };
        Came {
            durable: durable.into_iter().map(|(shard, (ticket, _))| (shard, ticket)).collect(),
            loaded: loaded.into_iter().flat_map(|(_, it)| it.messages).map(named).collect(),
            changed,
            errors: errors.len(),
        }
    }

    /// Goes on to the next deadline, and says how long that took.
    fn pass(&mut self) -> (u64, Came) {
        let at_ms = self.keeper.deadline().expect("something is to be done");
        let passed_ms = at_ms.saturating_sub(self.ms);
        self.ms = self.ms.max(at_ms);
        (passed_ms, self.turn())
    }
}

fn sid(number: u64) -> Sid {
    Sid::new(number).unwrap()
}

/// A message of some bytes for session 7 with Subscription Identifier 3.
fn message(mid: u64, bytes: usize, class: Class) -> impl FnOnce(&mut Records) {
    move |records| {
        let payload = vec![1; bytes];
        let content = Content {
            topic: "a",
            properties: Properties::EMPTY,
            payload: &payload,
            expires_ms: None,
        };
        let accepted = Accepted {
            mid: Mid::new(mid).unwrap(),
            content,
            qos: QoS::AtLeastOnce,
            retain: false,
            retained: false,
            unix_ms: 5,
            unix_less_ticks_ms: 0,
        };
        let to = |sid, identifiers| Recipient {
            sid,
            qos: QoS::AtLeastOnce,
            retain: false,
            share: None,
            identifiers,
        };
        records.message(&accepted, [to(sid(6), &[2]), to(sid(7), &[3])].into_iter(), class);
    }
}

fn durable(durable: &[(u16, u64)]) -> Came {
    Came { durable: durable.to_vec(), ..Came::default() }
}

#[test]
fn all_that_waits_is_one_commit_and_is_reported_once_by_shard() {
    let mut bench = Bench::new();
    bench.leave(0, message(1, 10, Class::Os));
    bench.disk(1);
    bench.leave(0, |records| records.done(Mid::MIN));
    assert_eq!(bench.turn(), durable(&[(0, 1), (1, 1)]));
    assert_eq!(bench.store.calls(), [Call::Commit(3, Class::Disk)]);
    assert_eq!(bench.turn(), Came::default());
}

#[test]
fn what_nobody_waits_for_waits_a_second_at_most_and_for_no_sync() {
    let mut bench = Bench::new();
    bench.leave(0, |records| records.done(Mid::MIN));
    assert_eq!(bench.turn(), Came::default());
    assert_eq!(bench.keeper.wakes(), Wakes::Urgent);
    // And nobody is told.
    assert_eq!(bench.pass(), (1000, Came::default()));
    assert_eq!(bench.store.calls()[0], Call::Commit(1, Class::Os));
    // With something urgent it goes along.
    bench.leave(0, |records| records.done(Mid::MIN));
    bench.leave(0, message(1, 10, Class::Os));
    assert_eq!(bench.turn(), durable(&[(0, 3)]));
    assert_eq!(bench.store.calls()[0], Call::Commit(2, Class::Os));
}

#[test]
fn with_a_delay_the_disk_is_asked_so_often_at_most() {
    let mut bench = Bench::new();
    bench.keeper.sync_delay_ms_max = 100;
    bench.disk(0);
    assert_eq!(bench.turn(), durable(&[(0, 1)]));
    bench.ms += 30;
    bench.disk(0);
    bench.disk(1);
    assert_eq!(bench.turn(), Came::default());
    assert_eq!(bench.keeper.wakes(), Wakes::Questions);
    assert_eq!(bench.keeper.deadline(), Some(bench.ms + 70));
    bench.ms += 70;
    assert_eq!(bench.turn(), durable(&[(0, 2), (1, 1)]));
    // Who is alone waits for nobody.
    bench.ms += 100;
    bench.disk(0);
    assert_eq!(bench.turn(), durable(&[(0, 3)]));
    // A stop does not wait either.
    bench.disk(0);
    bench.keeper.work(bench.now(), true);
    assert_eq!(bench.came(), durable(&[(0, 4)]));
}

#[test]
fn without_space_nothing_is_reported_until_there_is_some() {
    let mut bench = Bench::new();
    bench.store.inner().full = true;
    bench.disk(0);
    let came = bench.turn();
    assert_eq!(came, Came { changed: Some(Storing::Full), errors: 1, ..Came::default() });
    for _ in 0..3 {
        bench.disk(1);
        assert_eq!(bench.turn(), Came::default());
        let (passed_ms, came) = bench.pass();
        assert_eq!((passed_ms, came.durable, came.errors), (1000, Vec::new(), 1));
    }
    bench.store.inner().full = false;
    let (_, came) = bench.pass();
    assert_eq!(came.durable, [(0, 1), (1, 3)]);
    assert_eq!(came.changed, Some(Storing::Well));
    assert!(!bench.store.calls().contains(&Call::Reopen), "the same handle goes on");
}

#[test]
fn a_little_space_is_used_for_a_part() {
    let mut bench = Bench::new();
    bench.store.inner().full = true;
    for mid in 1..=4 {
        bench.leave(0, message(mid, 600_000, Class::Disk));
    }
    bench.turn();
    bench.store.inner().full = false;
    bench.store.calls();
    // Room for two.
    bench.store.inner().room = Some(2);
    let (_, came) = bench.pass();
    assert_eq!((came.durable, came.changed), (vec![(0, 2)], Some(Storing::Full)));
    bench.store.inner().room = None;
    let (_, came) = bench.pass();
    assert_eq!((came.durable, came.changed), (vec![(0, 4)], Some(Storing::Well)));
}

#[test]
fn after_a_failure_the_store_is_opened_anew_and_everything_written_again() {
    let mut bench = Bench::new();
    bench.store.fail(&[Fault::Disk]);
    bench.leave(0, message(1, 10, Class::Os));
    let came = bench.turn();
    assert_eq!(came, Came { changed: Some(Storing::Failed), errors: 1, ..Came::default() });
    bench.disk(1);
    // Opening fails too, three times: each pause is twice the last.
    bench.store.fail(&[Fault::Disk, Fault::Disk, Fault::Disk]);
    let mut pauses = Vec::new();
    for _ in 0..3 {
        let (passed_ms, came) = bench.pass();
        assert_eq!(came.durable, []);
        pauses.push(passed_ms);
    }
    assert_eq!(pauses, [100, 200, 400]);
    bench.store.calls();
    let (_, came) = bench.pass();
    assert_eq!(came.durable, [(0, 1), (1, 1)]);
    assert_eq!((came.changed, came.errors), (Some(Storing::Well), 0));
    // On the disk, whatever its class: what the failure took with it is not known.
    assert_eq!(bench.store.calls()[..2], [Call::Reopen, Call::Commit(2, Class::Disk)]);
}

#[test]
fn pauses_between_tries_end_at_half_a_minute() {
    let mut bench = Bench::new();
    bench.store.fail(&[Fault::Disk; 20]);
    bench.disk(0);
    bench.turn();
    let pauses: Vec<_> = (0..15).map(|_| bench.pass().0).collect();
    assert_eq!(pauses.last(), Some(&30_000));
}

#[test]
fn messages_are_read_from_what_is_not_written_yet() {
    let mut bench = Bench::new();
    bench.leave(0, message(1, 10, Class::Disk));
    bench.turn();
    bench.store.inner().full = true;
    bench.leave(0, message(2, 10, Class::Disk));
    bench.turn();
    bench.ask(&[1, 2, 3]);
    let came = bench.turn();
    assert_eq!(came.loaded, [(1, Some(3)), (2, Some(3)), (3, None)]);
}

#[test]
fn a_read_that_fails_is_tried_again_and_stops_nobody_else() {
    let mut bench = Bench::new();
    bench.leave(0, message(1, 10, Class::Disk));
    bench.turn();
    bench.ask(&[1, 9]);
    bench.store.inner().unreadable = true;
    assert_eq!(bench.turn(), Came::default());
    bench.disk(1);
    assert_eq!(bench.turn(), durable(&[(1, 1)]));
    bench.store.inner().unreadable = false;
    assert_eq!(bench.keeper.deadline(), Some(bench.ms + 100));
    bench.ms += 100;
    assert_eq!(bench.turn().loaded, [(1, Some(3)), (9, None)]);
}

#[test]
fn many_who_come_back_at_once_are_answered_in_turns() {
    let mut bench = Bench::new();
    bench.leave(0, message(1, 1 << 20, Class::Disk));
    bench.turn();
    for _ in 0..10 {
        bench.ask(&[1]);
    }
    let mut turns = Vec::new();
    while turns.iter().sum::<usize>() < 10 {
        // Commits are not held up by them.
        bench.disk(1);
        let came = bench.turn();
        assert_eq!(came.durable.len(), 1);
        turns.push(came.loaded.len());
        assert!(turns.len() == 3 || bench.keeper.deadline() == Some(0));
    }
    assert_eq!(turns, [4, 4, 2]);
}

#[test]
fn a_message_that_cannot_be_read_for_minutes_is_given_up() {
    let mut bench = Bench::new();
    bench.leave(0, message(1, 10, Class::Disk));
    bench.turn();
    bench.ask(&[1]);
    bench.store.inner().unreadable = true;
    let began_ms = bench.ms;
    let mut turns = 0;
    let mut came = bench.turn();
    while came.loaded.is_empty() && turns < 100 {
        turns += 1;
        came = bench.pass().1;
    }
    assert_eq!(came.loaded, [(1, None)]);
    assert!((120_000..600_000).contains(&(bench.ms - began_ms)), "{}", bench.ms - began_ms);
}

#[test]
fn a_load_waits_for_a_store_that_failed_and_leaves_out_what_is_damaged() {
    let mut bench = Bench::new();
    for mid in 1..=2 {
        bench.leave(0, message(mid, 10, Class::Disk));
    }
    bench.turn();
    bench.store.inner().damaged.push(Mid::new(2).unwrap());
    bench.store.fail(&[Fault::Disk]);
    bench.disk(0);
    bench.turn();
    bench.ask(&[1, 2]);
    assert_eq!(bench.turn().loaded, []);
    let (_, came) = bench.pass();
    assert_eq!(came.loaded, [(1, Some(3)), (2, None)]);
    assert_eq!(came.changed, Some(Storing::Well));
}

#[test]
fn a_store_that_opens_and_takes_nothing_is_not_opened_all_the_time() {
    let mut bench = Bench::new();
    bench.disk(0);
    bench.store.fail(&[Fault::Disk]);
    bench.turn();
    let mut pauses = Vec::new();
    for _ in 0..5 {
        // It opens, and the commit fails.
        bench.store.inner().failures.clear();
        bench.store.inner().refuses = true;
        pauses.push(bench.pass().0);
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600]);
}

#[test]
fn maintenance_goes_on_between_commits_and_ends_when_nothing_is_left() {
    let mut bench = Bench::new();
    assert_eq!(bench.keeper.deadline(), None, "nothing to do, nothing to wake for");
    bench.store.inner().unkempt = true;
    bench.ms += 10_000;
    for _ in 0..3 {
        bench.disk(0);
        bench.turn();
        bench.store.calls();
        // A slice now and then while somebody comes.
        assert_eq!(bench.keeper.deadline(), Some(bench.ms + 20));
        bench.ms += 20;
    }
    // Slice upon slice when nobody does.
    bench.turn();
    bench.store.calls();
    for _ in 0..5 {
        assert_eq!(bench.keeper.deadline(), Some(bench.ms));
        bench.turn();
    }
    assert_eq!(bench.store.calls(), [Call::Maintain; 5]);
    bench.store.inner().unkempt = false;
    bench.turn();
    assert_eq!(bench.keeper.deadline(), None);
    // After the last commit it is asked until it has looked at a quiet store.
    bench.ms += 10_000;
    bench.disk(0);
    bench.turn();
    assert_eq!(bench.pass().0, 1000);
    assert_eq!(bench.keeper.deadline(), None);
}
