//! A fork copies the pool but not its workers: the child must get an error, and never hang.

use std::future::Future;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use corepool::cancel::CancelReason;
use corepool::metrics::WorkerState;
use corepool::{CancelToken, TaskError, TaskHandle, TaskSet, WorkerInfo, WorkerPool};

use crate::child;

/// Runs the closure in a fork of this process, which has only the calling thread.
///
/// Returns its exit code, or `None` if it hung and an alarm ended it.
fn in_fork(body: impl FnOnce() -> i32) -> Option<i32> {
    // SAFETY: this test is about what the child does with its copy of the pool. The child leaves by
    // `_exit`, so it never returns into the harness.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: `alarm` has no preconditions. Its signal is not handled, so it ends a child that
        // hangs.
        unsafe { libc::alarm(45) };
        let code = body();
        // SAFETY: `_exit` has no preconditions.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is a local variable, valid for writes.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
}

/// A pool whose workers sleep.
fn quiet_pool() -> WorkerPool {
    let pool = WorkerPool::with_workers(2).unwrap();
    pool.spawn(|| 1).join().unwrap();
    until_parked(&pool);
    pool
}

fn until_parked(pool: &WorkerPool) {
    let is_awake = |worker: &WorkerInfo| worker.state != WorkerState::Parked;
    while pool.workers().iter().any(is_awake) {
        std::thread::yield_now();
    }
}

/// Runs the closure in a fork with a copy of a pool, then checks that the parent's pool still
/// works.
fn with_forked(body: impl FnOnce(WorkerPool) -> i32) {
    let mut pool = Some(quiet_pool());
    let ended = in_fork(|| body(pool.take().expect("the child has a copy")));
    let pool = pool.expect("the parent has its own");
    assert_eq!(pool.spawn(|| 2).join().unwrap(), 2);
    drop(pool);
    assert_eq!(ended, Some(0), "the forked child hangs");
}

fn ended_without_a_value<T>(task: TaskHandle<T>) -> i32 {
    i32::from(task.join().is_ok())
}

