//! How many connections the control socket has, and which goes when there are too many: the one
//! that has asked nothing for longest. A connection that waits for its answer is never sent away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Connections at once, at most.
pub const CONNECTIONS_MAX: usize = 128;

/// All connections of one control socket.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: BTreeSet<u64>,
    /// Those without a request under way, longest idle first, with their seat.
    idle: BTreeMap<u64, (u64, oneshot::Sender<()>)>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    number: u64,
    /// Key in `idle`.
    idle_since: Option<u64>,
}

impl Crowd {
    /// A seat for one more, idle at first: the receiver tells when it is needed for another.
    /// `None` when everybody waits for an answer.
    pub(super) fn seat(self: &Arc<Self>) -> Option<(Seat, oneshot::Receiver<()>)> {
        let mut seats = self.lock();
        if seats.taken.len() >= CONNECTIONS_MAX {
            let (_, (number, leave)) = seats.idle.pop_first()?;
            seats.taken.remove(&number);
            let _ = leave.send(()); // it may be leaving already
        }
        let number = seats.number();
        seats.taken.insert(number);
        drop(seats);
        let mut seat = Seat { crowd: Arc::clone(self), number, idle_since: None };
        let told = seat.idle();
        Some((seat, told))
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Seat {
    /// No request is under way: what comes back tells when the seat is needed for another.
    pub(super) fn idle(&mut self) -> oneshot::Receiver<()> {
        let (leave, told) = oneshot::channel();
        let mut seats = self.crowd.lock();
        if let Some(since) = self.idle_since.take() {
            seats.idle.remove(&since);
        }
        if !seats.taken.contains(&self.number) {
            return told; // given to another meanwhile: told at once, as `leave` is dropped
        }
        let since = seats.number();
        seats.idle.insert(since, (self.number, leave));
        self.idle_since = Some(since);
        told
    }

    /// A request is under way.
    pub(super) fn busy(&mut self) {
        if let Some(since) = self.idle_since.take() {
            self.crowd.lock().idle.remove(&since);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.busy();
        self.crowd.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(crowd: &Arc<Crowd>) -> Vec<(Seat, oneshot::Receiver<()>)> {
        (0..CONNECTIONS_MAX).map(|_| crowd.seat().unwrap()).collect()
    }

    #[test]
    fn the_longest_idle_leaves_first_and_the_busy_stay() {
        let crowd = Arc::new(Crowd::default());
        let mut seats = full(&crowd);
        seats.iter_mut().for_each(|(seat, _)| seat.busy());
        assert!(crowd.seat().is_none(), "all are busy");
        let mut first = seats[7].0.idle();
        let mut second = seats[3].0.idle();
        let (mut new, _) = crowd.seat().unwrap();
        new.busy();
        assert!(first.try_recv().is_ok());
        assert!(second.try_recv().is_err());
        seats[3].0.busy();
        assert!(crowd.seat().is_none());
    }

    #[test]
    fn who_has_asked_nothing_yet_leaves_too() {
        let crowd = Arc::new(Crowd::default());
        let mut seats = full(&crowd);
        let _newcomer = crowd.seat().unwrap();
        assert!(seats[0].1.try_recv().is_ok());
        assert!(seats[1].1.try_recv().is_err());
    }

    #[test]
    fn who_was_sent_away_does_not_sit_down_again() {
        let crowd = Arc::new(Crowd::default());
        let mut seats = full(&crowd);
        let _newcomer = crowd.seat().unwrap();
        seats[0].0.busy(); // its request came at the same moment
        assert_eq!(seats[0].0.idle().try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }

    #[test]
    fn a_seat_given_back_is_free() {
        let crowd = Arc::new(Crowd::default());
        let mut seats = full(&crowd);
        seats.iter_mut().for_each(|(seat, _)| seat.busy());
        seats.pop();
        assert!(crowd.seat().is_some());
    }
}
