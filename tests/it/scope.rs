//! Any number of closures on borrowed data: each runs once, before the scope ends, wherever it was
//! spawned.

mod contents;
mod handles;
mod long;
mod nesting;
mod panics;
mod random;
mod taken;
mod threads;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use corepool::parallel::ScopedHandle;
use corepool::{Scope, WorkerPool};

use crate::support::{Gate, PATIENCE, occupy, until, within};

/// The numbers of workers that are tested: one, as many as this machine has cores, and far more.
const WORKERS: [usize; 4] = [1, 2, 8, 16];

/// Calls `test` with pools of all sizes, from outside and on one of the workers.
fn everywhere(test: impl Fn(&WorkerPool) + Sync) {
    for workers in WORKERS {
        let pool = WorkerPool::with_workers(workers).unwrap();
        test(&pool);
        pool.install(|| test(&pool));
        pool.shutdown();
        test(&pool);
    }
}

/// Far more than a worker needs to wake up.
const SOME_TIME: Duration = Duration::from_micros(300);

fn work(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Waits until the condition holds. Now and then it checks for hungry workers (workers that look
/// for work), so that what this thread spawned is offered even if no worker was hungry before.
fn until_taken(pool: &WorkerPool, mut holds: impl FnMut() -> bool) {
    until(|| {
        pool.join(|| (), || ());
        holds()
    });
}

/// Starts a closure on another thread. The closure waits there for the gate before it runs.
fn start_elsewhere<'scope, R: Send + 'scope>(
    pool: &WorkerPool,
    s: &'scope Scope<'scope, '_>,
    gate: &Gate,
    closure: impl FnOnce() -> R + Send + 'scope,
) -> ScopedHandle<'scope, R> {
    let (starting, started) = mpsc::channel();
    let gate = gate.clone();
    let handle = s.spawn(move || {
        starting.send(()).expect("it is waited for");
        gate.wait();
        closure()
    });
    until_taken(pool, || started.try_recv().is_ok());
    handle
}

/// A pool that can wait until its workers sleep.
#[cfg(target_os = "linux")]
struct Watched {
    pool: WorkerPool,
    threads: Arc<Mutex<Vec<libc::pid_t>>>,
}

#[cfg(target_os = "linux")]
impl Watched {
    fn new(workers: usize) -> Self {
        let threads = Arc::new(Mutex::new(Vec::new()));
        let started = Arc::clone(&threads);
        let builder = WorkerPool::builder().workers(workers).on_worker_start(move |_| {
            started.lock().unwrap().push(crate::support::thread_number());
        });
        let pool = builder.build().unwrap();
        until(|| threads.lock().unwrap().len() == workers);
        Self { pool, threads }
    }

    /// Waits until all workers sleep, except the calling thread. What is spawned then is offered at
    /// once.
    fn until_hungry(&self) {
        for thread in self.threads.lock().unwrap().iter().copied() {
            if thread != crate::support::thread_number() {
                crate::support::until_asleep(thread);
            }
        }
    }
}

#[test]
fn closures_have_run_when_the_scope_returns() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let words = [String::from("a"), String::from("few"), String::from("words")];
            let mut lengths = vec![0; words.len()];
            let letters = AtomicUsize::new(0);
            pool.scope(|s| {
                for (word, length) in words.iter().zip(&mut lengths) {
                    s.spawn(|| {
                        *length = word.len();
                        letters.fetch_add(word.len(), Ordering::Relaxed);
                    });
                }
            });
            assert_eq!((lengths, letters.into_inner()), (vec![1, 3, 5], 9));
        });
    });
}

#[test]
fn a_scope_gives_what_its_body_gives() {
    within(PATIENCE, || {
        everywhere(|pool| {
            assert_eq!(pool.scope(|_| "nothing was spawned"), "nothing was spawned");
            let text = String::from("borrowed");
            let part: &str = pool.scope(|s| {
                s.spawn(|| text.len());
                &text[..3]
            });
            assert_eq!(part, "bor");
            let own = pool.scope(|s| vec![s.spawn(|| text.len()).join().unwrap()]);
            assert_eq!(own, [8]);
        });
    });
}

#[test]
fn a_hundred_thousand_closures_run_once_each() {
    within(PATIENCE * 3, || {
        everywhere(|pool| {
            // Under noise each closure is a hundred times as expensive.
            let many = if cfg!(corepool_chaos) { 20_000 } else { 100_000 };
            let runs: Vec<_> = (0..many).map(|_| AtomicUsize::new(0)).collect();
            pool.scope(|s| {
                for run in &runs {
                    s.spawn(|| run.fetch_add(1, Ordering::Relaxed));
                }
            });
            assert!(runs.into_iter().all(|run| run.into_inner() == 1));
        });
    });
}

