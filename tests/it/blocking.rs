//! A worker that waits lends its core: queued work continues on a bounded number of spare workers
//! (temporary stand-ins), which are retired again.

mod corners;
mod lenders;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use corepool::events::ExitReason;
use corepool::{Dispatch, PoolEvent, TaskError, WorkerId, WorkerPool, blocking};

use crate::support::{Gate, PATIENCE, until, within};

const WAYS: [Dispatch; 2] = [Dispatch::FreeWorker, Dispatch::RoundRobin];

#[test]
fn a_task_that_blocks_lets_others_run() {
    within(PATIENCE, || {
        for dispatch in WAYS {
            let pool = WorkerPool::builder().workers(1).dispatch(dispatch).build().unwrap();
            for n in 0..100 {
                let (sender, receiver) = mpsc::channel();
                let waits = pool.spawn(move || blocking(|| receiver.recv().unwrap()));
                pool.spawn(move || sender.send(n).unwrap()).detach();
                assert_eq!(waits.join().unwrap(), n);
            }
        }
    });
}

#[test]
fn work_that_was_queued_before_is_taken_up_too() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (sender, receiver) = mpsc::channel();
        let (first, second) = (Gate::default(), Gate::default());
        let (held, reached) = (first.clone(), second.clone());
        let waits = pool.spawn(move || {
            reached.open();
            held.wait();
            blocking(|| receiver.recv().unwrap())
        });
        second.wait();
        pool.spawn(move || sender.send("queued before").unwrap()).detach();
        first.open();
        assert_eq!(waits.join().unwrap(), "queued before");
    });
}

#[test]
fn a_task_that_joins_one_that_runs_elsewhere_lends_its_core() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        let gate = Gate::default();
        let (held, inner) = (gate.clone(), Arc::clone(&pool));
        let outer = pool.spawn(move || {
            let (running, started) = mpsc::channel();
            let other = inner.spawn(move || {
                running.send(()).unwrap();
                held.wait();
                7
            });
            started.recv().unwrap();
            other.join().unwrap()
        });
        // Both workers wait now or soon will. This task runs anyway and ends their wait.
        pool.spawn(move || gate.open()).join().unwrap();
        assert_eq!(outer.join().unwrap(), 7);
    });
}

#[test]
fn tasks_placed_on_one_anothers_workers_do_not_wait_for_ever() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        for _ in 0..50 {
            let outer = [0, 1].map(|here| {
                let inner = Arc::clone(&pool);
                pool.task().on_worker(here).spawn(move || {
                    let there = inner.task().on_worker(1 - here).spawn_with(|cx| cx.worker());
                    there.join().unwrap().is_some()
                })
            });
            for task in outer {
                assert!(task.join().unwrap());
            }
        }
    });
}

#[test]
fn a_spare_worker_does_the_own_tasks_of_the_one_that_waits() {
    within(PATIENCE, || {
        for dispatch in WAYS {
            let pool = WorkerPool::builder().workers(2).dispatch(dispatch).build().unwrap();
            let (sender, receiver) = mpsc::channel();
            let waits = pool.task().on_worker(1).spawn(move || {
                blocking(|| {
                    let sum: i32 = (0..10).map(|_| receiver.recv().unwrap()).sum();
                    sum
                })
            });
            for n in 0..10 {
                let sender = sender.clone();
                pool.task().on_worker(1).spawn(move || sender.send(n).unwrap()).detach();
            }
            assert_eq!(waits.join().unwrap(), 45);
        }
    });
}

/// Starts tasks that all block, waits until as many as possible have started, and returns how many
/// run at once.
fn most_at_once(spares: usize) -> usize {
    let pool = WorkerPool::builder().workers(1).spare_workers(spares).build().unwrap();
    let gate = Gate::default();
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..spares + 3)
        .map(|_| {
            let (gate, inside) = (gate.clone(), Arc::clone(&inside));
            pool.spawn(move || {
                inside.fetch_add(1, Ordering::SeqCst);
                blocking(|| gate.wait());
            })
        })
        .collect();
    until(|| inside.load(Ordering::SeqCst) == spares + 1);
    // No further task starts, however long the test waits.
    std::thread::sleep(Duration::from_millis(20));
    let most = inside.load(Ordering::SeqCst);
    gate.open();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    most
}

#[test]
fn the_number_of_spare_workers_is_bounded() {
    within(PATIENCE, || {
        for spares in [0, 1, 3] {
            assert_eq!(most_at_once(spares), spares + 1);
        }
    });
}

