//! What this process holds: bytes on its heap, counted by the allocator itself, memory as the
//! kernel sees it, threads and descriptors.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The system's allocator, with a count of the bytes that have not been freed.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged; the counting does not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller promises that `layout` is valid for `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller promises that `place` came from this allocator with `layout`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The timer's thread, which stays for two seconds after the last deadline.
pub(crate) const TIMER: &str = "corepool-timer";
/// The threads that run the timer's errands (work that may take long); like the timer, they stay
/// for a while.
const ERRANDS: &str = "corepool-errand";

/// A snapshot of everything, between two programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holdings {
    /// Time since the first snapshot.
    pub(crate) time: Duration,
    /// Bytes on the heap.
    pub(crate) live: usize,
    /// Memory as the kernel sees it, in KiB.
    pub(crate) resident: usize,
    /// Threads, except those of the timer and its errands.
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
}

impl Holdings {
    pub(crate) fn now(time: Duration) -> Self {
        Self {
            time,
            resident: resident(),
            threads: thread_names()
                .iter()
                .filter(|name| *name != TIMER && *name != ERRANDS)
                .count(),
            descriptors: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            live: LIVE.load(Ordering::Relaxed),
        }
    }
}

/// The names of this process's threads.
pub(crate) fn thread_names() -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).ok();
    threads.filter_map(name).map(|name| name.trim().to_owned()).collect()
}

fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

/// How much a quantity grows per hour, by the line that fits the snapshots best. `None` for fewer
/// than two snapshots.
pub(crate) fn slope(looks: &[Holdings], quantity: impl Fn(&Holdings) -> f64) -> Option<f64> {
    let count = looks.len() as f64;
    let hours = |look: &Holdings| look.time.as_secs_f64() / 3_600.0;
    let (mean_time, mean) = (
        looks.iter().map(hours).sum::<f64>() / count,
        looks.iter().map(&quantity).sum::<f64>() / count,
    );
    let spread: f64 = looks.iter().map(|look| (hours(look) - mean_time).powi(2)).sum();
    let together: f64 =
        looks.iter().map(|look| (hours(look) - mean_time) * (quantity(look) - mean)).sum();
    (spread > 0.0).then(|| together / spread)
}
