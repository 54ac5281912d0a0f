//! What the journal knows of a session that outlives its connection, and what it is still to be told.

use super::{Mid, Session, Sid};

/// The journal's side of a session.
#[derive(Debug)]
pub struct Kept {
    /// Its name there.
    pub sid: Sid,
    /// Messages it has no use for any more, to be told at the end of the step.
    pub freed: Vec<Mid>,
    /// QoS 2 messages sent in this step, with their Packet Identifiers.
    pub sent: Vec<(Mid, u16)>,
    /// Messages it is done with since the last position was told, in any order.
    done: Vec<Mid>,
    /// The cursor told last.
    cursor: u64,
    /// Whether it stands in the list of those that have a position to tell.
    pub stale: bool,
}

impl Kept {
    /// Of a new session.
    #[must_use]
    pub fn new(sid: Sid) -> Self {
        Self::restored(sid, 0, Vec::new())
    }

    /// As it was told: done with all up to `cursor`, and `above`.
    #[must_use]
    pub fn restored(sid: Sid, cursor: u64, above: Vec<Mid>) -> Self {
        let (freed, sent) = (Vec::new(), Vec::new());
        Self { sid, freed, sent, done: above, cursor, stale: false }
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

    /// Whether there are so many that the position should not wait.
    #[must_use]
    pub const fn has_position(&self) -> bool {
        !self.done.is_empty()
    }
}

impl Session {
    /// Its name in the journal.
    #[must_use]
    pub fn sid(&self) -> Option<Sid> {
        self.kept.as_ref().map(|kept| kept.sid)
    }

    /// It is done with a message.
    pub(super) fn settle(&mut self, mid: Option<Mid>) {
        if let (Some(kept), Some(mid)) = (&mut self.kept, mid) {
            kept.settle(mid);
        }
    }

    /// What it is done with: all up to a cursor, and some above it. No message up to `horizon` is
    /// still on its way to this session.
    pub fn position(&mut self, horizon: u64) -> Option<(Sid, u64, Vec<Mid>)> {
        let outstanding = self.inflight.first_mid().into_iter().chain(self.queue.first_mid());
        let lowest = outstanding.min().map_or(u64::MAX, Mid::get);
        let kept = self.kept.as_mut()?;
        kept.stale = false;
        let cursor = horizon.min(lowest - 1).max(kept.cursor);
        kept.done.sort_unstable();
        kept.done.retain(|mid| mid.get() > cursor);
        kept.cursor = cursor;
        Some((kept.sid, cursor, kept.done.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Version;

    fn mid(number: u64) -> Mid {
        Mid::new(number).unwrap()
    }

    #[test]
    fn the_cursor_stops_at_what_may_still_come_and_the_rest_is_named() {
        let mut session = Session::new("c".into(), Version::V5, 0);
        session.kept = Some(Box::new(Kept::new(Sid::MIN)));
        for number in [3, 9, 8] {
            session.settle(Some(mid(number)));
        }
        let (_, cursor, above) = session.position(8).unwrap();
        assert_eq!((cursor, above), (8, vec![mid(9)]));
        session.settle(Some(mid(12)));
        let (_, cursor, above) = session.position(20).unwrap();
        assert_eq!((cursor, above), (20, vec![]));
    }
}
