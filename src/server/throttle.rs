//! Keeps a flood out of the log: so many lines of a kind in a span, the rest is counted.

use std::sync::{Mutex, PoisonError};

use super::clock::Clock;

const SPAN_MS: u64 = 10_000;
const LINES_MAX: u32 = 20;

/// One kind of line.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    span: Mutex<Span>,
}

#[derive(Debug, Default)]
struct Span {
    began_ms: u64,
    lines: u32,
    left_out: u64,
}

impl Throttle {
    /// Whether a line may be written now: `Some` with the number of lines that were left out since
    /// the last one.
    pub(super) fn admit(&self) -> Option<u64> {
        self.admit_at(Clock::now().ticks_ms)
    }

    fn admit_at(&self, ticks_ms: u64) -> Option<u64> {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        if span.lines == 0 || ticks_ms.saturating_sub(span.began_ms) >= SPAN_MS {
            span.began_ms = ticks_ms;
            span.lines = 0;
        }
        if span.lines == LINES_MAX {
            span.left_out += 1;
            return None;
        }
        span.lines += 1;
        Some(std::mem::take(&mut span.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_few_lines_and_a_number() {
        let throttle = Throttle::default();
        let lines = (0..1000).filter_map(|_| throttle.admit_at(5)).count();
        assert_eq!(lines, LINES_MAX as usize);
        assert_eq!(throttle.admit_at(5 + SPAN_MS), Some(1000 - u64::from(LINES_MAX)));
        assert_eq!(throttle.admit_at(6 + SPAN_MS), Some(0));
    }
}
