//! A time limit without a clock: a timer descriptor that becomes readable when time is up.
//!
//! So that a wait for a process or a terminal and the limit are one poll(2).

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// When patience ends.
#[derive(Debug)]
pub(super) struct Deadline {
    /// `None` where the system has no timer to give: then time is up at once.
    timer: Option<TimerFd>,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// The descriptor has something to say.
    Ready,
    /// The step is over, the deadline is not.
    Step,
    /// Time is up.
    Late,
}

impl Deadline {
    /// Counts from now.
    pub(super) fn after(limit: Duration) -> Self {
        let limit = limit.max(Duration::from_nanos(1)); // 0 would disarm it
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC)
            .and_then(|timer| {
                let once = Expiration::OneShot(limit.into());
                timer.set(once, TimerSetTimeFlags::empty()).map(|()| timer)
            })
            .ok();
        Self { timer }
    }

    /// Time left; zero when it is up.
    pub(super) fn left(&self) -> Duration {
        match self.timer.as_ref().map(TimerFd::get) {
            Some(Ok(Some(
                Expiration::OneShot(left)
                | Expiration::IntervalDelayed(left, _)
                | Expiration::Interval(left),
            ))) => left.into(),
            _ => Duration::ZERO,
        }
    }

    /// Whether time is up.
    pub(super) fn passed(&self) -> bool {
        self.left().is_zero()
    }

    /// Waits until `ready` is readable, the step is over or time is up. Without a descriptor and
    /// with a step this is a pause between two looks.
    pub(super) fn wait(&self, ready: Option<BorrowedFd<'_>>, step: Option<Duration>) -> Woken {
        let Some(timer) = &self.timer else {
            return Woken::Late;
        };
        let mut fds = vec![PollFd::new(timer.as_fd(), PollFlags::POLLIN)];
        fds.extend(ready.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let limit = match step {
            Some(step) => PollTimeout::try_from(step).unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        };
        let _ = poll(&mut fds, limit); // EINTR counts as a step
        if fds.get(1).is_some_and(|fd| fd.any().unwrap_or(false)) {
            Woken::Ready
        } else if fds[0].any().unwrap_or(false) {
            Woken::Late
        } else {
            Woken::Step
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes() {
        let deadline = Deadline::after(Duration::from_secs(600));
        assert!(!deadline.passed());
        assert_eq!(deadline.wait(None, Some(Duration::from_millis(1))), Woken::Step);
        let deadline = Deadline::after(Duration::from_millis(20));
        assert_eq!(deadline.wait(None, None), Woken::Late);
        assert!(deadline.passed());
    }

    #[test]
    fn a_ready_descriptor_comes_first() {
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(other);
        let deadline = Deadline::after(Duration::from_secs(60));
        assert_eq!(deadline.wait(Some(one.as_fd()), None), Woken::Ready);
    }
}
