//! A guided tour of the pool, for readers who know Node's `worker_threads`.
//!
//! Each step names its equivalent in Node, runs it, and prints the result:
//!
//! ```text
//! cargo run --example worker_pool
//! ```

use std::cell::RefCell;
use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use corepool::cancel::Cancelled;
use corepool::events::Events;
use corepool::{PoolEvent, TaskContext, TaskError, TaskHandle, WorkerId, WorkerPool};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

type Outcome = Result<(), Box<dyn Error>>;

const USAGE: &str = "\
usage: worker_pool

A guided tour of the pool: each step says what it would be in Node's worker_threads, does it, and
prints what came of it. It takes no arguments.
";
const WORKERS: usize = 2;
/// The name prefix of the tour's workers. The panic hook recognizes the workers by it.
const NAME: &str = "tour-";

thread_local! {
    /// State that each worker keeps from task to task.
    static NOTEBOOK: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn main() -> ExitCode {
    match env::args_os().nth(1) {
        None => {}
        Some(word) if word == "-h" || word == "--help" => {
            // A reader that closes the pipe early has read enough, so ignore a write error.
            let _ = io::stdout().write_all(USAGE.as_bytes());
            return ExitCode::SUCCESS;
        }
        Some(word) => {
            eprintln!("worker_pool: {word:?} is one argument too many (try --help)");
            return ExitCode::from(2);
        }
    }
    match tour() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker_pool: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tour() -> Outcome {
    let pool = workers_with_their_data()?;
    messages_both_ways(&pool)?;
    shared_memory(&pool)?;
    keep_panics_of_tasks_quiet();
    a_task_that_fails(&pool)?;
    cancelling(&pool)?;
    a_worker_that_dies(&pool)?;
    a_bounded_queue()?;
    awaiting(&pool)?;
    shutdown_with_a_deadline()?;
    what_it_all_came_to(pool);
    Ok(())
}

fn step(number: u32, title: &str, in_node: &str) {
    println!("\n{number}. {title}\n   in Node: {in_node}");
}

fn named(workers: usize) -> corepool::PoolBuilder {
    WorkerPool::builder().workers(workers).thread_name(|id| format!("{NAME}{id}"))
}

fn workers_with_their_data() -> Result<WorkerPool, Box<dyn Error>> {
    step(1, "workers, and data for them", "new Worker(file, { workerData })");
    // The hook runs on each worker's thread before its first task. Use it to set up what a worker
    // keeps, such as a compressor, a connection or a scratch buffer.
    let pool = named(WORKERS)
        .on_worker_start(|worker| {
            NOTEBOOK.set(vec![format!("the notebook of {}", worker.thread_name)]);
        })
        .build()?;
    for worker in pool.workers() {
        let core = worker.core.map_or("no core of its own".into(), |core| format!("core {core}"));
        println!("   worker {} is the thread {} on {core}", worker.id, worker.thread_name);
    }
    // What a closure captures is moved to the task. Nothing is cloned or serialized.
    let data = vec![3, 1, 2];
    let sorted = pool.spawn(move || {
        let mut data = data;
        data.sort_unstable();
        (data, NOTEBOOK.with_borrow(|pages| pages.len()))
    });
    let (data, pages) = sorted.join()?;
    println!("   a task sorted {data:?} and found {pages} page in its worker's notebook");
    Ok(pool)
}

fn messages_both_ways(pool: &WorkerPool) -> Outcome {
    step(2, "messages both ways", "worker.postMessage(..), parentPort.on('message', ..)");
    let (ask, questions): (Sender<String>, Receiver<String>) = unbounded();
    let (answer, answers) = unbounded();
    // A task may run as long as it likes. It occupies its worker for that time.
    let service = pool.spawn(move || {
        let mut served = 0;
        for question in questions {
            let reply = format!("{question} backwards is {}", reversed(&question));
            if answer.send(reply).is_err() {
                break;
            }
            served += 1;
        }
        served
    });
    for word in ["stressed", "drawer", "live"] {
        ask.send(word.to_owned())?;
        println!("   {}", answers.recv()?);
    }
    // The service only ends when the last sender is dropped, because that ends its loop.
    drop(ask);
    println!("   the service ended after {} questions", service.join()?);
    Ok(())
}

fn reversed(word: &str) -> String {
    word.chars().rev().collect()
}

fn shared_memory(pool: &WorkerPool) -> Outcome {
    step(3, "shared memory", "new SharedArrayBuffer(8), Atomics.add(..)");
    let counter = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let counter = Arc::clone(&counter);
            pool.spawn(move || {
                for _ in 0..10_000 {
                    // Relaxed is enough: `join` below orders everything the tasks did before it.
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tasks.into_iter().try_for_each(TaskHandle::join)?;
    println!("   4 tasks counted to {} together", counter.load(Ordering::Relaxed));
    Ok(())
}

/// The standard library prints a message for every panic on every thread. On workers nothing is
/// printed, because the handle carries the message anyway. All other threads keep the previous
/// hook.
fn keep_panics_of_tasks_quiet() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !thread::current().name().is_some_and(|name| name.starts_with(NAME)) {
            before(info);
        }
    }));
}

fn a_task_that_fails(pool: &WorkerPool) -> Outcome {
    step(4, "a task that fails", "a promise that rejects");
    let mut events = pool.events();
    let task = pool.task().name("resize").spawn(|| -> u32 { panic!("the image has no pixels") });
    match task.join() {
        Err(TaskError::Panicked(panic)) => println!("   the handle says: {}", panic.message()),
        other => return Err(format!("the task should have panicked: {other:?}").into()),
    }
    // The pool also sends an event for a panic, for tasks whose handle was dropped.
    let told = next_event(&mut events, |event| matches!(event, PoolEvent::TaskPanicked { .. }))?;
    if let PoolEvent::TaskPanicked { task, message, .. } = told {
        println!("   the event says: task {task:?} panicked: {message}");
    }
    println!("   the pool goes on: 6 * 7 = {}", pool.spawn(|| 6 * 7).join()?);
    Ok(())
}

fn cancelling(pool: &WorkerPool) -> Outcome {
    step(5, "cancelling", "an AbortController, if the worker listens to it");
    // All workers are busy, so a further task stays in the queue.
    let (tell, started) = bounded(WORKERS);
    let busy: Vec<TaskHandle<Result<u64, Cancelled>>> = (0..WORKERS)
        .map(|_| {
            let tell = tell.clone();
            pool.spawn_with(move |cx| {
                let _told = tell.send(());
                count_until_cancelled(cx)
            })
        })
        .collect();
    for _ in 0..WORKERS {
        started.recv()?;
    }
    let queued = pool.spawn(|| "never");
    println!("   a queued task was cancelled in time: {}", queued.cancel());
    println!("   its handle says: {}", refusal(queued.join())?);
    for task in busy {
        // Cancelling a running task is only a request. The task checks for it when it likes, and it
        // still returns its own result.
        let in_time = task.cancel();
        println!("   a running one in time: {in_time}; it says: {:?}", task.join()?);
    }
    Ok(())
}

fn count_until_cancelled(cx: &TaskContext) -> Result<u64, Cancelled> {
    let mut counted: u64 = 0;
    while counted < u64::MAX {
        cx.check()?;
        counted += 1;
    }
    Ok(counted)
}

fn a_worker_that_dies(pool: &WorkerPool) -> Outcome {
    step(6, "a worker that dies", "process.exit() inside a worker");
    let mut events = pool.events();
    let task = pool.task().name("spoilt").spawn_with(|cx| -> () { cx.end_worker() });
    println!("   the handle says: {}", refusal(task.join())?);
    let mut ended: Option<WorkerId> = None;
    // The new thread's online event may arrive before the event that reports its start.
    let (mut respawned, mut online) = (false, false);
    while !(respawned && online) {
        match next_event(&mut events, |event| is_about_a_thread(event, ended))? {
            PoolEvent::WorkerExited { worker, reason, .. } => {
                println!("   worker {worker} ended: {reason:?}");
                ended = Some(worker);
            }
            PoolEvent::WorkerRespawned { .. } => respawned = true,
            _ => online = true,
        }
    }
    let Some(worker) = ended.and_then(|worker| pool.workers().into_iter().nth(worker.index()))
    else {
        return Err("no worker ended".into());
    };
    println!("   worker {} is back, as generation {}", worker.id, worker.generation);
    Ok(())
}

/// Matches the exit of a worker's first thread and the events that follow it, but not the events
/// from the start of the pool.
fn is_about_a_thread(event: &PoolEvent, ended: Option<WorkerId>) -> bool {
    match event {
        PoolEvent::WorkerExited { .. } => true,
        PoolEvent::WorkerRespawned { worker, .. } => ended == Some(*worker),
        PoolEvent::WorkerOnline { worker, generation, .. } => {
            ended == Some(*worker) && *generation > 0
        }
        _ => false,
    }
}

fn a_bounded_queue() -> Outcome {
    step(7, "a bounded queue", "highWaterMark, of a stream");
    let pool = named(1).queue_capacity(2).build()?;
    let (go, wait) = bounded::<()>(0);
    let busy = pool.spawn(move || wait.recv().is_err());
    let mut waiting = Vec::new();
    // One task runs and two may wait. The next one finds no room, and its closure is handed back.
    let refused = loop {
        let number = waiting.len();
        match pool.try_spawn(move || number) {
            Ok(task) => waiting.push(task),
            Err(refused) => break refused,
        }
    };
    println!("   {} tasks wait; the next one: {refused}", waiting.len());
    println!("   its closure came back, and gives {}", (refused.into_inner())());
    drop(go);
    busy.join()?;
    for task in waiting {
        task.join()?;
    }
    println!("   `spawn` would have blocked instead, and `reserve` waits without blocking");
    Ok(())
}

fn awaiting(pool: &WorkerPool) -> Outcome {
    step(8, "await", "await run(task)");
    // A handle is a future that works on any runtime. Here there is no runtime: pollster only parks
    // and polls.
    let sum = pollster::block_on(async {
        let (left, right) = (pool.spawn(|| 20), pool.spawn(|| 22));
        Ok::<_, TaskError>(left.await? + right.await?)
    })?;
    println!("   20 + 22 = {sum}, and no runtime was needed");
    Ok(())
}

fn shutdown_with_a_deadline() -> Outcome {
    step(9, "a graceful shutdown with a deadline", "worker.terminate(), which waits for nothing");
    let pool = named(1).build()?;
    let (tell, started) = bounded(1);
    let (go, wait) = bounded::<()>(0);
    let stuck = pool.task().name("stuck").spawn(move || {
        let _told = tell.send(());
        wait.recv().is_err()
    });
    started.recv()?;
    let queued = pool.spawn(|| 1);
    let report = pool.shutdown_timeout(Duration::from_millis(50));
    println!("   after 50 ms: {report}");
    println!("   the queued one says: {}", refusal(queued.join())?);
    // Dropping a pool waits for its threads, so release the stuck task first.
    drop(go);
    println!("   the stuck one came to its end all the same: {}", stuck.join()?);
    Ok(())
}

fn what_it_all_came_to(pool: WorkerPool) {
    step(10, "what it all came to", "worker.performance.eventLoopUtilization()");
    let metrics = pool.metrics().to_string();
    pool.shutdown();
    println!("\n{metrics}");
}

/// Returns why a handle has no value, or an error if it does have one.
fn refusal<T>(result: Result<T, TaskError>) -> Result<TaskError, String> {
    result.err().ok_or_else(|| "the task should not have had a value".to_owned())
}

/// Returns the next event that matches. Fails after ten seconds without an event, so that the tour
/// cannot hang.
fn next_event(
    events: &mut Events,
    fits: impl Fn(&PoolEvent) -> bool,
) -> Result<PoolEvent, Box<dyn Error>> {
    loop {
        let event = events.next_timeout(Duration::from_secs(10)).ok_or("no event came")?;
        if fits(&event) {
            return Ok(event);
        }
    }
}
