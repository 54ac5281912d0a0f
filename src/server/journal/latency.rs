//! How long commits take: percentiles of the last thousands, in a fixed number of bytes.

use std::time::Duration;

/// Steps in one doubling.
const STEPS: u64 = 4;
/// From a microsecond to more than an hour.
const BUCKETS: usize = 132;
/// Samples after which the older ones count half.
const HALVED_AFTER: u64 = 4096;

/// A histogram whose buckets grow by a quarter of an octave.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    buckets: Vec<u32>,
    samples: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], samples: 0 }
    }
}

impl Latency {
    pub(super) fn note(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket_of(us).min(BUCKETS - 1);
        self.buckets[bucket] += 1;
        self.samples += 1;
        if self.samples == HALVED_AFTER {
            self.buckets.iter_mut().for_each(|count| *count /= 2);
            self.samples = self.buckets.iter().map(|count| u64::from(*count)).sum();
        }
    }

    /// The time within which so many of a hundred commits returned, microseconds; up to a fifth
    /// too large. 0 when there was none.
    pub(super) fn percentile_us(&self, percent: u64) -> u64 {
        let wanted = (self.samples * percent).div_ceil(100);
        let mut sum = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            sum += u64::from(*count);
            if sum >= wanted && wanted > 0 {
                return end_us(bucket);
            }
        }
        0
    }
}

fn bucket_of(us: u64) -> usize {
    let us = us.max(1);
    let octave = u64::from(us.ilog2());
    let step = ((us << 2) >> octave) - STEPS; // the two bits below the highest
    usize::try_from(octave * STEPS + step).unwrap_or(BUCKETS)
}

/// The largest time of a bucket.
const fn end_us(bucket: usize) -> u64 {
    let (octave, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    ((STEPS + step + 1) << octave).div_ceil(STEPS) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_within_a_fifth_below_the_end_of_its_bucket() {
        for us in (1..5000).chain([70_000, 123_456, 10_000_000, 3_000_000_000]) {
            let end = end_us(bucket_of(us));
            assert!(end >= us && end <= us + us / 4, "{us}: {end}");
        }
    }

    #[test]
    fn percentiles_follow_the_samples_and_forget_old_ones() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentile_us(50), 0);
        for _ in 0..98 {
            latency.note(Duration::from_micros(100));
        }
        latency.note(Duration::from_millis(50));
        latency.note(Duration::from_millis(50));
        assert!((100..125).contains(&latency.percentile_us(50)));
        assert!((50_000..62_500).contains(&latency.percentile_us(99)));
        for _ in 0..100_000 {
            latency.note(Duration::from_millis(2));
        }
        assert!((2000..2500).contains(&latency.percentile_us(50)));
        latency.note(Duration::from_secs(1 << 40));
        latency.note(Duration::ZERO);
    }
}
