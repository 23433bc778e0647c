//! Whatever a worker waits in, it lends its core, so that a task that only this worker may run is
//! run meanwhile.
//!
//! In each test a thread waits for a second thread, which waits for a task placed on the first.

mod random;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use corepool::shared::{self, WaitResult};
use corepool::{CancelToken, WhenFull, WorkerPool};

use crate::support::{Gate, PATIENCE, occupy, within};

/// A closure that runs where it is called, or one that another worker should run meanwhile.
type Half<'a> = &'a (dyn Fn() + Sync);

fn pool(workers: usize) -> Arc<WorkerPool> {
    Arc::new(WorkerPool::with_workers(workers).unwrap())
}

/// Waits for a task that only worker 0 may run.
fn needs_worker_0(pool: &WorkerPool) {
    assert_eq!(pool.task().on_worker(0).spawn(|| 7).join().unwrap(), 7);
}

/// Waits for a task on each worker.
fn needs_all_workers(pool: &WorkerPool) {
    let workers = pool.worker_count();
    assert_eq!(pool.broadcast(|_| ()).filter(Result::is_ok).count(), workers);
}

/// Runs `waits` on worker 0 of `pool`. It receives a closure that returns when the other closure
/// has begun, and that other closure.
fn meet(
    pool: &WorkerPool,
    needs: impl Fn() + Send + Sync + 'static,
    waits: impl FnOnce(Half<'_>, Half<'_>) + Send + 'static,
) {
    let task = pool.task().on_worker(0).spawn(move || {
        let has_begun = AtomicBool::new(false);
        let stays = || {
            while !has_begun.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        };
        let moves = || {
            has_begun.store(true, Ordering::SeqCst);
            needs();
        };
        waits(&stays, &moves);
    });
    task.join().unwrap();
}

/// Runs `meet` in a pool of two, with each kind of task that needs worker 0.
fn meet_in_one_pool(waits: impl Fn(&WorkerPool, Half<'_>, Half<'_>) + Send + Copy + 'static) {
    within(PATIENCE, move || {
        for needs in [needs_worker_0, needs_all_workers] {
            let pool = pool(2);
            let (needed, inside) = (Arc::clone(&pool), Arc::clone(&pool));
            meet(&pool, move || needs(&needed), move |stays, moves| waits(&inside, stays, moves));
        }
    });
}

/// Runs `meet` where worker 0 of one pool is a guest of another pool, whose worker needs the first
/// pool. A guest is a thread from outside that takes part in a pool's call.
fn meet_in_two_pools(waits: impl Fn(&WorkerPool, Half<'_>, Half<'_>) + Send + Copy + 'static) {
    within(PATIENCE, move || {
        for needs in [needs_worker_0, needs_all_workers] {
            let (home, other) = (pool(1), pool(2));
            let needed = Arc::clone(&home);
            meet(&home, move || needs(&needed), move |stays, moves| waits(&other, stays, moves));
        }
    });
}

/// Joins the handle of a closure that another thread is running by then.
fn join_the_handle(pool: &WorkerPool, stays: Half<'_>, moves: Half<'_>) {
    pool.scope(|s| {
        let handle = s.spawn(moves);
        stays();
        handle.join().unwrap();
    });
}

#[test]
fn a_scopes_handle() {
    meet_in_one_pool(join_the_handle);
}

#[test]
fn a_scopes_handle_in_an_item_of_a_loop() {
    meet_in_one_pool(|pool, stays, moves| {
        pool.for_each(0..1, |_| join_the_handle(pool, stays, moves))
    });
}

#[test]
fn a_scopes_handle_in_the_second_half_of_a_join() {
    meet_in_one_pool(|pool, stays, moves| {
        pool.join(|| (), || join_the_handle(pool, stays, moves));
    });
}

#[test]
fn a_scopes_handle_in_a_closure_that_is_installed() {
    meet_in_one_pool(|pool, stays, moves| pool.install(|| join_the_handle(pool, stays, moves)));
}

