//! How long things take, in buckets of a fixed scale: a bound a bucket, each half as much again as the one
//! before, so that a percentile read from them is right within that. Atomics only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::counters::add;

/// How many buckets have a bound.
pub const BOUNDED: usize = 26;

/// The upper bounds in microseconds; what takes longer is in one bucket more.
pub const BOUNDS: [u64; BOUNDED] = [
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000,
    100_000, 200_000, 500_000, 1_000_000,
];

/// Counts by duration.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDED + 1],
    nanos: AtomicU64,
}

impl Histogram {
    /// One more. `alone`: nobody else adds to it.
    pub fn add(&self, took: Duration, alone: bool) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let micros = nanos.div_ceil(1000);
        let place = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(place) {
            add(bucket, 1, alone);
        }
        add(&self.nanos, nanos, alone);
    }

    /// Adds what is in here to `buckets` and `nanos`.
    pub fn collect(&self, buckets: &mut [u64], nanos: &mut u64) {
        for (sum, bucket) in buckets.iter_mut().zip(&self.buckets) {
            *sum = sum.saturating_add(bucket.load(Ordering::Relaxed));
        }
        *nanos = nanos.saturating_add(self.nanos.load(Ordering::Relaxed));
    }
}

/// The time, in microseconds, that this share of what is in the buckets stayed within: the bound of the
/// bucket it falls in. `None` when they are empty.
pub fn percentile(buckets: &[u64], share: f64) -> Option<u64> {
    let total: u64 = buckets.iter().sum();
    let wanted = ((total as f64) * share).ceil().max(1.0) as u64;
    let mut sum = 0;
    for (place, count) in buckets.iter().enumerate() {
        sum += count;
        if total > 0 && sum >= wanted {
            return Some(BOUNDS.get(place).copied().unwrap_or(u64::MAX));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_bucket_whose_bound_it_does_not_pass() {
        let histogram = Histogram::default();
        for micros in [1, 2, 5, 6, 2_000_000] {
            histogram.add(Duration::from_micros(micros), micros % 2 == 0);
        }
        let (mut buckets, mut nanos) = ([0; BOUNDED + 1], 0);
        histogram.collect(&mut buckets, &mut nanos);
        assert_eq!((buckets[0], buckets[1], buckets[3], buckets[4], buckets[BOUNDED]), (1, 1, 1, 1, 1));
        assert_eq!(nanos, 2_000_014_000);
    }

    #[test]
    fn a_percentile_is_the_bound_of_the_bucket_it_falls_in() {
        let mut buckets = [0; BOUNDED + 1];
        assert_eq!(percentile(&buckets, 0.5), None);
        buckets[3] = 98;
        buckets[10] = 2;
        assert_eq!((percentile(&buckets, 0.5), percentile(&buckets, 0.99)), (Some(5), Some(70)));
        buckets[BOUNDED] = 1000;
        assert_eq!(percentile(&buckets, 0.99), Some(u64::MAX));
    }
}
