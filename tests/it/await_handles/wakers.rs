//! Wakers that panic in wake, clone or drop: the task's state stays intact, and its worker
//! survives.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, RawWaker, RawWakerVTable, Waker};

use corepool::WorkerPool;

use super::poll;
use crate::support::{Gate, PATIENCE, occupy, until, within};

/// An operation of a waker in which it may panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Clone,
    Wake,
    Drop,
}

/// The data behind a waker that panics. It is leaked, so the waker's pointer is always valid.
#[derive(Default)]
struct Trap {
    alive: AtomicUsize,
    wakes: AtomicUsize,
    panics_in: Mutex<Option<Deed>>,
    before_clone: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

static TABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        let trap = Trap::behind(data);
        let first = trap.before_clone.lock().unwrap().take();
        if let Some(first) = first {
            first();
        }
        trap.spring(Deed::Clone);
        trap.alive.fetch_add(1, Ordering::SeqCst);
        RawWaker::new(data, &TABLE)
    },
    |data| {
        let trap = Trap::behind(data);
        trap.alive.fetch_sub(1, Ordering::SeqCst);
        trap.wakes.fetch_add(1, Ordering::SeqCst);
        trap.spring(Deed::Wake);
    },
    |data| {
        let trap = Trap::behind(data);
        trap.wakes.fetch_add(1, Ordering::SeqCst);
        trap.spring(Deed::Wake);
    },
    |data| {
        let trap = Trap::behind(data);
        trap.alive.fetch_sub(1, Ordering::SeqCst);
        trap.spring(Deed::Drop);
    },
);

impl Trap {
    fn set(panics_in: Option<Deed>) -> (&'static Self, Waker) {
        let trap: &'static Self = Box::leak(Box::default());
        *trap.panics_in.lock().unwrap() = panics_in;
        trap.alive.store(1, Ordering::SeqCst);
        // SAFETY: the table's functions keep the contract of a waker: they are safe to call on any
        // thread, and the data behind the pointer is never freed.
        let waker = unsafe { Waker::new(std::ptr::from_ref(trap).cast(), &TABLE) };
        (trap, waker)
    }

    fn behind(data: *const ()) -> &'static Self {
        // SAFETY: the pointer came from a leaked box in `set`.
        unsafe { &*data.cast::<Self>() }
    }

    fn disarm(&self) {
        *self.panics_in.lock().unwrap() = None;
    }

    fn spring(&self, deed: Deed) {
        let springs = *self.panics_in.lock().unwrap() == Some(deed);
        assert!(!springs, "a waker panics in {deed:?}");
    }
}

/// Case 56.
#[test]
fn a_waker_that_panics_in_wake_leaves_task_and_worker_whole() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        for round in 0..50 {
            let busy = occupy(&pool, 1);
            let mut task = pool.spawn(move || round);
            let (trap, waker) = Trap::set(Some(Deed::Wake));
            assert!(poll(&mut task, &waker).is_pending());
            busy.release();
            until(|| trap.wakes.load(Ordering::SeqCst) == 1);
            assert_eq!(task.join().unwrap(), round);
            drop(waker);
            assert_eq!(trap.alive.load(Ordering::SeqCst), 0);
        }
        let workers = pool.workers();
        assert_eq!((workers.len(), workers[0].generation), (1, 0));
        assert_eq!(pool.metrics().panicked, 0, "no task panicked");
    });
}

/// Case 56.
#[test]
fn a_waker_that_panics_in_wake_does_not_unwind_into_cancel() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let _busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| ());
        let (trap, waker) = Trap::set(Some(Deed::Wake));
        assert!(poll(&mut task, &waker).is_pending());
        assert!(task.cancel());
        assert_eq!(trap.wakes.load(Ordering::SeqCst), 1);
        assert!(task.join().unwrap_err().is_cancelled());
    });
}

/// Case 56.
#[test]
fn a_waker_that_panics_in_clone_leaves_the_handle_as_it_was() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| 5);
        let (good, good_waker) = Trap::set(None);
        assert!(poll(&mut task, &good_waker).is_pending());
        let (_, waker) = Trap::set(Some(Deed::Clone));
        for _ in 0..3 {
            let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut task, &waker)));
            polled.expect_err("the waker's panic is the caller's own");
        }
        busy.release();
        // The waker registered before the panic is still the one that is woken.
        until(|| good.wakes.load(Ordering::SeqCst) == 1);
        assert_eq!(task.join().unwrap(), 5);
    });
}

/// Case 56.
#[test]
fn a_waker_that_panics_in_drop_does_not_unwind_into_who_replaces_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| 5);
        let (trap, waker) = Trap::set(Some(Deed::Drop));
        assert!(poll(&mut task, &waker).is_pending());
        let (last, last_waker) = Trap::set(None);
        assert!(poll(&mut task, &last_waker).is_pending());
        assert_eq!(trap.alive.load(Ordering::SeqCst), 1, "the registered one was dropped");
        busy.release();
        until(|| last.wakes.load(Ordering::SeqCst) == 1);
        assert_eq!(task.join().unwrap(), 5);
        trap.disarm();
        drop(waker);
        assert_eq!(trap.alive.load(Ordering::SeqCst), 0);
    });
}

/// Case 56.
#[test]
fn a_waker_that_panics_in_drop_does_not_unwind_into_the_handles_drop() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| 5);
        let (trap, waker) = Trap::set(Some(Deed::Drop));
        assert!(poll(&mut task, &waker).is_pending());
        drop(task);
        assert_eq!(trap.alive.load(Ordering::SeqCst), 1);
        busy.release();
        pool.shutdown();
        assert_eq!((pool.metrics().completed, trap.wakes.load(Ordering::SeqCst)), (2, 0));
        trap.disarm();
        drop(waker);
    });
}

/// Case 56: the task is settled between the poll's first check and its registration. Then the clone
/// of the waker, which is no longer needed, panics in its drop.
#[test]
fn a_waker_that_panics_in_drop_at_the_moment_of_completion_loses_no_result() {
    within(PATIENCE, || {
        let pool = std::sync::Arc::new(WorkerPool::with_workers(1).unwrap());
        let gate = Gate::default();
        let wait = gate.clone();
        let mut task = pool.spawn(move || {
            wait.wait();
            5
        });
        let (trap, waker) = Trap::set(Some(Deed::Drop));
        let inside = std::sync::Arc::clone(&pool);
        *trap.before_clone.lock().unwrap() = Some(Box::new(move || {
            gate.open();
            // When the only worker runs this task, it has settled the first one.
            inside.spawn(|| ()).join().unwrap();
        }));
        let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut task, &waker)));
        match polled {
            Ok(Poll::Ready(result)) => assert_eq!(result.unwrap(), 5),
            Ok(Poll::Pending) => panic!("it is settled"),
            Err(_) => assert_eq!(task.join().unwrap(), 5),
        }
        trap.disarm();
        drop(waker);
        assert_eq!(trap.alive.load(Ordering::SeqCst), 0);
    });
}