/// The closure that moved to worker 1 spawns another closure into the same scope. Worker 0 runs
/// that closure while it waits for the scope.
#[test]
fn a_scopes_handle_in_a_closure_that_moved() {
    within(PATIENCE, || {
        let pool = pool(2);
        let inside = Arc::clone(&pool);
        let task = pool.task().on_worker(0).spawn(move || {
            let (outer, inner) = (AtomicBool::new(false), AtomicBool::new(false));
            let until = |begun: &AtomicBool| {
                while !begun.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
            };
            inside.scope(|s| {
                s.spawn(|| {
                    outer.store(true, Ordering::SeqCst);
                    let handle = s.spawn(|| {
                        inner.store(true, Ordering::SeqCst);
                        assert_eq!(inside.task().on_worker(1).spawn(|| 7).join().unwrap(), 7);
                    });
                    until(&inner);
                    handle.join().unwrap();
                });
                until(&outer);
            });
        });
        task.join().unwrap();
    });
}

#[test]
fn a_scopes_handle_on_another_pool() {
    meet_in_two_pools(join_the_handle);
}

#[test]
fn a_join_on_another_pool() {
    meet_in_two_pools(|pool, stays, moves| {
        pool.join(stays, moves);
    });
}

#[test]
fn a_scope_on_another_pool() {
    meet_in_two_pools(|pool, stays, moves| {
        pool.scope(|s| {
            s.spawn(moves);
            stays();
        });
    });
}

#[test]
fn a_loop_on_another_pool() {
    meet_in_two_pools(|pool, stays, moves| {
        pool.for_each(&[stays, moves], |half| half());
    });
}

#[test]
fn a_join_inside_a_join_on_another_pool() {
    meet_in_two_pools(|pool, stays, moves| {
        pool.join(|| pool.join(stays, moves), || ());
    });
}

/// Worker 0 of one pool waits for a closure on the other pool, whose worker is a guest of the first
/// pool.
#[test]
fn a_join_on_another_pool_in_a_closure_that_is_installed_there() {
    within(PATIENCE, || {
        // Three workers: one gives its core to the guest, in effect, and one comes and helps.
        let (home, other) = (pool(3), pool(1));
        let (inner_home, inner_other) = (Arc::clone(&home), Arc::clone(&other));
        let task = home.task().on_worker(0).spawn(move || {
            // Its worker takes the task, so it does not run in place.
            let begun = Gate::default();
            let (begins, needed) = (begun.clone(), Arc::clone(&inner_other));
            let inside = inner_other.spawn(move || {
                begins.open();
                let has_begun = AtomicBool::new(false);
                inner_home.join(
                    || {
                        while !has_begun.load(Ordering::SeqCst) {
                            thread::yield_now();
                        }
                    },
                    || {
                        has_begun.store(true, Ordering::SeqCst);
                        needs_worker_0(&needed);
                    },
                );
            });
            begun.wait();
            inside.join().unwrap();
        });
        task.join().unwrap();
    });
}

/// A task of another pool that runs in place is a guest's work in that pool.
#[test]
fn a_join_in_a_task_of_another_pool_that_runs_in_place() {
    within(PATIENCE, || {
        let (home, other) = (pool(1), pool(2));
        let needed = Arc::clone(&home);
        let waits = home.task().on_worker(0).spawn(move || {
            // Only this thread can run the task: the other pool's workers come free only when it
            // has begun.
            let busy = occupy(&other, 2);
            let inside = Arc::clone(&other);
            let task = other.spawn(move || {
                busy.release();
                let has_begun = AtomicBool::new(false);
                let stays = || {
                    while !has_begun.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                };
                let moves = || {
                    has_begun.store(true, Ordering::SeqCst);
                    needs_worker_0(&needed);
                };
                inside.join(stays, moves);
            });
            task.join().unwrap();
        });
        waits.join().unwrap();
    });
}

/// Not only placed tasks: an ordinary task of a pool whose only worker is a guest of another pool.
#[test]
fn a_queued_task_does_not_wait_for_a_guest_of_another_pool() {
    within(PATIENCE, || {
        let (home, other) = (pool(1), pool(2));
        let queues = Arc::clone(&home);
        let needs = move || {
            let (sender, receiver) = mpsc::channel();
            queues.spawn(move || sender.send(7)).detach();
            assert_eq!(receiver.recv(), Ok(7));
        };
        meet(&home, needs, move |stays, moves| {
            other.join(stays, moves);
        });
    });
}

