//! What this process holds: bytes on its heap, counted by the allocator itself, memory as the
//! kernel sees it, threads and descriptors.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The system's allocator, with a count of what has not been given back.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on as it is; counting touches nothing of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The thread for deadlines, which stays for two seconds after the last one.
pub(crate) const TIMER: &str = "corepool-timer";
/// Those that do for it what may take its time; they stay for a while, as it does.
const ERRANDS: &str = "corepool-errand";

/// A look at all of it, between two programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holdings {
    /// Since the first look.
    pub(crate) time: Duration,
    /// On the heap, in bytes.
    pub(crate) live: usize,
    /// As the kernel sees it, in KiB.
    pub(crate) resident: usize,
    /// Without the one for deadlines.
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

/// What the threads of this process are called.
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

/// How much a quantity grows in an hour, by the line that fits the looks best. None for less than
/// two looks.
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
