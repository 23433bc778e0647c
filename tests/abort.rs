//! What works and what ends the process when a panic aborts. `ci/abort.sh` builds this file with
//! `-C panic=abort` and runs each case.

use std::env;
use std::panic;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use corepool::{CancelToken, TaskContext, TaskError, WorkerPool, promise};

/// A case has no result except how the process ends.
type Case = (&'static str, fn());

const CASES: &[Case] = &[
    ("works", works),
    ("task", task),
    ("detached", detached),
    ("half", half),
    ("guests_half", guests_half),
    ("closure", closure),
    ("item", item),
    ("continuation", continuation),
    ("result", result),
    ("cancelled_closure", cancelled_closure),
    ("start_hook", start_hook),
    ("exit_hook", exit_hook),
    ("panic_hook", panic_hook),
    ("end_worker", end_worker),
    ("end_worker_in_place", end_worker_in_place),
];

fn main() {
    if !cfg!(panic = "abort") {
        eprintln!("here panics unwind: ci/abort.sh builds this so that they abort");
        process::exit(2);
    }
    let wanted = env::args().nth(1).unwrap_or_default();
    if wanted == "list" {
        return CASES.iter().for_each(|(name, _)| println!("{name}"));
    }
    let found = CASES.iter().find(|(name, _)| *name == wanted);
    let (_, case) = found.unwrap_or_else(|| panic!("no case `{wanted}`"));
    case();
    println!("still alive");
}

fn pool() -> WorkerPool {
    WorkerPool::with_workers(2).expect("two threads")
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}

/// Panics on drop.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the bomb in drop");
    }
}

/// Everything that involves no panic: tasks, waits, fork-join, tokens, promises, hooks, the end.
fn works() {
    let hooks = Arc::new(AtomicUsize::new(0));
    let (starts, exits) = (Arc::clone(&hooks), Arc::clone(&hooks));
    let builder = WorkerPool::builder().workers(2).queue_capacity(8);
    let builder = builder.on_worker_start(move |_| count(&starts));
    let builder = builder.on_worker_exit(move |_| count(&exits));
    let pool = builder.build().expect("two threads");
    let tasks: Vec<_> = (0..1_000_u64).map(|n| pool.spawn(move || n)).collect();
    assert_eq!(promise::all(tasks).join().expect("none fails"), (0..1_000).collect::<Vec<_>>());
    let nested = pool.spawn(|| corepool::spawn(|| 20).join().expect("a value") + 1);
    assert_eq!(nested.join().expect("a value"), 21);
    assert_eq!(pool.join(|| 1, || 2), (1, 2));
    let sum = AtomicUsize::new(0);
    pool.scope(|scope| {
        (0..100).for_each(|_| drop(scope.spawn(|| count(&sum))));
    });
    assert_eq!(sum.into_inner(), 100);
    assert_eq!(pool.map(&[1, 2, 3], |n| n * 2), [2, 4, 6]);
    let token = CancelToken::new();
    token.cancel();
    let cancelled = pool.task().cancel_token(&token).spawn(|| 1).join();
    assert!(matches!(cancelled, Err(TaskError::Cancelled)), "{cancelled:?}");
    drop(pool);
    assert_eq!(hooks.load(Ordering::SeqCst), 4);
}

fn task() {
    let task = pool().spawn(|| -> () { panic!("the task") });
    let _never = task.join();
}

fn detached() {
    pool().spawn(|| -> () { panic!("the detached task") }).detach();
}

fn half() {
    let task = pool().spawn(|| corepool::join(|| (), || -> () { panic!("the half") }));
    let _never = task.join();
}

fn guests_half() {
    pool().join(|| (), || -> () { panic!("the guest's half") });
}

fn closure() {
    pool().scope(|scope| drop(scope.spawn(|| -> () { panic!("the closure") })));
}

fn item() {
    let items: Vec<u32> = (0..1_000).collect();
    pool().for_each(&items, |&n| assert!(n < 999, "the last item"));
}

fn continuation() {
    let end = pool().spawn(|| 1).then(|_| -> () { panic!("the continuation") });
    let _never = end.join();
}

/// With unwinding this panic is contained, see case 3.
fn result() {
    drop(pool().spawn(|| Bomb));
}

/// With unwinding this panic is contained, see case 4.
fn cancelled_closure() {
    let pool = WorkerPool::with_workers(1).expect("a thread");
    let gate = Arc::new(std::sync::Barrier::new(2));
    let opens = Arc::clone(&gate);
    let held = pool.spawn(move || opens.wait().is_leader());
    let bomb = Bomb;
    let waits = pool.spawn(move || std::mem::forget(bomb));
    waits.cancel();
    gate.wait();
    let _never = held.join();
}

fn start_hook() {
    let hook = |_: &_| panic!("the start hook");
    let _never = WorkerPool::builder().workers(2).on_worker_start(hook).build();
}

fn exit_hook() {
    let hook = |_: &_| panic!("the exit hook");
    drop(WorkerPool::builder().workers(2).on_worker_exit(hook).build());
}

/// The user's hook runs before the process ends, and may use the pool.
fn panic_hook() {
    panic::set_hook(Box::new(|panic| {
        let seen = corepool::spawn(|| 41).join().expect("the other worker is there") + 1;
        eprintln!("the user's hook: {seen}, {panic}");
    }));
    let pool = pool();
    let _never = pool.spawn(|| -> () { panic!("the task") }).join();
}

fn end_worker() {
    let ends = pool().spawn_with(|cx: &TaskContext| -> () { cx.end_worker() });
    let _never = ends.join();
}

fn end_worker_in_place() {
    let outer = WorkerPool::with_workers(1).expect("a thread").spawn(|| {
        let pool = WorkerPool::with_workers(1).expect("a thread");
        drop(pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() }).join());
    });
    let _never = outer.join();
}
