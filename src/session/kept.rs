//! What the journal knows of a session that outlives its connection, and what it is still to be told.

use super::{Mid, Session, Sid};

/// Messages that a session is done with: all whose names lie between these two, both included, were
/// not for it, or it is done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The first.
    pub first: Mid,
    /// The last.
    pub last: Mid,
}

/// What CONNACK promises of a session beside that there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// How long it stays.
    pub expiry_interval_secs: u32,
    /// Whether a Will may still be published.
    pub has_will: bool,
}

/// The journal's side of a session.
#[derive(Debug)]
pub struct Kept {
    /// Its name there.
    pub sid: Sid,
    /// What was told of it last, and the ticket of the record with which that changed.
    pub promise: Option<Promise>,
    /// As `promise`.
    pub promise_ticket: u64,
    /// Whether it is not told yet with which Packet Identifier it goes on after a restart.
    pub identifier_untold: bool,
    /// Messages it has no use for any more, to be told at the end of the step.
    pub freed: Vec<Mid>,
    /// QoS 2 messages sent in this step, with their Packet Identifiers.
    pub sent: Vec<(Mid, u16)>,
    /// Messages it is done with since the last position was told, in any order.
    done: Vec<Mid>,
    /// What was told of messages above the cursor.
    above: Vec<Run>,
    /// The cursor told last.
    cursor: u64,
    /// Whether it stands in the list of those that have a position to tell.
    pub stale: bool,
}

/// What a session is done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Its name.
    pub sid: Sid,
    /// All up to here,
    pub cursor: u64,
    /// and these, in order.
    pub above: Vec<Run>,
}

/// Entries of a list for which its memory is kept.
const SPARE_MAX: usize = 16;

impl Run {
    /// Of one message.
    #[must_use]
    pub const fn of(mid: Mid) -> Self {
        Self { first: mid, last: mid }
    }
}

impl Kept {
    /// Of a new session.
    #[must_use]
    pub fn new(sid: Sid) -> Self {
        Self::restored(sid, 0, Vec::new())
    }

    /// As it was told: done with all up to `cursor`, and `above`.
    #[must_use]
    pub fn restored(sid: Sid, cursor: u64, above: Vec<Run>) -> Self {
        let (freed, sent, done) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            sid,
            promise: None,
            promise_ticket: 0,
            identifier_untold: false,
            freed,
            sent,
            done,
            above,
            cursor,
            stale: false,
        }
    }

    /// The session has no use for a message any more, and is done with it.
    pub fn settle(&mut self, mid: Mid) {
        self.freed.push(mid);
        self.done.push(mid);
    }

    /// It has no use for the message any more; its exchange goes on.
    pub fn free(&mut self, mid: Mid) {
        self.freed.push(mid);
    }

    /// It is done with a message that it had no use for any more.
    pub fn finish(&mut self, mid: Mid) {
        self.done.push(mid);
    }

    /// Whether there is something to tell.
    #[must_use]
    pub const fn has_position(&self) -> bool {
        !self.done.is_empty()
    }

    /// Nothing is to be told any more; after a burst the memory goes back.
    pub fn told(&mut self) {
        forget(&mut self.freed);
        forget(&mut self.sent);
    }
}

fn forget<T>(list: &mut Vec<T>) {
    list.clear();
    if list.capacity() > SPARE_MAX {
        *list = Vec::new();
    }
}

impl Session {
    /// Its name in the journal.
    #[must_use]
    pub fn sid(&self) -> Option<Sid> {
        self.kept.as_ref().map(|kept| kept.sid)
    }

    /// What is to be told of it.
    #[must_use]
    pub const fn promise(&self) -> Promise {
        let Self { expiry_interval_secs, ref will, .. } = *self;
        Promise { expiry_interval_secs, has_will: will.is_some() }
    }

    /// It is done with a message.
    pub(super) fn settle(&mut self, mid: Option<Mid>) {
        if let (Some(kept), Some(mid)) = (&mut self.kept, mid) {
            kept.settle(mid);
        }
    }