/// They run as calls would, so a tree of closures needs memory for one path down, not for a whole
/// level.
#[test]
fn of_closures_that_nobody_takes_the_newest_runs_first() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        pool.install(|| {
            let order = Mutex::new(Vec::new());
            let note = |number| order.lock().unwrap().push(number);
            pool.scope(|s| {
                for number in 0..1_000 {
                    s.spawn(move || {
                        note(number);
                        // This runs before all closures that wait.
                        s.spawn(move || note(1_000 + number));
                    });
                }
                note(-1);
            });
            let newest_first = (0..1_000).rev().flat_map(|number| [number, 1_000 + number]);
            let expected: Vec<_> = [-1].into_iter().chain(newest_first).collect();
            assert_eq!(order.into_inner().unwrap(), expected);
        });
    });
}

/// Case 36. The body and each closure hold the lock while they spawn; each closure needs it.
#[test]
fn a_lock_may_be_held_while_spawning_what_wants_it() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let count = Mutex::new(0);
            pool.scope(|s| {
                let held = count.lock().unwrap();
                for _ in 0..500 {
                    s.spawn(|| {
                        let mut held = count.lock().unwrap();
                        *held += 1;
                        s.spawn(|| *count.lock().unwrap() += 1);
                    });
                }
                drop(held);
            });
            assert_eq!(count.into_inner().unwrap(), 1_000);
        });
    });
}

#[test]
fn spawning_never_runs_the_closure_here_and_now() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let here = thread::current().id();
            let is_over = AtomicBool::new(false);
            pool.scope(|s| {
                for _ in 0..1_000 {
                    s.spawn(|| {
                        assert!(is_over.load(Ordering::SeqCst) || thread::current().id() != here);
                    });
                }
                is_over.store(true, Ordering::SeqCst);
            });
        });
    });
}

/// Two closures of new types that wait for each other, so a worker must come at once. `NUMBER`
/// gives each caller its own types.
#[cfg(target_os = "linux")]
fn pair<const NUMBER: usize>(watched: &Watched) {
    let both = Barrier::new(2);
    watched.until_hungry();
    watched.pool.scope(|s| {
        s.spawn(|| both.wait());
        s.spawn(|| both.wait());
    });
    // The body is one of the two.
    watched.until_hungry();
    watched.pool.scope(|s| {
        s.spawn(|| both.wait());
        both.wait();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn closures_that_may_be_heavy_are_offered_at_once() {
    within(PATIENCE, || {
        for _ in 0..20 {
            let watched = Watched::new(2);
            // What a thread has learned about types ends with the thread.
            thread::scope(|threads| drop(threads.spawn(|| pair::<0>(&watched))));
            watched.pool.install(|| pair::<1>(&watched));
        }
    });
}

/// Case 52: closures of a second each would leave workers idle for seconds.
#[test]
#[cfg(target_os = "linux")]
fn as_many_heavy_closures_as_workers_run_at_once() {
    within(PATIENCE, || {
        let watched = Watched::new(4);
        let together = Barrier::new(4);
        watched.until_hungry();
        watched.pool.scope(|s| {
            for _ in 0..4 {
                s.spawn(|| together.wait());
            }
        });
    });
}

#[test]
fn the_free_function_uses_the_pool_that_runs_the_caller() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(2).thread_name(|id| format!("own-{id}")).build();
        let pool = pool.unwrap();
        let gate = Gate::default();
        let mut names = pool.install(|| {
            let name = || thread::current().name().map(str::to_owned);
            let elsewhere = corepool::scope(|s| {
                start_elsewhere(&pool, s, &opened(&gate), name).join().unwrap()
            });
            [name(), elsewhere].map(Option::unwrap_or_default)
        });
        names.sort();
        assert_eq!(names, ["own-0", "own-1"]);
        // Elsewhere it uses the global pool.
        assert_eq!(corepool::scope(|s| s.spawn(|| 7).join().unwrap()), 7);
    });
}

fn opened(gate: &Gate) -> Gate {
    gate.open();
    gate.clone()
}

#[test]
fn many_threads_open_scopes_on_one_pool() {
    within(PATIENCE * 3, || {
        for workers in WORKERS {
            let pool = WorkerPool::with_workers(workers).unwrap();
            thread::scope(|threads| {
                for _ in 0..8 {
                    threads.spawn(|| {
                        for round in 0..100 {
                            let count = AtomicUsize::new(0);
                            pool.scope(|s| {
                                for _ in 0..round {
                                    s.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                                }
                            });
                            assert_eq!(count.into_inner(), round);
                        }
                    });
                }
            });
        }
    });
}

#[test]
fn a_scope_does_without_workers_that_are_busy() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let _busy = occupy(&pool, 2);
        let here = thread::current().id();
        pool.scope(|s| {
            for _ in 0..1_000 {
                s.spawn(|| assert_eq!(thread::current().id(), here));
            }
        });
    });
}
