//! A process that ends while tasks run: with the code it was given, and at once.

use std::mem;
use std::process::ExitStatus;
use std::sync::mpsc::{self, Sender};

use corepool::{TaskHandle, WorkerPool};

use crate::child;

/// Tasks that never end by themselves; they run when this returns.
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
    // And some that wait for ever.
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

#[test]
fn main_returns_while_the_global_pool_works() {
    if child::is_child() {
        mem::forget(endless(WorkerPool::global()));
        mem::forget(corepool::spawn(|| 1));
        // The test passes, so the harness returns from main.
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
