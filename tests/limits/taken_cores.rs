//! Cores that other threads occupy. A worker that is pinned to such a core is let loose (unpinned)
//! by a thread that waits for it, and goes back afterwards.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use corepool::{Pinning, PoolEvent, TaskContext, WorkerPool};

use crate::child;
use crate::cores::{confine, mask};
use crate::skip::skip;
use crate::support::until;
use crate::urgent::become_urgent;

/// How long a core is taken. The kernel intervenes after 0.95 s.
const TAKEN: Duration = Duration::from_millis(800);

/// A thread that occupies a core alone, no matter which other thread wants it.
struct Hog {
    thread: JoinHandle<()>,
    has_ended: Arc<AtomicBool>,
}

impl Hog {
    fn on(core: usize) -> Self {
        let has_ended = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let ends = Arc::clone(&has_ended);
        let thread = thread::spawn(move || {
            confine(&[core]).unwrap();
            become_urgent().unwrap();
            tell.send(()).unwrap();
            let start = Instant::now();
            while start.elapsed() < TAKEN {}
            ends.store(true, Ordering::SeqCst);
        });
        told.recv().unwrap();
        Self { thread, has_ended }
    }

    /// Asserts that nothing has waited for the core. Where other programs occupy the other cores,
    /// everything takes long; then a worker must have been let loose.
    #[track_caller]
    fn expect_nobody_waits(self, pool: &WorkerPool) {
        let is_here = !self.has_ended.load(Ordering::SeqCst);
        assert!(is_here || pool.metrics().let_loose > 0, "somebody waited for the core");
        self.thread.join().unwrap();
    }
}

/// In the parent: checks whether this machine can run the test, and starts the child that does.
fn in_a_child() {
    let allowed = thread::spawn(become_urgent).join().unwrap();
    if mask().len() < 2 {
        return skip("there is one core");
    }
    if let Err(error) = allowed {
        return skip(&format!("no thread may be urgent here: {error}"));
    }
    child::run_again(|_| {}).expect_success();
}

fn pinned_to(cores: &[usize]) -> WorkerPool {
    let named = Pinning::Cores(cores.to_vec());
    WorkerPool::builder().workers(cores.len()).pinning(named).build().unwrap()
}

#[test]
fn a_worker_whose_core_is_taken_is_let_loose_and_goes_back() {
    if !child::is_child() {
        return in_a_child();
    }
    let all = mask();
    let pool = WorkerPool::with_workers(1).unwrap();
    let Some(taken) = pool.workers()[0].core else { return };
    let free = all[usize::from(taken == all[0])];
    let events = pool.events();
    confine(&[free]).unwrap();
    pool.spawn(|| ()).join().unwrap();
    let hog = Hog::on(taken);
    let ran_on = pool.spawn(mask).join().unwrap();
    hog.expect_nobody_waits(&pool);
    assert_ne!(ran_on, [taken]);
    assert!(pool.metrics().let_loose > 0);
    let is_told = |event: PoolEvent| {
        matches!(event, PoolEvent::WorkerLetLoose { worker, core }
            if worker.index() == 0 && core == taken)
    };
    assert!(events.receiver().try_iter().any(is_told));
    // The worker pins itself when it goes to sleep.
    until(|| {
        pool.spawn(|| ()).join().unwrap();
        // It may be let loose again where other programs occupy the core as well.
        pool.workers()[0].core == Some(taken) && pool.spawn(mask).join().unwrap() == [taken]
    });
}

/// Lets `push` hand tasks to a pool of two workers; each worker in turn has no core.
fn beside_a_hog(push: impl Fn(&WorkerPool)) {
    let all = mask();
    for (taken, free) in [(all[0], all[1]), (all[1], all[0])] {
        confine(&all).unwrap();
        let pool = pinned_to(&[taken, free]);
        confine(&[free]).unwrap();
        until(|| pool.metrics().parks >= 2);
        let hog = Hog::on(taken);
        push(&pool);
        hog.expect_nobody_waits(&pool);
    }
}

