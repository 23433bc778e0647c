//! A process that exits while tasks run: it ends at once, with the given code.

use std::cell::RefCell;
use std::mem;
use std::process::ExitStatus;
use std::sync::Barrier;
use std::sync::mpsc::{self, Sender};
use std::thread;

use corepool::{TaskHandle, WorkerPool};

use crate::child;

/// Tasks that never end by themselves. All of them are running when this returns.
fn endless(pool: &WorkerPool) -> (Vec<Sender<()>>, Vec<TaskHandle<()>>) {
    let task = |_| {
        let (gate, wait) = mpsc::channel::<()>();
        let (running, runs) = mpsc::channel();
        let task = pool.spawn(move || {
            running.send(()).unwrap();
            let _never = wait.recv();
        });
        runs.recv().unwrap();
        (gate, task)
    };
    let running = pool.workers().iter().map(task).unzip();
    // And some that wait forever.
    (0..100).for_each(|n| pool.spawn(move || n).detach());
    running
}

fn code(status: Option<ExitStatus>) -> Option<i32> {
    status.expect("the child hangs").code()
}

#[test]
fn exit_while_tasks_run_gives_its_code() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(2).unwrap();
        let _running = endless(&pool);
        std::process::exit(42);
    }
    assert_eq!(code(child::run_again(|_| {}).status), Some(42));
}

#[test]
fn exit_inside_a_task_gives_its_code() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(2).unwrap();
        let exits = pool.spawn(|| std::process::exit(43));
        match exits.join() {
            Ok(never) => never,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(code(child::run_again(|_| {}).status), Some(43));
}

/// Exits the process when its thread ends.
struct Exits(i32);

impl Drop for Exits {
    fn drop(&mut self) {
        std::process::exit(self.0);
    }
}

thread_local! {
    static EXITS: RefCell<Option<Exits>> = const { RefCell::new(None) };
}

/// The drop of the pool waits for this very thread, which ends the whole process instead.
#[test]
fn exit_in_a_workers_thread_local_gives_its_code() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(2).unwrap();
        pool.spawn(|| EXITS.set(Some(Exits(44)))).join().unwrap();
        drop(pool);
        panic!("the thread's destructors have run, and the process goes on");
    }
    assert_eq!(code(child::run_again(|_| {}).status), Some(44));
}

#[test]
fn exit_in_an_exit_hook_gives_its_code() {
    if child::is_child() {
        let builder = WorkerPool::builder().workers(2);
        drop(builder.on_worker_exit(|_| std::process::exit(45)).build().unwrap());
        panic!("the hook has run, and the process goes on");
    }
    assert_eq!(code(child::run_again(|_| {}).status), Some(45));
}

/// Closures borrow from a frame that is never returned to; one of them never ends.
#[test]
fn exit_in_a_scope_gives_its_code() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(2).unwrap();
        let both = Barrier::new(2);
        pool.scope(|scope| {
            for _ in 0..2 {
                drop(scope.spawn(|| {
                    if both.wait().is_leader() {
                        std::process::exit(46);
                    }
                    loop {
                        thread::park();
                    }
                }));
            }
        });
    }
    assert_eq!(code(child::run_again(|_| {}).status), Some(46));
}

/// Exit does not wait for running tasks. It runs the `atexit` functions, which may use a pool.
#[test]
fn exit_while_pools_are_used_at_the_end_gives_its_code() {
    extern "C" fn at_exit() {
        // The workers are there until the last moment.
        let right = corepool::spawn(|| 47).join().is_ok_and(|code| code == 47);
        println!("at the end: {right}");
    }
    if child::is_child() {
        // SAFETY: the function exists for as long as the process.
        let failed = unsafe { libc::atexit(at_exit) };
        assert_eq!(failed, 0);
        corepool::spawn(|| 1).join().unwrap();
        std::process::exit(47);
    }
    let ended = child::run_again(|_| {});
    assert!(ended.said.contains("at the end: true"), "{}", ended.said);
    assert_eq!(code(ended.status), Some(47));
}

#[test]
fn main_returns_while_the_global_pool_works() {
    if child::is_child() {
        mem::forget(endless(WorkerPool::global()));
        mem::forget(corepool::spawn(|| 1));
        // The test passes, so the harness returns from `main`.
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn main_returns_while_a_forgotten_pool_works() {
    if child::is_child() {
        let pool = WorkerPool::with_workers(2).unwrap();
        mem::forget(endless(&pool));
        mem::forget(pool);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn the_global_pool_can_be_shut_down_last() {
    if child::is_child() {
        let tasks: Vec<_> = (0..100).map(|n| corepool::spawn(move || n)).collect();
        WorkerPool::global().shutdown();
        assert!(tasks.iter().all(TaskHandle::is_finished));
        assert!(corepool::spawn(|| 1).join().is_err(), "it is closed from then on");
        assert!(WorkerPool::global().is_closed());
        return;
    }
    child::run_again(|_| {}).expect_success();
}