#[test]
fn a_spare_worker_is_shown_hooked_and_retired() {
    within(3 * PATIENCE, || {
        let (said, heard) = mpsc::channel();
        let ended = said.clone();
        let pool = WorkerPool::builder()
            .workers(1)
            .thread_name(|id| format!("w-{id}"))
            .on_worker_start(move |worker| said.send((true, worker.id)).unwrap())
            .on_worker_exit(move |worker| ended.send((false, worker.id)).unwrap())
            .build()
            .unwrap();
        let mut events = pool.events();
        let (sender, receiver) = mpsc::channel();
        let waits = pool.spawn(move || blocking(|| receiver.recv().unwrap()));
        let name = pool.spawn_with(move |cx| {
            let name = std::thread::current().name().map(str::to_owned);
            (cx.worker(), name)
        });
        let spare = WorkerId::from(1);
        let stands_in_for = Some(WorkerId::from(0));
        assert_eq!(name.join().unwrap(), (stands_in_for, Some("w-1".to_owned())));
        assert_eq!((pool.workers().len(), pool.spare_workers().len()), (1, 1));
        let metrics = pool.metrics();
        assert_eq!(metrics.spare_workers[0].tasks_run, 1);
        assert!(metrics.to_string().contains("1 (spare) "), "{metrics}");
        let cores = (pool.workers()[0].core, pool.spare_workers()[0].core);
        // The spare worker may be let loose (allowed on other cores) if other threads have the
        // core.
        let is_there = cores.0 == cores.1 || pool.metrics().let_loose > 0;
        assert!(is_there, "it is on the core that is lent: {cores:?}");
        sender.send(()).unwrap();
        waits.join().unwrap();
        let exited = |event| match event {
            PoolEvent::WorkerExited { worker, reason, .. } => Some((worker, reason)),
            _ => None,
        };
        let first_exit = events.by_ref().find_map(exited);
        assert_eq!(first_exit, Some((spare, ExitReason::NotNeeded)));
        until(|| pool.spare_workers().is_empty());
        pool.shutdown();
        let said: Vec<_> = heard.try_iter().collect();
        let zero = WorkerId::from(0);
        assert_eq!(said, [(true, zero), (true, spare), (false, spare), (false, zero)]);
    });
}

#[test]
fn the_end_of_a_spare_workers_thread_does_no_harm() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (sender, receiver) = mpsc::channel();
        let waits = pool.spawn(move || blocking(|| receiver.recv().unwrap()));
        for _ in 0..20 {
            let lost = pool.spawn_with(|cx| cx.end_worker());
            assert!(matches!(lost.join(), Err(TaskError::Lost)));
        }
        pool.spawn(move || sender.send(()).unwrap()).detach();
        waits.join().unwrap();
        pool.spawn(|| ()).join().unwrap();
    });
}

#[test]
fn what_a_task_waits_for_still_runs_after_the_pool_was_closed() {
    within(PATIENCE, || {
        for _ in 0..50 {
            let pool = WorkerPool::with_workers(1).unwrap();
            let (sender, receiver) = mpsc::channel();
            let waits = pool.spawn(move || blocking(|| receiver.recv().unwrap()));
            pool.spawn(move || sender.send(1).unwrap()).detach();
            pool.shutdown();
            assert_eq!(waits.join().unwrap(), 1);
        }
    });
}

#[test]
fn a_panic_in_the_closure_takes_the_core_back() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let failed = pool.spawn(|| -> () {
            blocking(|| std::panic::resume_unwind(Box::new("while it waited")));
        });
        assert!(failed.join().unwrap_err().is_panicked());
        assert_eq!(most_at_once(1), 2);
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn outside_a_pool_it_is_a_call() {
    assert_eq!(blocking(|| 3), 3);
}

#[test]
fn tasks_that_block_join_and_spawn_at_random_all_come_to_an_end() {
    within(6 * PATIENCE, || {
        let rounds = if cfg!(any(corepool_chaos, corepool_tsan)) { 300 } else { 3_000 };
        for (workers, spares) in [(1, 1), (2, 2), (4, 8), (2, 0)] {
            for dispatch in WAYS {
                let pool = WorkerPool::builder()
                    .workers(workers)
                    .spare_workers(spares)
                    .dispatch(dispatch)
                    .build()
                    .unwrap();
                let pool = Arc::new(pool);
                let tasks: Vec<_> = (0..rounds)
                    .map(|round: u64| {
                        let inner = Arc::clone(&pool);
                        pool.spawn(move || {
                            if round % 3 == 0 {
                                let nap = Duration::from_micros(round % 90);
                                blocking(|| std::thread::sleep(nap));
                            }
                            let parts: Vec<_> = (0..round % 4)
                                .map(|part| {
                                    let worker = part as usize % workers;
                                    if round % 5 == 0 && workers == 1 {
                                        inner.task().on_worker(worker).spawn(move || part)
                                    } else {
                                        inner.spawn(move || part)
                                    }
                                })
                                .collect();
                            parts.into_iter().map(|part| part.join().unwrap()).sum::<u64>()
                        })
                    })
                    .collect();
                for (round, task) in tasks.into_iter().enumerate() {
                    let parts = round as u64 % 4;
                    assert_eq!(task.join().unwrap(), (0..parts).sum::<u64>());
                }
                pool.shutdown();
                let metrics = pool.metrics();
                assert_eq!(metrics.spawned, metrics.completed);
                assert_eq!(metrics.queue_depth, 0);
            }
        }
    });
}

thread_local! {
    /// Whether a frame of the calling thread belongs to `a_million_calls_…`.
    static CALLS: Cell<bool> = const { Cell::new(false) };
}

/// How many calls each of the four tasks makes. A call takes much longer under the test tools.
const EACH: usize = if cfg!(any(corepool_chaos, corepool_tsan)) { 500 } else { 250_000 };

/// Case 40. A call that ran other tasks would nest them on the caller's stack, and a small stack
/// does not hold many of them.
#[test]
fn a_million_calls_run_nothing_on_the_stack_of_who_calls() {
    within(PATIENCE * 3, || {
        let pool = WorkerPool::builder().workers(1).stack_size(256 << 10).build().unwrap();
        let tasks = [(); 4].map(|()| {
            pool.spawn(|| {
                assert!(!CALLS.replace(true), "it runs on the stack of another one");
                for n in 0..EACH {
                    assert_eq!(blocking(|| n), n);
                }
                CALLS.set(false);
            })
        });
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}
