//! The only reader of a clock in the program; everybody else takes the time from here.

use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

use crate::broker::Now;

/// What `ticks_ms` was when the machine started: 34 years.
const ORIGIN_MS: u64 = 1 << 40;

/// The clocks of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Clock;

impl Clock {
    /// The time as a shard is told it: `CLOCK_MONOTONIC` and `CLOCK_REALTIME`, in milliseconds. The
    /// former begins far from zero, so that what was before the machine started has a time too.
    #[must_use]
    pub fn now() -> Now {
        Now {
            ticks_ms: ORIGIN_MS + read_ms(ClockId::CLOCK_MONOTONIC),
            unix_ms: read_ms(ClockId::CLOCK_REALTIME),
        }
    }

    /// A point in time to measure from.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one file that reads a clock")]
    pub fn instant() -> Instant {
        Instant::now()
    }
}

/// Both clocks exist on every Linux; a time before 1970 counts as 1970.
fn read_ms(clock: ClockId) -> u64 {
    let Ok(time) = clock_gettime(clock) else { return 0 };
    let secs = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
    secs * 1000 + nanos / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_go_on() {
        let first = Clock::now();
        let second = Clock::now();
        assert!(second.ticks_ms >= first.ticks_ms);
        assert!(first.unix_ms > 1_700_000_000_000, "a clock set after 2023");
    }
}