    /// What it is done with: all up to a cursor, and some above it. No message up to `horizon` is
    /// still on its way to this session.
    ///
    /// Where nothing else is outstanding in between, what it is done with is told as one: a session
    /// whose queue is full is done with each message that finds it so, for as long as its client is
    /// away.
    pub fn position(&mut self, horizon: u64) -> Option<Done> {
        let mut near: Vec<Mid> = self.inflight.mids().map(|(mid, _)| mid).collect();
        near.extend(self.queue.ready().filter_map(|delivery| delivery.mid));
        near.sort_unstable();
        let inflight = self.inflight.first_mid().map_or(u64::MAX, Mid::get);
        let queued = self.queue.first_mid().map_or(u64::MAX, Mid::get);
        let kept = self.kept.as_mut()?;
        kept.stale = false;
        let cursor = horizon.min(inflight.min(queued) - 1).max(kept.cursor);
        kept.cursor = cursor;
        let mut runs = std::mem::take(&mut kept.above);
        runs.extend(kept.done.iter().copied().map(Run::of));
        forget(&mut kept.done);
        runs.retain(|run| run.last.get() > cursor);
        runs.sort_unstable();
        let joins = |before: Mid, next: Mid| {
            let is_outstanding = |mid: Option<Mid>| mid.is_some_and(|mid| mid < next);
            let is_near =
                is_outstanding(near.get(near.partition_point(|mid| *mid <= before)).copied());
            let has_arrived = next.get() <= horizon || next.get() <= before.get() + 1;
            has_arrived && !is_near && !is_outstanding(self.queue.parked_after(before))
        };
        for run in runs {
            match kept.above.last_mut() {
                Some(last) if joins(last.last, run.first) => last.last = last.last.max(run.last),
                _ => kept.above.push(run),
            }
        }
        let above = kept.above.clone();
        Some(Done { sid: kept.sid, cursor, above })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Parked;
    use super::*;
    use crate::codec::{QoS, Version};

    fn mid(number: u64) -> Mid {
        Mid::new(number).unwrap()
    }

    fn run(first: u64, last: u64) -> Run {
        Run { first: mid(first), last: mid(last) }
    }

    fn session() -> Session {
        let mut session = Session::new("c".into(), Version::V5, 0);
        session.kept = Some(Box::new(Kept::new(Sid::MIN)));
        session
    }

    #[test]
    fn the_cursor_stops_at_what_may_still_come_and_the_rest_is_named() {
        let mut session = session();
        for number in [3, 9, 8] {
            session.settle(Some(mid(number)));
        }
        let Done { cursor, above, .. } = session.position(8).unwrap();
        assert_eq!((cursor, above), (8, vec![run(9, 9)]));
        session.settle(Some(mid(12)));
        let Done { cursor, above, .. } = session.position(20).unwrap();
        assert_eq!((cursor, above), (20, vec![]));
    }

    /// Its queue is full, its client away, and messages keep coming for it: what the journal is told
    /// does not grow with them.
    #[test]
    fn what_a_full_session_is_done_with_is_told_in_one() {
        let mut session = session();
        for number in [10, 20] {
            session.queue.park(Parked::new(mid(number), 1, None, QoS::AtLeastOnce, false));
        }
        session.settle(Some(mid(15)));
        for round in 1..100 {
            for number in 0..1000 {
                session.settle(Some(mid(round * 10_000 + 2 * number)));
            }
            let Done { cursor, above, .. } = session.position(round * 10_000 + 1999).unwrap();
            assert_eq!(cursor, 9);
            assert_eq!(above, [run(15, 15), run(10_000, round * 10_000 + 1998)]);
        }
        // What may still be on its way is no part of it.
        for number in [2_000_000, 2_000_001, 2_000_004] {
            session.settle(Some(mid(number)));
        }
        let Done { above, .. } = session.position(1_500_000).unwrap();
        assert_eq!(above[2..], [run(2_000_000, 2_000_001), run(2_000_004, 2_000_004)]);
        let bytes = session.kept.as_ref().map(|kept| kept.done.capacity()).unwrap();
        assert!(bytes <= SPARE_MAX);
    }
}
