//! Is every message there, once, in order?
//!
//! A payload begins with a [`Stamp`]: who published it, the how manieth of the publisher it is, and
//! when it was due. A [`Ledger`] belongs to one subscriber and one publisher.

use std::collections::BTreeSet;

/// Bytes of a [`Stamp`] in a payload.
pub(crate) const STAMP_BYTES: usize = 16;
/// Gaps remembered, to tell a late message from a second one.
const GAPS_MAX: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) publisher: u32,
    pub(crate) number: u32,
    /// Nanoseconds since the start of the run.
    pub(crate) due_ns: u64,
}

impl Stamp {
    pub(crate) fn bytes(self) -> [u8; STAMP_BYTES] {
        let all = u128::from(self.publisher) << 96
            | u128::from(self.number) << 64
            | u128::from(self.due_ns);
        all.to_be_bytes()
    }

    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let publisher = u32::from_be_bytes(payload.get(..4)?.try_into().ok()?);
        let number = u32::from_be_bytes(payload.get(4..8)?.try_into().ok()?);
        let due_ns = u64::from_be_bytes(payload.get(8..STAMP_BYTES)?.try_into().ok()?);
        Some(Self { publisher, number, due_ns })
    }
}

/// What was wrong, over all subscribers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    /// Payloads, packets or answers that should not be.
    pub(crate) odd: u64,
}

/// What one subscriber has had from one publisher.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    next: u32,
    gaps: BTreeSet<u32>,
}

impl Ledger {
    /// Notes a message; whether it counts as delivered.
    pub(crate) fn note(&mut self, number: u32, faults: &mut Faults) -> bool {
        if number == self.next {
            self.next += 1;
            return true;
        }
        if number > self.next {
            let room = GAPS_MAX.saturating_sub(self.gaps.len());
            self.gaps.extend((self.next..number).take(room));
            self.next = number + 1;
            return true;
        }
        if self.gaps.remove(&number) {
            faults.reordered += 1;
            return true;
        }
        faults.duplicates += 1;
        false
    }
}
