//! Histograms of times. Each doubling has eight buckets, so a reading is at most an eighth too
//! long.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const STEPS_BITS: u32 = 3;
const STEPS: usize = 1 << STEPS_BITS;
/// Up to 2^42 ns, a little over an hour. Longer times are counted in the last bucket.
const BUCKETS: usize = (42 - STEPS_BITS as usize + 1) * STEPS;

/// The histogram that workers write to.
pub(crate) struct LiveHistogram {
    buckets: Box<[AtomicU64]>,
    longest: AtomicU64,
}

impl LiveHistogram {
    pub(crate) fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            longest: AtomicU64::new(0),
        }
    }

    pub(crate) fn record(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // ORDERING: statistics, each read on its own.
        self.buckets[bucket_of(nanoseconds)].fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(nanoseconds, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Histogram {
        // ORDERING: statistics, each read on its own.
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let longest = Duration::from_nanos(self.longest.load(Ordering::Relaxed));
        Histogram { counts, longest }
    }
}

impl fmt::Debug for LiveHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

/// A snapshot of how long something took, over all tasks.
///
/// ```
/// let pool = corepool::WorkerPool::builder().workers(1).record_timing(true).build()?;
/// pool.spawn(|| std::thread::sleep(std::time::Duration::from_millis(2))).join()?;
/// let run_time = pool.metrics().run_time.unwrap();
/// assert_eq!(run_time.count(), 1);
/// assert!(run_time.quantile(0.5).as_millis() >= 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    longest: Duration,
}

impl Histogram {
    /// Returns how many times were recorded.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).record_timing(true).build()?;
    /// pool.spawn(|| ()).join()?;
    /// pool.drain();
    /// assert_eq!(pool.metrics().run_time.unwrap().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the time that this share of all recorded times did not exceed: 0.5 is the median,
    /// 0.99 the 99th percentile.
    ///
    /// The result is at most an eighth too long. It is zero if nothing was recorded.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::builder().workers(1).record_timing(true).build()?;
    /// pool.spawn(|| ()).join()?;
    /// pool.drain();
    /// let times = pool.metrics().run_time.unwrap();
    /// assert!(times.quantile(0.5) <= times.quantile(0.99));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let count = self.count();
        let wanted = (share.clamp(0.0, 1.0) * count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(end_of(bucket)).min(self.longest);
            }
        }
        Duration::ZERO
    }

    /// Returns the longest recorded time, exactly.
    ///
    /// ```
    /// use std::time::Duration;
    /// let pool = corepool::WorkerPool::builder().workers(1).record_timing(true).build()?;
    /// pool.spawn(|| std::thread::sleep(Duration::from_millis(1))).join()?;
    /// pool.drain();
    /// assert!(pool.metrics().run_time.unwrap().max() >= Duration::from_millis(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max(&self) -> Duration {
        self.longest
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max())
            .finish()
    }
}

fn bucket_of(nanoseconds: u64) -> usize {
    if nanoseconds < STEPS as u64 {
        return nanoseconds as usize;
    }
    let doubling = 63 - nanoseconds.leading_zeros() - STEPS_BITS;
    let step = (nanoseconds >> doubling) as usize & (STEPS - 1);
    ((doubling as usize + 1) * STEPS + step).min(BUCKETS - 1)
}

/// The longest time that is counted in a bucket.
fn end_of(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let doubling = bucket / STEPS - 1;
    let step = (bucket % STEPS + STEPS + 1) as u64;
    (step << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, bucket_of, end_of};

    #[test]
    fn a_bucket_ends_where_the_next_begins() {
        for bucket in 0..BUCKETS - 1 {
            assert_eq!(bucket_of(end_of(bucket)), bucket);
            assert_eq!(bucket_of(end_of(bucket) + 1), bucket + 1);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_bucket_is_at_most_an_eighth_wide() {
        for time in [9_u64, 100, 1_000, 12_345, 1 << 30, (1 << 41) + 17] {
            let end = end_of(bucket_of(time));
            assert!(end >= time && (end - time) * 8 <= time, "{time} {end}");
        }
    }
}
