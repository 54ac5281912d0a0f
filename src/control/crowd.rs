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
    /// A seat for one more; `None` when everybody waits for an answer.
    pub(super) fn seat(self: &Arc<Self>) -> Option<Seat> {
        let mut seats = self.lock();
        if seats.taken.len() >= CONNECTIONS_MAX {
            let (_, (number, leave)) = seats.idle.pop_first()?;
            seats.taken.remove(&number);
            let _ = leave.send(()); // it may be leaving already
        }
        let number = seats.number();
        seats.taken.insert(number);
        Some(Seat { crowd: Arc::clone(self), number, idle_since: None })
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

    #[test]
    fn the_longest_idle_leaves_first_and_the_busy_stay() {
        let crowd = Arc::new(Crowd::default());
        let mut seats: Vec<_> = (0..CONNECTIONS_MAX).map(|_| crowd.seat().unwrap()).collect();
        assert!(crowd.seat().is_none(), "all are busy");
        let mut first = seats[7].idle();
        let mut second = seats[3].idle();
        let _seat = crowd.seat().unwrap();
        assert!(first.try_recv().is_ok());
        assert!(second.try_recv().is_err());
        seats[3].busy();
        assert!(crowd.seat().is_none());
    }

    #[test]
    fn a_seat_given_back_is_free() {
        let crowd = Arc::new(Crowd::default());
        let mut seats: Vec<_> = (0..CONNECTIONS_MAX).map(|_| crowd.seat().unwrap()).collect();
        seats.pop();
        assert!(crowd.seat().is_some());
    }
}
