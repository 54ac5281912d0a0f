//! One timer wheel a shard: keep alive, will delay, session expiry.
//!
//! Timers are never cancelled. Whoever is woken checks whether it still means anything; a timer
//! that was set for a connection or session that is gone finds another serial and does nothing.
//! A wheel of five levels of 64 slots; the first turns every 256 ms, which is precise enough for
//! intervals given in whole seconds.

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    KeepAlive,
    WillDelay,
    SessionExpiry,
    /// What members that are away keep is offered to others again; of no slot.
    Recall,
    /// What sessions are done with is written down; of no slot.
    Position,
    /// Messages that wait may have expired; of no slot.
    MessageExpiry,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    pub(super) at_ms: u64,
    pub(super) purpose: Purpose,
    pub(super) slot: u32,
    /// Of the connection for a keep alive, else of the session.
    pub(super) serial: u32,
    /// Since when a session is away, for the timers of its absence: a later absence has its own.
    pub(super) since_ms: u64,
}

/// No timer is set farther ahead; who is woken too early sets the next. So timers that mean nothing
/// any more, which a client can leave by connecting over and over, are gone within minutes.
pub(super) const FAR_MS: u64 = 120_000;

const SLOTS: usize = 64;
const LEVELS: usize = 5;
const TURN_MS: u64 = 256;

#[derive(Debug)]
pub(super) struct Timers {
    levels: [Vec<Vec<Timer>>; LEVELS],
    /// Turns of the first level done so far.
    turns: u64,
    len: usize,
}

impl Timers {
    pub(super) fn new() -> Self {
        let level = || (0..SLOTS).map(|_| Vec::new()).collect();
        Self { levels: std::array::from_fn(|_| level()), turns: 0, len: 0 }
    }

    pub(super) fn set(&mut self, timer: Timer) {
        self.len += 1;
        self.place(timer);
    }

    /// Takes all that is due at `ticks_ms`, to be checked by the caller.
    pub(super) fn take_due(&mut self, ticks_ms: u64) -> Vec<Timer> {
        let mut due = Vec::new();
        let target = ticks_ms / TURN_MS;
        // From one slot that holds something to the next; what lies between is empty.
        while let Some(turn) = self.deadline().map(|at_ms| at_ms / TURN_MS) {
            if turn > target {
                break;
            }
            self.turns = turn;
            self.cascade();
            let slot = slot_of(self.turns);
            self.len -= self.levels[0][slot].len();
            due.append(&mut self.levels[0][slot]);
        }
        self.turns = self.turns.max(target);
        due
    }

    /// When something may be due next. Far timers give a time at which they only come nearer.
    pub(super) fn deadline(&self) -> Option<u64> {
        if self.len == 0 {
            return None;
        }
        let mut span = 1;
        let mut earliest = None;
        for level in &self.levels {
            let here = self.turns / span;
            let waits = |step: &u64| !level[slot_of(here + step)].is_empty();
            if let Some(step) = (1..=SLOTS as u64).find(waits) {
                let at_ms = (here + step) * span * TURN_MS;
                earliest = Some(earliest.map_or(at_ms, |known: u64| known.min(at_ms)));
            }
            span *= SLOTS as u64;
        }
        earliest
    }

    fn place(&mut self, timer: Timer) {
        // Never in the turn that is over: at the earliest in the next one.
        let turn = timer.at_ms.div_ceil(TURN_MS).max(self.turns + 1);
        let mut level = 0;
        let mut span = 1;
        while level + 1 < LEVELS && turn / span - self.turns / span >= SLOTS as u64 {
            level += 1;
            span *= SLOTS as u64;
        }
        // The last level holds everything beyond, which is placed again when its slot comes.
        let farthest = self.turns / span + SLOTS as u64 - 1;
        self.levels[level][slot_of((turn / span).min(farthest))].push(timer);
    }

    /// Brings timers of the higher levels down when a lower one has gone round.
    fn cascade(&mut self) {
        let mut span = SLOTS as u64;
        for level in 1..LEVELS {
            if !self.turns.is_multiple_of(span) {
                return;
            }
            let slot = slot_of(self.turns / span);
            for timer in std::mem::take(&mut self.levels[level][slot]) {
                self.place_now(timer);
            }
            span *= SLOTS as u64;
        }
    }

    /// As [`Self::place`], but a timer due in this very turn goes into its slot.
    fn place_now(&mut self, timer: Timer) {
        if timer.at_ms.div_ceil(TURN_MS) <= self.turns {
            let slot = slot_of(self.turns);
            self.levels[0][slot].push(timer);
        } else {
            self.place(timer);
        }
    }
}

fn slot_of(turn: u64) -> usize {
    usize::try_from(turn % SLOTS as u64).expect("below the number of slots")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timer(at_ms: u64) -> Timer {
        Timer { at_ms, purpose: Purpose::KeepAlive, slot: 0, serial: 0, since_ms: 0 }
    }

    proptest! {
        #[test]
        fn every_timer_comes_once_soon_after_its_time_and_never_before(
            times in proptest::collection::vec(0u64..3_000_000_000, 1..40),
            start in 0u64..1_000_000,
        ) {
            let mut timers = Timers::new();
            timers.take_due(start);
            for at_ms in &times {
                timers.set(timer(*at_ms));
            }
            let mut fired = Vec::new();
            let mut now = start;
            while let Some(deadline) = timers.deadline() {
                prop_assert!(deadline > now);
                now = deadline;
                for due in timers.take_due(now) {
                    prop_assert!(due.at_ms <= now);
                    prop_assert!(now <= due.at_ms.max(start) + 2 * TURN_MS);
                    fired.push(due.at_ms);
                }
            }
            let mut times = times;
            times.sort_unstable();
            fired.sort_unstable();
            prop_assert_eq!(fired, times);
        }
    }

    #[test]
    fn without_timers_there_is_nothing_to_wake_for() {
        let mut timers = Timers::new();
        assert_eq!(timers.deadline(), None);
        assert!(timers.take_due(1_000_000).is_empty());
    }
}