/// Worker 0 waits for a cell that only its own next task changes.
#[test]
fn a_shared_cell() {
    within(PATIENCE, || {
        for timeout in [None, Some(Duration::MAX)] {
            let pool = pool(1);
            let cell = Arc::new(AtomicU32::new(0));
            let (waited, changed) = (Arc::clone(&cell), cell);
            let begun = Gate::default();
            let begins = begun.clone();
            let waits = pool.spawn(move || {
                begins.open();
                shared::wait(&*waited, 0, timeout)
            });
            begun.wait();
            pool.task()
                .on_worker(0)
                .spawn(move || {
                    changed.store(1, Ordering::SeqCst);
                    shared::notify(&*changed, usize::MAX);
                })
                .detach();
            assert_ne!(waits.join().unwrap(), WaitResult::TimedOut);
        }
    });
}

#[test]
fn a_token() {
    within(PATIENCE, || {
        for has_end in [false, true] {
            let pool = pool(1);
            let token = CancelToken::new();
            let waited = token.clone();
            let begun = Gate::default();
            let begins = begun.clone();
            let waits = pool.spawn(move || {
                begins.open();
                if has_end {
                    assert!(waited.wait_timeout(Duration::MAX));
                } else {
                    drop(waited.wait());
                }
            });
            begun.wait();
            pool.task().on_worker(0).spawn(move || token.cancel()).detach();
            waits.join().unwrap();
        }
    });
}

/// Worker 0 waits for room in another pool, whose only worker waits for worker 0.
#[test]
fn room_in_another_pool() {
    within(PATIENCE, || {
        let home = pool(1);
        let other = WorkerPool::builder().workers(1).queue_capacity(0).when_full(WhenFull::Block);
        let other = Arc::new(other.build().unwrap());
        let needed = Arc::clone(&home);
        let waits = home.spawn(move || {
            let begun = Gate::default();
            let begins = begun.clone();
            let first = other.spawn(move || {
                begins.open();
                needs_worker_0(&needed);
            });
            begun.wait();
            // Enough tasks to fill the queue, and more.
            let more: Vec<_> = (0..4).map(|n| other.spawn(move || n)).collect();
            first.join().unwrap();
            more.into_iter().map(|task| task.join().unwrap()).sum::<i32>()
        });
        assert_eq!(waits.join().unwrap(), 6);
    });
}

/// Worker 0 waits for the end of another pool, whose task waits for worker 0.
fn end_another_pool(end: impl Fn(WorkerPool) + Send + 'static) {
    within(PATIENCE, || {
        let home = pool(1);
        let needed = Arc::clone(&home);
        let waits = home.spawn(move || {
            let other = WorkerPool::with_workers(1).unwrap();
            let begun = Gate::default();
            let begins = begun.clone();
            let mut task = other.spawn(move || {
                begins.open();
                needs_worker_0(&needed);
            });
            begun.wait();
            end(other);
            task.try_join().expect("the pool has ended").unwrap();
        });
        waits.join().unwrap();
    });
}

#[test]
fn the_shutdown_of_another_pool() {
    end_another_pool(|other| other.shutdown());
}

#[test]
fn the_shutdown_with_a_limit_of_another_pool() {
    end_another_pool(|other| {
        let report = other.shutdown_timeout(Duration::MAX);
        assert!(report.is_clean(), "{report}");
    });
}

#[test]
fn the_drop_of_another_pool() {
    end_another_pool(drop);
}

/// Worker 0 waits until another pool is built, whose hook waits for worker 0.
#[test]
fn the_build_of_another_pool() {
    within(PATIENCE, || {
        let home = pool(1);
        let needed = Arc::clone(&home);
        let waits = home.spawn(move || {
            let builder = WorkerPool::builder().workers(1);
            let other = builder.on_worker_start(move |_| needs_worker_0(&needed)).build().unwrap();
            other.spawn(|| 7).join().unwrap()
        });
        assert_eq!(waits.join().unwrap(), 7);
    });
}
