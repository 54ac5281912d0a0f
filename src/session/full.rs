//! What becomes of a message that has to wait for a session whose queue is full.
//!
//! Called by `outbound`, with a message that finds no room in the queue, and by the broker, which
//! tells publishers of all shards which sessions are full. What may wait at all, and the memory
//! budget, are not its business.

use super::{Bounds, DropReason, Session, Terms};
use crate::codec::QoS;

/// What a full queue does with one more message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueFull {
    /// It is dropped.
    #[default]
    DropNewest,
    /// Those that wait longest make room for it.
    DropOldest,
    /// Its publisher is told, and nobody gets it. One that cannot be told: it is dropped.
    Refuse,
}

impl Session {
    /// Whether its queue has reached a bound: publishers that can be told are to be refused.
    #[must_use]
    pub fn is_full(&self, bounds: &Bounds) -> bool {
        self.queue.len() >= bounds.queue_messages_max
            || self.queue.bytes() >= bounds.queue_bytes_max
    }

    /// Whether a message of that weight is within the bounds.
    pub(super) fn has_room(&self, weight: u64, bounds: &Bounds) -> bool {
        self.queue.len() < bounds.queue_messages_max
            && self.queue.bytes() + weight <= bounds.queue_bytes_max
    }

    /// Sees to it that there is room for a message; says how many others had to go for it.
    ///
    /// `terms` have a name in the journal where the message is to be parked there: a full store takes
    /// none of these, but a client that keeps up needs none.
    ///
    /// What its publisher was promised is taken in, whatever the bounds say: the session was not
    /// full when it was accepted. A message of a Shared Subscription makes nobody go, as another
    /// member may have room.
    ///
    /// # Errors
    /// There is none, and the message has to go itself.
    pub(super) fn make_room(
        &mut self,
        weight: u64,
        (terms, promised): (Terms<'_>, bool),
        bounds: &Bounds,
    ) -> Result<u64, DropReason> {
        let has_room = self.has_room(weight, bounds);
        let store_full = bounds.store_full && terms.mid.is_some();
        if has_room && !store_full || promised && terms.share.is_none() {
            return Ok(0);
        }
        let reason = if has_room { DropReason::StoreFull } else { DropReason::QueueFull };
        let displaces = bounds.queue_full == QueueFull::DropOldest
            && terms.share.is_none()
            && weight <= bounds.queue_bytes_max;
        let count = if displaces { self.displace(weight, terms.qos, bounds) } else { 0 };
        if count > 0 { Ok(count) } else { Err(reason) }
    }

    /// Drops what waits longest until there is room, and never more than the new message takes: a
    /// queue that is above its bounds, as these were lowered or a subscription brought many retained
    /// messages, does not lose the rest for it.
    fn displace(&mut self, weight: u64, qos: QoS, bounds: &Bounds) -> u64 {
        let (mut count, mut bytes) = (0, 0);
        loop {
            let is_short = self.queue.len() >= bounds.queue_messages_max;
            let is_heavy =
                bounds.store_full || self.queue.bytes() + weight > bounds.queue_bytes_max;
            if !(is_short && count == 0 || is_heavy && bytes < weight) {
                break;
            }
            let Some(displaced) = self.queue.pop_oldest(qos) else { break };
            count += 1;
            bytes += displaced.weight;
            self.settle(displaced.mid);
        }
        self.messages_dropped += count;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Content, Identifiers, Kept, Mid, Outcome, Parcel, Sid};
    use super::*;
    use crate::codec::{Properties, Version};

    fn bounds(queue_full: QueueFull) -> Bounds {
        Bounds {
            inflight_max: 10,
            queue_messages_max: 3,
            queue_bytes_max: 1000,
            queue_full,
            outbox_bytes_max: 1000,
            memory_full: false,
            store_full: false,
            ticks_ms: 0,
        }
    }

    fn away() -> Session {
        let mut session = Session::new("a".into(), Version::V5, 0);
        session.expiry_interval_secs = u32::MAX;
        session.kept = Some(Box::new(Kept::new(Sid::MIN)));
        session
    }

    /// A message of so many bytes, with a name in the journal unless that is 0.
    fn deliver(session: &mut Session, mid: u64, bytes: usize, to: (bool, &Bounds)) -> Outcome {
        let payload = vec![7; bytes];
        let properties = Properties::EMPTY;
        let content = Content { topic: "", properties, payload: &payload, expires_ms: None };
        let (qos, mid) = (QoS::AtLeastOnce, Mid::new(mid));
        let identifiers = &Identifiers::NONE;
        let terms = Terms { qos, retain: false, share: None, mid, identifiers };
        let (promised, bounds) = to;
        let mut parcel = Parcel::borrowed(content, qos, false).promised(promised);
        session.deliver(&mut parcel, terms, bounds, &mut Vec::new())
    }

    fn waiting(session: &Session) -> Vec<u64> {
        session.queue.mids().map(Mid::get).collect()
    }

    fn freed(session: &Session) -> Vec<u64> {
        session.kept.iter().flat_map(|kept| &kept.freed).map(|mid| mid.get()).collect()
    }

    #[test]
    fn what_waits_longest_goes_one_for_one_and_the_journal_hears_of_it() {
        let (mut session, bounds) = (away(), bounds(QueueFull::DropOldest));
        for mid in 1..=3 {
            assert_eq!(deliver(&mut session, mid, 1, (false, &bounds)), Outcome::Queued);
        }
        for mid in 4..=5 {
            assert_eq!(deliver(&mut session, mid, 1, (false, &bounds)), Outcome::Displaced(1));
        }
        assert_eq!((waiting(&session), freed(&session)), (vec![3, 4, 5], vec![1, 2]));
        assert_eq!((session.messages_dropped, session.queue.len()), (2, 3));
        assert_eq!(session.queue.bytes(), 3 * (1 + super::super::Message::OVERHEAD_BYTES));
    }

    /// The bound in bytes makes as many go as it takes; what never fits makes nobody go.
    #[test]
    fn a_heavy_message_takes_the_room_of_several() {
        let (mut session, bounds) = (away(), bounds(QueueFull::DropOldest));
        for mid in 1..=3 {
            deliver(&mut session, mid, 100, (false, &bounds));
        }
        let full = Outcome::Dropped(DropReason::QueueFull);
        assert_eq!(deliver(&mut session, 4, 1000, (false, &bounds)), full);
        assert_eq!(waiting(&session), [1, 2, 3]);
        assert_eq!(deliver(&mut session, 5, 500, (false, &bounds)), Outcome::Displaced(2));
        assert_eq!(waiting(&session), [3, 5]);
        assert!(session.queue.bytes() <= 1000);
    }

    /// With less room than before no more goes than comes.
    #[test]
    fn a_queue_above_its_bounds_does_not_grow_and_loses_no_more_than_it_gets() {
        let (mut session, before) = (away(), bounds(QueueFull::DropOldest));
        for mid in 1..=3 {
            deliver(&mut session, mid, 10, (false, &before));
        }
        let lower = Bounds { queue_messages_max: 1, queue_bytes_max: 200, ..before };
        assert_eq!(deliver(&mut session, 4, 10, (false, &lower)), Outcome::Displaced(1));
        assert_eq!(waiting(&session), [2, 3, 4]);
    }

    #[test]
    fn a_promised_message_is_taken_in_and_then_the_session_is_full() {
        let (mut session, bounds) = (away(), bounds(QueueFull::Refuse));
        for mid in 1..=2 {
            deliver(&mut session, mid, 1, (true, &bounds));
        }
        assert!(!session.is_full(&bounds));
        assert_eq!(deliver(&mut session, 3, 2000, (true, &bounds)), Outcome::Queued);
        assert!(session.is_full(&bounds));
        assert_eq!(deliver(&mut session, 4, 1, (true, &bounds)), Outcome::Queued);
        let full = Outcome::Dropped(DropReason::QueueFull);
        assert_eq!(deliver(&mut session, 5, 1, (false, &bounds)), full);
        assert_eq!(waiting(&session), [1, 2, 3, 4]);
    }

    /// The bound of the store is about what lies there.
    #[test]
    fn a_full_store_takes_nothing_more_that_waits() {
        let full = Bounds { store_full: true, ..bounds(QueueFull::DropNewest) };
        let mut session = away();
        let dropped = Outcome::Dropped(DropReason::StoreFull);
        assert_eq!(deliver(&mut session, 1, 1, (false, &full)), dropped);
        assert_eq!(deliver(&mut session, 0, 1, (false, &full)), Outcome::Queued);
        let full = Bounds { queue_full: QueueFull::DropOldest, ..full };
        assert_eq!(deliver(&mut session, 2, 1, (false, &full)), Outcome::Displaced(1));
        assert_eq!(waiting(&session), [2]);
    }

    /// QoS 0 makes nothing go that was acknowledged.
    #[test]
    fn qos_0_takes_the_place_of_qos_0_alone() {
        let mut session = away();
        deliver(&mut session, 0, 1, (false, &bounds(QueueFull::DropOldest)));
        assert!(session.queue.pop_oldest(QoS::AtMostOnce).is_none());
        assert!(session.queue.pop_oldest(QoS::AtLeastOnce).is_some());
    }
}
