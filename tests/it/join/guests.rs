//! Guests (threads from outside) take part in their own calls, and what they take over can do all
//! that it could on a worker.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use corepool::WorkerPool;
use corepool::parallel::JoinContext;

use super::{LONG, expected, fibonacci_on, quiet, until_free, work};
use crate::held::hold;
use crate::support::{Gate, PATIENCE, until, within};

/// One worker means one core, and the guest has that one.
#[test]
fn a_pool_of_one_worker_never_helps_a_guest() {
    within(PATIENCE, || {
        for _ in 0..20 {
            let pool = WorkerPool::with_workers(1).unwrap();
            for round in 0..100 {
                if round % 10 > 5 {
                    // The worker is busy or has just been busy, and looks for more work.
                    pool.spawn(|| ()).detach();
                }
                let half = |cx: JoinContext| {
                    fibonacci_on(&pool, 10);
                    work(LONG / 50);
                    cx.has_moved()
                };
                assert_eq!(pool.join_context(half, half), (false, false), "round {round}");
            }
            let metrics = pool.metrics();
            assert_eq!((metrics.jobs_offered, metrics.jobs_taken), (0, 0));
        }
    });
}

/// Makes a guest take over parts of what a worker runs for it, while the pool's other worker is
/// busy.
fn on_a_helping_guest(inside: impl Fn(&WorkerPool) + Send + Sync + 'static) {
    within(PATIENCE, move || {
        let pool = quiet(2);
        let helped = AtomicUsize::new(0);
        until(|| {
            let (taken, begun) = (AtomicBool::new(false), Instant::now());
            until_free(&pool, 2);
            // This wait has a limit, because the worker may come too late.
            let wait = || until(|| taken.load(Ordering::SeqCst) || begun.elapsed() > LONG * 50);
            pool.join(wait, || {
                taken.store(true, Ordering::SeqCst);
                if pool.is_current() {
                    let busy = hold(&pool);
                    offer_parts(&pool, || {
                        helped.fetch_add(1, Ordering::SeqCst);
                        inside(&pool);
                    });
                    busy.release();
                }
            });
            helped.load(Ordering::SeqCst) > 20
        });
    });
}

/// Only the thread that waits for the caller comes for a part, and this is the part that it takes.
fn offer_parts(pool: &WorkerPool, part: impl Fn() + Sync) {
    for _ in 0..50 {
        let second = || {
            work(LONG / 5);
            if !pool.is_current() {
                part();
            }
        };
        corepool::join(|| work(LONG / 5), second);
    }
}

#[test]
fn a_helping_guest_may_wait_for_a_task() {
    on_a_helping_guest(|pool| assert_eq!(pool.spawn(|| 5).join().unwrap(), 5));
}

#[test]
fn a_helping_guest_may_await_a_task() {
    on_a_helping_guest(|pool| assert_eq!(pollster::block_on(pool.spawn(|| 5)).unwrap(), 5));
}

#[test]
fn a_helping_guest_may_wait_for_a_task_by_the_clock() {
    on_a_helping_guest(|pool| {
        let task = pool.spawn(|| 5).join_timeout(PATIENCE);
        assert_eq!(task.expect("it is run in place").unwrap(), 5);
    });
}

#[test]
fn a_helping_guest_may_install() {
    on_a_helping_guest(|pool| assert_eq!(pool.install(|| 5), 5));
}

#[test]
fn a_helping_guest_may_call_another_pool() {
    let other = Arc::new(WorkerPool::with_workers(1).unwrap());
    on_a_helping_guest(move |pool| {
        let task = other.spawn(|| 5);
        assert_eq!(task.join().unwrap() + other.install(|| pool.install(|| 5)), 10);
    });
}

