//! The heap use of tasks: allocations and bytes per task, and the peak with a million queued tasks.
//!
//! ```text
//! cargo bench --bench memory
//! ```
//!
//! The allocator counts the requested bytes, not the bytes really used. The cost per task is the
//! difference between a run of 2 N and a run of N tasks, divided by N, so one-time allocations of a
//! run cancel out.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[expect(dead_code, reason = "the other benches use the rest")]
mod rivals;
#[expect(dead_code, reason = "the other benches use the rest")]
mod support;

use support::interleave::{Ask, Row, interleave};
use support::options::Options;
use support::rival::{Rival, Running};
use support::work::Work;

const A_TASK: Row =
    Row { bench: "memory", name: "a_task", metrics: &["allocations a task", "bytes a task"] };
const QUEUED: Row = Row { bench: "memory", name: "queued", metrics: &["peak MB", "bytes a task"] };

fn main() {
    let options = Options::read();
    let rivals = options.contestants(|rival| rival.role.has_queue());
    let mut journal = options.journal();
    let tasks = options.size(1_000, 100_000);
    let deep = options.size(1_000, 1_000_000);
    let questions: [(Row, Ask<'_>); 2] =
        [(A_TASK, &|pool| a_task(pool, tasks)), (QUEUED, &|pool| queued(pool, deep))];
    for (row, ask) in questions.into_iter().filter(|(row, _)| options.wants(row.name)) {
        let measured =
            interleave(row, &rivals, options.rounds(3), |rival: &Rival| rival.alone(ask));
        measured.report(&options, &mut journal);
    }
}

/// Allocations and bytes per task in the steady state, in windows of a thousand tasks.
fn a_task(pool: &Running, tasks: u64) -> Vec<f64> {
    pool(Work::Windows(tasks));
    let once = asked_during(|| pool(Work::Windows(tasks)));
    let twice = asked_during(|| pool(Work::Windows(2 * tasks)));
    let share =
        |part: fn(Asked) -> u64| part(twice).saturating_sub(part(once)) as f64 / tasks as f64;
    vec![share(|asked| asked.times), share(|asked| asked.bytes)]
}

/// The peak while this many tasks wait, including the vector of their handles, and the share of one
/// task.
fn queued(pool: &Running, tasks: u64) -> Vec<f64> {
    let before = HEAP.live.load(Relaxed);
    HEAP.peak.store(before, Relaxed);
    pool(Work::Queued(tasks));
    let peak = HEAP.peak.load(Relaxed).saturating_sub(before) as f64;
    vec![peak / 1e6, peak / tasks as f64]
}

/// What was requested from the allocator.
#[derive(Clone, Copy)]
struct Asked {
    times: u64,
    bytes: u64,
}

fn asked_during(work: impl FnOnce()) -> Asked {
    let before = HEAP.asked();
    work();
    let after = HEAP.asked();
    Asked { times: after.times - before.times, bytes: after.bytes - before.bytes }
}

/// The system allocator, with counters in front of it.
struct Counting {
    times: AtomicU64,
    bytes: AtomicU64,
    live: AtomicU64,
    peak: AtomicU64,
}

#[global_allocator]
static HEAP: Counting = Counting {
    times: AtomicU64::new(0),
    bytes: AtomicU64::new(0),
    live: AtomicU64::new(0),
    peak: AtomicU64::new(0),
};

impl Counting {
    fn asked(&self) -> Asked {
        Asked { times: self.times.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }

    fn took(&self, bytes: usize) {
        self.times.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
        let live = self.live.fetch_add(bytes as u64, Relaxed) + bytes as u64;
        self.peak.fetch_max(live, Relaxed);
    }

    fn gave_back(&self, bytes: usize) {
        self.live.fetch_sub(bytes as u64, Relaxed);
    }
}

// SAFETY: every call goes to the system allocator with the caller's own arguments, so the caller's
// promises carry over. The counters neither allocate nor panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.took(layout.size());
        // SAFETY: the caller promises that `layout` has a non-zero size.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.took(layout.size());
        // SAFETY: the caller promises that `layout` has a non-zero size.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.gave_back(layout.size());
        self.took(size);
        // SAFETY: the caller promises that `pointer` came from this allocator with `layout`, and
        // that `size` is valid for it.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.gave_back(layout.size());
        // SAFETY: the caller promises that `pointer` came from this allocator with `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