#[test]
fn a_forked_child_drops_the_pool() {
    if child::is_child() {
        return with_forked(|pool| {
            drop(pool);
            0
        });
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_forked_child_shuts_the_pool_down() {
    if child::is_child() {
        return with_forked(|pool| {
            pool.shutdown();
            0
        });
    }
    child::run_again(|_| {}).expect_success();
}

/// Another thread uses the pool all the time, and may hold any of its locks at the moment of the
/// fork. Such a lock is never released in the child.
#[test]
fn a_forked_child_ends_a_pool_that_was_busy() {
    if child::is_child() {
        let pool = quiet_pool();
        let over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    pool.spawn(|| ()).join().unwrap();
                }
            });
            let failed = (0..5).cycle().take(400).find(|way| {
                let ended = in_fork(|| {
                    match way {
                        0 => pool.close(),
                        1 => pool.shutdown(),
                        2 => pollster::block_on(pool.shutdown_async()),
                        3 => drop(pool.shutdown_timeout(Duration::from_millis(5))),
                        // SAFETY: the parent's pool is another one, and this copy is not used
                        // again.
                        _ => drop(unsafe { std::ptr::read(&raw const pool) }),
                    }
                    i32::from(!pool.is_closed())
                });
                ended != Some(0)
            });
            over.store(true, Ordering::SeqCst);
            assert_eq!(failed, None, "this way to end it hangs in a forked child");
        });
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_forked_child_awaits_the_shutdown() {
    if child::is_child() {
        return with_forked(|pool| {
            pollster::block_on(pool.shutdown_async());
            i32::from(!pool.is_closed())
        });
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_forked_child_awaits_what_the_parent_began() {
    if child::is_child() {
        let pool = quiet_pool();
        let (gate, wait) = std::sync::mpsc::channel::<()>();
        let held = pool.spawn(move || wait.recv());
        let mut ending = Some(pool.shutdown_async());
        let ended = in_fork(|| {
            pollster::block_on(ending.take().expect("the child has a copy"));
            0
        });
        drop(gate);
        let _released = held.join();
        pollster::block_on(ending.expect("the parent has its own"));
        assert_eq!(ended, Some(0), "the forked child hangs");
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_forked_child_shuts_the_pool_down_with_a_limit() {
    if child::is_child() {
        return with_forked(|pool| {
            drop(pool.shutdown_timeout(Duration::from_millis(20)));
            std::mem::forget(pool);
            0
        });
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_forked_child_spawns_and_joins() {
    if child::is_child() {
        return with_forked(|pool| {
            let code = ended_without_a_value(pool.spawn(|| 3));
            std::mem::forget(pool);
            code
        });
    }
    child::run_again(|_| {}).expect_success();
}

/// Nobody gives a place back there, and nobody tells a future that already stands in line.
#[test]
fn a_forked_child_waits_for_no_room() {
    if child::is_child() {
        let pool = WorkerPool::builder().workers(1).queue_capacity(0).build().unwrap();
        pool.spawn(|| 1).join().unwrap();
        until_parked(&pool);
        let permit = pool.try_reserve().unwrap();
        let mut in_line = Box::pin(pool.reserve());
        assert!(in_line.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let ended = in_fork(|| {
            let new = pollster::block_on(pool.reserve()).is_ok();
            let old = pollster::block_on(in_line.as_mut()).is_ok();
            i32::from(new || old)
        });
        drop(permit);
        assert!(pollster::block_on(in_line).is_ok(), "the parent has its place in the line");
        assert_eq!(ended, Some(0), "the forked child hangs, or got a permit");
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// The pair is settled by the child itself, and the task behind it by nobody.
#[test]
fn a_forked_childs_set_finds_what_is_lost_behind_a_pair() {
    if child::is_child() {
        let pool = quiet_pool();
        let (gate, wait) = std::sync::mpsc::channel::<()>();
        let (completer, handle) = corepool::handle::pair();
        let mut completer = Some(completer);
        let mut set = TaskSet::new();
        set.push(handle);
        set.push(pool.spawn(move || u32::from(wait.recv().is_err())));
        let ended = in_fork(|| {
            let lost = matches!(set.next(), Some(Err(TaskError::Lost)));
            completer.take().expect("the child has a copy").complete(7);
            i32::from(!lost || !matches!(set.next(), Some(Ok(7))))
        });
        drop(gate);
        completer.take().expect("the parent has its own").complete(7);
        let mut results: Vec<_> = set.map(Result::unwrap).collect();
        results.sort_unstable();
        assert_eq!(results, [1, 7]);
        assert_eq!(ended, Some(0), "the forked child hangs, or misses a result");
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_forked_child_makes_a_pool_of_its_own() {
    if child::is_child() {
        return with_forked(|pool| {
            std::mem::forget(pool);
            let own = WorkerPool::with_workers(2).unwrap();
            let code = i32::from(own.spawn(|| 4).join().ok() != Some(4));
            drop(own);
            code
        });
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_forked_child_that_leaves_the_pool_alone_is_fine() {
    if child::is_child() {
        return with_forked(|pool| {
            let looks = pool.metrics().completed;
            std::mem::forget(pool);
            i32::from(looks != 1)
        });
    }
    child::run_again(|_| {}).expect_success();
}

/// The timer's thread stays in the parent, so the child's deadlines need a thread of its own.
#[test]
fn a_forked_child_has_deadlines_of_its_own() {
    if child::is_child() {
        let soon = Duration::from_millis(5);
        let far = CancelToken::with_timeout(Duration::from_secs(3600));
        assert_eq!(CancelToken::with_timeout(soon).wait(), CancelReason::DeadlinePassed);
        let mut copy = Some(far.clone());
        let ended = in_fork(|| {
            let rings = CancelToken::with_timeout(soon).wait() == CancelReason::DeadlinePassed;
            let nested =
                in_fork(|| i32::from(!CancelToken::with_timeout(soon).wait_timeout(Duration::MAX)));
            // A copy of the parent's token can be dropped, although its thread is not here.
            drop(copy.take());
            i32::from(!rings || nested != Some(0))
        });
        assert_eq!(ended, Some(0), "the forked child hangs");
        assert!(!far.is_cancelled());
        assert_eq!(far.child_with_timeout(soon).wait(), CancelReason::DeadlinePassed);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// A worker that forks continues in the child, and takes what it finds in the queues there.
#[test]
fn a_closure_that_was_installed_in_a_forked_child_runs_once() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    if child::is_child() {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let inner = Arc::clone(&pool);
        let forks = pool.spawn(move || {
            // SAFETY: as in `in_fork`, except that here the child leaves by a task that it spawns.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: `alarm` has no preconditions. Its signal is not handled, so it ends a
                // child that hangs.
                unsafe { libc::alarm(45) };
                let other = Arc::clone(&inner);
                let leave = || {
                    let code = i32::from(RUNS.load(Ordering::SeqCst) != 1);
                    // SAFETY: `_exit` has no preconditions.
                    unsafe { libc::_exit(code) }
                };
                let installs = move || {
                    other.install(|| RUNS.fetch_add(1, Ordering::SeqCst));
                    // Queued behind anything that `install` left in the queue.
                    other.spawn(leave).detach();
                };
                std::thread::spawn(installs).join().unwrap();
            }
            child
        });
        let child = forks.join().unwrap();
        let mut status = 0;
        // SAFETY: `status` is a local variable, valid for writes.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status}");
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Case 73. What the parent's workers run at the moment of the fork does not run in the child. It
/// is lost there, and only there.
#[test]
fn a_fork_loses_what_the_parents_workers_run() {
    if child::is_child() {
        let pool = Arc::new(quiet_pool());
        for inside_a_task in [false, true] {
            let (opens, gate) = std::sync::mpsc::channel::<()>();
            let (begins, begun) = std::sync::mpsc::channel();
            let mut runs = Some(pool.spawn(move || {
                begins.send(()).unwrap();
                gate.recv().is_err()
            }));
            begun.recv().unwrap();
            let forks = move || {
                let ended = in_fork(|| match runs.take().unwrap().join() {
                    Err(TaskError::Lost) => 0,
                    other => {
                        println!("{other:?}");
                        1
                    }
                });
                (ended, runs)
            };
            let (ended, runs) = if inside_a_task { pool.install(forks) } else { forks() };
            assert_eq!(ended, Some(0), "inside a task: {inside_a_task}");
            drop(opens);
            assert!(runs.unwrap().join().unwrap(), "the parent has it");
        }
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// What a fork of a worker's thread does. The function returns whether the result was right.
type InTask = (&'static str, fn(&WorkerPool) -> bool);

/// On a copy of a worker's thread every call returns, although not always with the parent's result.
const IN_TASK: &[InTask] = &[
    ("leaves the pool alone", |_| true),
    ("asks", |pool| pool.is_current() && pool.workers().len() == 2),
    ("spawns", |pool| {
        pool.spawn(|| 3).detach();
        true
    }),
    // The only thread that exists may run the task in place.
    ("spawns and joins", |pool| pool.spawn(|| 3).join().map_or(true, |value| value == 3)),
    ("joins two", |_| corepool::join(|| 1, || 2) == (1, 2)),
    ("maps", |_| corepool::map(0..1_000, |n| n).len() == 1_000),
    ("opens a scope", |_| {
        let sum = AtomicU64::new(0);
        corepool::scope(|scope| {
            (1..=10).for_each(|n| {
                drop(scope.spawn({
                    let sum = &sum;
                    move || sum.fetch_add(n, Ordering::SeqCst)
                }))
            });
        });
        sum.into_inner() == 55
    }),
    ("blocks", |_| corepool::blocking(|| 4) == 4),
    ("installs", |pool| pool.install(|| 5) == 5),
    ("cancels", |pool| {
        let task = pool.spawn(|| 6);
        task.cancel();
        task.join().map_or(true, |value| value == 6)
    }),
    ("shuts down", |pool| {
        pool.shutdown();
        pool.is_closed()
    }),
    ("shuts down with a limit", |pool| {
        drop(pool.shutdown_timeout(Duration::from_millis(20)));
        pool.is_closed()
    }),
    ("makes a pool of its own", |_| {
        let own = WorkerPool::with_workers(2).unwrap();
        own.spawn(|| 7).join().is_ok_and(|value| value == 7)
    }),
];

/// Case 73.
#[test]
fn a_fork_inside_a_task_has_an_answer_for_everything() {
    if child::is_child() {
        let pool = Arc::new(quiet_pool());
        for &(what, body) in IN_TASK {
            let inner = Arc::clone(&pool);
            let task = pool.spawn(move || in_fork(|| i32::from(!body(&inner))));
            assert_eq!(task.join().unwrap(), Some(0), "{what}");
        }
        assert_eq!(pool.spawn(|| 2).join().unwrap(), 2);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Case 73. The parent's closures go on; the child, which must not leave the scope, exits.
#[test]
fn a_fork_in_a_scope_leaves_the_parents_closures_alone() {
    if child::is_child() {
        let pool = quiet_pool();
        let sum = AtomicU64::new(0);
        let forked = pool.scope(|scope| {
            for n in 0..1_000 {
                let sum = &sum;
                drop(scope.spawn(move || sum.fetch_add(n, Ordering::SeqCst)));
            }
            (0..5).map(|_| in_fork(|| 0)).collect::<Vec<_>>()
        });
        assert_eq!(forked, [Some(0); 5]);
        assert_eq!(sum.into_inner(), 999 * 500);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

/// Forks from many workers at once, while the other threads hold arbitrary locks: each child can
/// run another program.
#[test]
fn tasks_on_many_workers_run_programs_at_once() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(8).unwrap();
        let echo = |n: u32| {
            let output = Command::new("/bin/echo").arg(n.to_string()).output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap().trim().parse::<u32>().unwrap()
        };
        // By `posix_spawn`, and by a fork with a closure before the `exec`.
        let forks = |n: u32| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "exit $0", &(n % 50).to_string()]);
            // SAFETY: the closure does nothing between fork and exec.
            unsafe { command.pre_exec(|| Ok(())) };
            command.status().unwrap().code().unwrap()
        };
        let tasks: Vec<_> = (0..100_u32)
            .map(|n| pool.spawn(move || (echo(n), corepool::blocking(|| forks(n)))))
            .collect();
        for (n, task) in (0..).zip(tasks) {
            let code = i32::try_from(n % 50).unwrap();
            assert_eq!(task.join().unwrap(), (n, code));
        }
        return;
    }
    child::run_again(|_| {}).expect_success();
}