/// Two guests and two workers: if each worker waits for a guest, no worker is left to run a guest's
/// task.
#[test]
fn guests_that_wait_for_tasks_inside_their_calls_come_to_an_end() {
    fn level(pool: &WorkerPool, depth: u32) -> u32 {
        if depth == 0 {
            let task = pool.spawn(|| 1);
            return task.join().unwrap() + pool.install(|| 1);
        }
        work(LONG / 100);
        let (a, b) = pool.join(|| level(pool, depth - 1), || level(pool, depth - 1));
        a + b
    }
    within(PATIENCE * 3, || {
        for (workers, guests) in [(1, 1), (1, 3), (2, 2), (2, 4)] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            thread::scope(|s| {
                for _ in 0..guests {
                    s.spawn(|| {
                        for _ in 0..20 {
                            assert_eq!(level(&pool, 5), 64);
                        }
                    });
                }
            });
        }
    });
}

/// A bounded pool would make a thread from outside wait for room, which comes only when a worker is
/// free.
#[test]
fn guests_that_spawn_into_a_full_pool_inside_their_calls_come_to_an_end() {
    fn level(pool: &WorkerPool, depth: u32) -> u32 {
        if depth == 0 {
            let tasks: Vec<_> = (0..4).map(|_| pool.spawn(|| 1)).collect();
            return tasks.into_iter().map(|task| task.join().unwrap()).sum();
        }
        work(LONG / 100);
        let (a, b) = pool.join(|| level(pool, depth - 1), || level(pool, depth - 1));
        a + b
    }
    within(PATIENCE * 3, || {
        for (workers, guests) in [(1, 2), (2, 2)] {
            let pool = WorkerPool::builder().workers(workers).queue_capacity(0).build().unwrap();
            thread::scope(|s| {
                for _ in 0..guests {
                    s.spawn(|| {
                        for _ in 0..20 {
                            assert_eq!(level(&pool, 4), 64);
                        }
                    });
                }
            });
        }
    });
}

/// Joins while its thread ends, after most thread-locals of the crate are gone.
struct AtTheEnd(Option<Arc<WorkerPool>>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let Some(pool) = self.0.take() else { return };
        for _ in 0..20 {
            let begun = Gate::default();
            until_free(&pool, 2);
            pool.join(
                || {
                    begun.wait();
                    work(LONG / 2);
                },
                || {
                    begun.open();
                    // Longer than any thread spins.
                    work(LONG);
                },
            );
        }
        assert_eq!(fibonacci_on(&pool, 15), expected(15));
        assert_eq!(pool.map(0..100_u64, |n| n).into_iter().sum::<u64>(), 4_950);
        let slow = pool.scope(|s| {
            let begun = Gate::default();
            let begins = begun.clone();
            let task = s.spawn(move || {
                begins.open();
                work(LONG);
                7
            });
            // The task need not be taken. If it is, the handle waits.
            work(LONG);
            task.join().unwrap()
        });
        assert_eq!(slow, 7);
    }
}

thread_local! {
    static AT_THE_END: RefCell<AtTheEnd> = const { RefCell::new(AtTheEnd(None)) };
}

/// Case 28.
#[test]
fn a_thread_may_join_while_it_ends() {
    within(PATIENCE, || {
        let pool = Arc::new(quiet(2));
        for early in [true, false] {
            let pool = Arc::clone(&pool);
            let ending = thread::spawn(move || {
                let prepare =
                    || AT_THE_END.with(|end| end.borrow_mut().0 = Some(Arc::clone(&pool)));
                // The thread-local that is used first is dropped last.
                if early {
                    prepare();
                }
                assert_eq!(fibonacci_on(&pool, 10), 55);
                pool.install(|| ());
                prepare();
            });
            ending.join().unwrap();
        }
    });
}

/// Many short-lived guests leave nothing behind where hungry workers (searching for work) look.
#[test]
fn guests_come_and_go_while_workers_poke_them() {
    within(PATIENCE * 2, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..100 {
                        let guest = || assert_eq!(fibonacci_on(&pool, 14), expected(14));
                        thread::scope(|s| drop(s.spawn(guest)));
                    }
                });
            }
        });
        assert_eq!(fibonacci_on(&pool, 14), expected(14));
    });
}
