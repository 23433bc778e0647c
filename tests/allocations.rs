//! What a task costs in memory, counted by the allocator itself. This needs a binary of its own,
//! which runs one test after another in one thread.

#[path = "allocations/batches.rs"]
mod batches;
#[path = "allocations/scopes.rs"]
mod scopes;
#[path = "allocations/tokens.rs"]
mod tokens;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, mpsc};

use corepool::{TaskHandle, WorkerPool};

/// The system's allocator, with a count of all allocations, from any thread.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged; the counting does not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        BYTES.fetch_add(layout.size(), Ordering::SeqCst);
        LIVE.fetch_add(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller promises that `layout` is valid for `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller promises that `place` came from this allocator with `layout`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counts cover the allocations of all threads, so only one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The number of allocations during a run, and the bytes requested.
fn counted(run: impl FnOnce()) -> (usize, usize) {
    let before = (ALLOCATIONS.load(Ordering::SeqCst), BYTES.load(Ordering::SeqCst));
    run();
    let after = (ALLOCATIONS.load(Ordering::SeqCst), BYTES.load(Ordering::SeqCst));
    (after.0 - before.0, after.1 - before.1)
}

/// The minimum over several runs, because the threads of the test harness sometimes allocate too.
fn least(mut run: impl FnMut()) -> (usize, usize) {
    (0..5).map(|_| counted(&mut run)).min().expect("there are five runs")
}

/// Keeps the only worker of a pool busy until the sender is dropped.
fn occupy(pool: &WorkerPool) -> (mpsc::Sender<()>, TaskHandle<()>) {
    let (gate, wait) = mpsc::channel::<()>();
    let (starting, started) = mpsc::channel();
    let task = pool.spawn(move || {
        starting.send(()).expect("the test waits for this");
        assert!(wait.recv().is_err());
    });
    started.recv().expect("the worker takes it");
    (gate, task)
}

/// Large enough that few tasks can reuse blocks, should the pool keep some for reuse.
const TASKS: usize = 20_000;

/// A task costs one allocation of at most 64 bytes; a block that is reused costs none.
fn expect_one_a_task((allocations, bytes): (usize, usize)) {
    assert!(allocations <= TASKS, "{allocations} allocations for {TASKS} tasks");
    // A traced task also carries its submitter's span, which takes half a cache line more.
    let most = if cfg!(feature = "tracing") { 96 } else { 64 };
    assert!(bytes <= most * TASKS, "{} bytes a task", bytes as f64 / TASKS as f64);
}

/// Spawns many tasks whose closures and results have eight bytes, and joins them.
fn spawn_and_join(pool: &WorkerPool, tasks: &mut Vec<TaskHandle<u64>>) {
    for number in 0..TASKS as u64 {
        tasks.push(pool.spawn(move || number));
    }
    for (number, task) in tasks.drain(..).enumerate() {
        assert_eq!(task.join().expect("it gives its number"), number as u64);
    }
}

#[test]
fn a_task_is_one_allocation_of_at_most_64_bytes() {
    let _alone = alone();
    let pool = WorkerPool::with_workers(1).expect("a thread");
    let mut tasks = Vec::with_capacity(TASKS);
    // Allocated once, for example the thread's parker.
    spawn_and_join(&pool, &mut tasks);
    expect_one_a_task(least(|| spawn_and_join(&pool, &mut tasks)));
}

#[test]
fn a_task_spawned_inside_a_task_is_one_allocation_too() {
    let _alone = alone();
    let pool = WorkerPool::with_workers(1).expect("a thread");
    let inside = || {
        let mut tasks = Vec::with_capacity(TASKS);
        counted(|| {
            for number in 0..TASKS as u64 {
                tasks.push(corepool::spawn(move || number));
            }
            let sum: u64 = tasks.drain(..).map(|task| task.join().expect("a number")).sum();
            assert_eq!(sum, (0..TASKS as u64).sum());
        })
    };
    let runs = (0..5).map(|_| pool.spawn(inside).join().expect("no panic"));
    expect_one_a_task(runs.min().expect("there are five runs"));
}

#[test]
fn waiting_for_a_result_allocates_nothing() {
    let _alone = alone();
    let pool = WorkerPool::with_workers(1).expect("a thread");
    let round = || {
        let mut task = pool.spawn(|| 5_u64);
        let in_time = task.join_timeout(std::time::Duration::from_nanos(1));
        let value = in_time.unwrap_or_else(|| task.join());
        assert_eq!(value.expect("a number"), 5);
        assert_eq!(pollster_like(pool.spawn(|| 6_u64)), 6);
    };
    round();
    let (allocations, _) = least(round);
    assert!(allocations <= 2, "{allocations}, and only the two tasks themselves need one each");
}

/// Awaits with a waker that allocates nothing.
fn pollster_like(mut task: TaskHandle<u64>) -> u64 {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        let polled = std::future::Future::poll(std::pin::Pin::new(&mut task), &mut context);
        if let std::task::Poll::Ready(value) = polled {
            return value.expect("a number");
        }
        std::thread::yield_now();
    }
}

#[test]
fn spawn_and_cancel_in_a_loop_keeps_memory_flat_while_the_worker_is_busy() {
    let _alone = alone();
    let pool = WorkerPool::with_workers(1).expect("a thread");
    let (gate, busy) = occupy(&pool);
    let before = LIVE.load(Ordering::SeqCst);
    let mut most = 0;
    for round in 0..20_000_u64 {
        assert!(pool.spawn(move || [round; 16]).cancel());
        most = most.max(LIVE.load(Ordering::SeqCst).saturating_sub(before));
    }
    assert_eq!(pool.metrics().queue_depth, 0);
    // Each task takes about 200 bytes; without a sweep there would be 20,000 of them.
    assert!(most < 100_000, "{most} bytes at most");
    drop(gate);
    busy.join().expect("no panic");
}

#[test]
fn what_many_tasks_took_is_given_back() {
    let _alone = alone();
    let pool = WorkerPool::with_workers(2).expect("two threads");
    let mut tasks = Vec::with_capacity(TASKS);
    spawn_and_join(&pool, &mut tasks);
    let before = LIVE.load(Ordering::SeqCst);
    for round in 0..6 {
        spawn_and_join(&pool, &mut tasks);
        for number in 0..TASKS {
            let task = pool.spawn(move || Box::new(number));
            match round % 3 {
                0 => drop(task),
                1 => task.detach(),
                _ => drop(task.cancel_on_drop()),
            }
        }
    }
    pool.shutdown();
    let after = LIVE.load(Ordering::SeqCst);
    assert!(after < before + 10_000, "{} bytes more than before", after - before);
}

/// 200,000 by default, or the value of `COREPOOL_MANY`. CI asks for a million; ten million were
/// tried by hand.
fn many() -> usize {
    let asked = std::env::var("COREPOOL_MANY");
    asked.map_or(200_000, |count| count.parse().expect("COREPOOL_MANY is a number"))
}

/// Case 49. All tasks wait at once behind a worker that is held. Then they run, and their results
/// are not taken.
/// for what they give.
#[test]
fn very_many_queued_tasks_give_their_memory_back() {
    let _alone = alone();
    let pool = WorkerPool::with_workers(1).expect("a thread");
    let queue = |tasks: usize| {
        let (gate, busy) = occupy(&pool);
        (0..tasks).for_each(|number| pool.spawn(move || number).detach());
        let most = LIVE.load(Ordering::SeqCst);
        drop(gate);
        busy.join().expect("no panic");
        // The only worker has freed the tasks before this one when it runs.
        pool.spawn(|| ()).join().expect("no panic");
        most
    };
    queue(TASKS);
    let before = LIVE.load(Ordering::SeqCst);
    let most = queue(many());
    let after = LIVE.load(Ordering::SeqCst);
    println!(
        "{} bytes for {} tasks, {} after them",
        most - before,
        many(),
        after.saturating_sub(before)
    );
    assert!(most > before + 20 * many(), "{} bytes for {}", most - before, many());
    assert!(after < before + 100_000, "{} bytes more than before", after.saturating_sub(before));
}