#[test]
fn tasks_behind_a_searcher_without_a_core_wake_another_worker() {
    if !child::is_child() {
        return in_a_child();
    }
    beside_a_hog(|pool| {
        let tasks: Vec<_> = (0..100_u64).map(|n| pool.spawn(move || n)).collect();
        assert_eq!(tasks.into_iter().map(|task| task.join().unwrap()).sum::<u64>(), 4_950);
    });
}

/// The submitter goes on, so no thread is there to look after the worker that was woken.
#[test]
fn so_do_tasks_that_nobody_waits_for() {
    if !child::is_child() {
        return in_a_child();
    }
    beside_a_hog(|pool| {
        let done = Arc::new(AtomicUsize::new(0));
        // First many at once, before any worker counts as late (woken but not running yet); then a
        // few with pauses between them.
        for number in 0..80 {
            let done = Arc::clone(&done);
            pool.spawn(move || done.fetch_add(1, Ordering::SeqCst)).detach();
            if number >= 64 {
                thread::sleep(Duration::from_millis(10));
            }
        }
        until(|| done.load(Ordering::SeqCst) == 80);
    });
}

#[test]
fn so_do_loops_that_wait_for_a_part() {
    if !child::is_child() {
        return in_a_child();
    }
    let all = mask();
    let pool = pinned_to(&all[..2]);
    confine(&all[1..2]).unwrap();
    let hog = Hog::on(all[0]);
    for _ in 0..5 {
        let mut items = vec![1_u64; 300];
        pool.for_each_mut(&mut items, |item| {
            for n in 0..300 {
                *item = std::hint::black_box(item.wrapping_mul(31) ^ n);
            }
        });
    }
    hog.expect_nobody_waits(&pool);
}

/// The lender and its spare worker would otherwise share a core.
#[test]
fn a_spare_worker_whose_lender_goes_on_makes_room() {
    if child::is_child() {
        let all = mask();
        let pool = Arc::new(pinned_to(&all[..2]));
        let (go, goes) = mpsc::channel::<()>();
        let begun = Arc::new(AtomicBool::new(false));
        let (has_begun, own) = (Arc::clone(&begun), Arc::clone(&pool));
        let lender = pool.task().on_worker(0).spawn(move || {
            let spare = own.task().on_worker(0).spawn(move || {
                has_begun.store(true, Ordering::SeqCst);
                until(|| mask().len() > 1);
            });
            corepool::blocking(|| goes.recv().unwrap());
            spare
        });
        until(|| begun.load(Ordering::SeqCst));
        go.send(()).unwrap();
        let spare = lender.join().unwrap();
        spare.join().unwrap();
        assert!(pool.metrics().let_loose > 0);
        return;
    }
    if mask().len() < 2 {
        return skip("there is one core");
    }
    child::run_again(|_| {}).expect_success();
}

/// Thread ids are reused. Only workers may be let loose, even so.
#[test]
fn no_other_thread_is_let_loose() {
    if !child::is_child() {
        return in_a_child();
    }
    let all = mask();
    let end = Instant::now() + Duration::from_secs(1);
    let strangers = Arc::new(AtomicUsize::new(0));
    let hogs: Vec<_> =
        (0..2 * all.len()).map(|_| thread::spawn(move || while Instant::now() < end {})).collect();
    let counts = Arc::clone(&strangers);
    let stranger = move || {
        while Instant::now() < end {
            let confined = thread::spawn(|| {
                let core = mask()[0];
                confine(&[core]).unwrap();
                thread::yield_now();
                assert_eq!(mask(), [core]);
            });
            confined.join().unwrap();
            counts.fetch_add(1, Ordering::SeqCst);
        }
    };
    let stranger = thread::spawn(stranger);
    let pool = pinned_to(&all);
    while Instant::now() < end {
        let ends = pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() });
        pool.spawn(|| thread::sleep(Duration::from_micros(300))).join().unwrap();
        assert!(ends.join().is_err());
    }
    stranger.join().unwrap();
    hogs.into_iter().for_each(|hog| hog.join().unwrap());
    assert!(strangers.load(Ordering::SeqCst) > 0);
}
