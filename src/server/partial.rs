//! The bound of incomplete packets: bytes that have come, whose packet is not whole yet.
//!
//! One client may announce a packet up to `packet_bytes_max` and never finish it; many may do so at
//! once. Together they may hold a quarter of the memory budget; who would go beyond is ended.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::broker::Limits;

#[derive(Debug)]
pub(super) struct Partial {
    bytes: AtomicUsize,
    bytes_max: AtomicUsize,
    ended: AtomicU64,
}

impl Partial {
    pub(super) fn new(limits: &Limits) -> Self {
        let partial = Self {
            bytes: AtomicUsize::new(0),
            bytes_max: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
        };
        partial.set_limits(limits);
        partial
    }

    pub(super) fn set_limits(&self, limits: &Limits) {
        let bytes_max = usize::try_from(limits.memory_bytes_max / 4).unwrap_or(usize::MAX);
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// Counts a connection's change; `false` when it grew and there is no room for it. It counts
    /// all the same, until it is ended.
    pub(super) fn changed(&self, before: usize, after: usize) -> bool {
        if after <= before {
            self.bytes.fetch_sub(before - after, Ordering::Relaxed);
            return true;
        }
        let grown = after - before;
        let bytes = self.bytes.fetch_add(grown, Ordering::Relaxed) + grown;
        bytes <= self.bytes_max.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) as u64
    }

    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Counts that a connection is ended for want of room.
    pub(super) fn count_ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_packets_fill_a_quarter_of_the_memory_budget_and_no_more() {
        let limits = Limits { memory_bytes_max: 4000, ..crate::server::tests::limits() };
        let partial = Partial::new(&limits);
        assert!(partial.changed(0, 600));
        assert!(partial.changed(0, 400));
        assert!(!partial.changed(400, 401), "1001 of 1000");
        assert!(partial.changed(401, 0));
        assert!(partial.changed(600, 1000));
        assert_eq!(partial.bytes(), 1000);
    }
}
