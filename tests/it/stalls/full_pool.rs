//! A worker that spawns into its own full pool runs the task in place, but nests only a few of
//! them.

use std::sync::{Arc, Mutex, mpsc};

use corepool::{WhenFull, WorkerPool};

use crate::support::{PATIENCE, occupy, within};

/// More than any stack has room for.
const LONG: usize = 20_000;
/// The number of tasks that may run in place of a wait, nested in each other; see
/// `WhenFull::Block`.
const MOST_INSIDE: usize = 8;

fn full_pool(when_full: WhenFull) -> Arc<WorkerPool> {
    let builder = WorkerPool::builder().workers(1).queue_capacity(1).when_full(when_full);
    Arc::new(builder.build().unwrap())
}

/// A task that spawns the next task, and so on.
fn chain(pool: &Arc<WorkerPool>, left: usize, done: mpsc::Sender<()>) {
    if left > 0 {
        let own = Arc::clone(pool);
        pool.spawn(move || chain(&own, left - 1, done)).detach();
    } else {
        done.send(()).unwrap();
    }
}

fn awaited_chain(pool: &Arc<WorkerPool>, left: usize, done: mpsc::Sender<()>) {
    if left > 0 {
        let own = Arc::clone(pool);
        let permit = pollster::block_on(pool.reserve()).unwrap();
        permit.spawn(move || awaited_chain(&own, left - 1, done)).detach();
    } else {
        done.send(()).unwrap();
    }
}

/// Fills the pool, begins the chain in its task, and waits for the end.
fn run_chain(pool: &Arc<WorkerPool>, chain: fn(&Arc<WorkerPool>, usize, mpsc::Sender<()>)) {
    let (done, is_done) = mpsc::channel();
    let own = Arc::clone(pool);
    let begin = pool.spawn(move || {
        let waits = own.spawn(|| ());
        chain(&own, LONG, done);
        waits.detach();
    });
    begin.join().unwrap();
    is_done.recv().unwrap();
}

#[test]
fn a_chain_of_tasks_in_a_full_pool_needs_no_stack() {
    within(PATIENCE, || {
        for when_full in [WhenFull::Block, WhenFull::CallerRuns] {
            run_chain(&full_pool(when_full), chain);
        }
    });
}

#[test]
fn a_chain_of_tasks_that_await_room_needs_no_stack() {
    within(PATIENCE, || run_chain(&full_pool(WhenFull::Block), awaited_chain));
}

#[test]
fn a_caller_that_runs_a_chain_needs_no_stack() {
    within(PATIENCE, || {
        let pool = full_pool(WhenFull::CallerRuns);
        let busy = occupy(&pool, 1);
        let waits = pool.spawn(|| ());
        let (done, is_done) = mpsc::channel();
        chain(&pool, LONG, done);
        busy.release();
        is_done.recv().unwrap();
        waits.join().unwrap();
    });
}

#[test]
fn only_a_few_later_tasks_run_before_the_first_that_waits() {
    within(PATIENCE, || {
        let pool = full_pool(WhenFull::Block);
        let begun = Arc::new(Mutex::new(Vec::new()));
        let (done, is_done) = mpsc::channel();
        let (own, log) = (Arc::clone(&pool), Arc::clone(&begun));
        pool.spawn(move || {
            let first = Arc::clone(&log);
            own.spawn(move || first.lock().unwrap().push(0)).detach();
            noted_chain(&own, 1, log, done);
        })
        .join()
        .unwrap();
        is_done.recv().unwrap();
        let begun = begun.lock().unwrap();
        let place = begun.iter().position(|task| *task == 0);
        assert!(place.is_some_and(|place| place <= MOST_INSIDE), "it ran as {place:?}");
    });
}

fn noted_chain(
    pool: &Arc<WorkerPool>,
    number: usize,
    begun: Arc<Mutex<Vec<usize>>>,
    done: mpsc::Sender<()>,
) {
    if number > 10 * MOST_INSIDE {
        return done.send(()).unwrap();
    }
    let own = Arc::clone(pool);
    let next = move || {
        begun.lock().unwrap().push(number);
        noted_chain(&own, number + 1, begun, done);
    };
    pool.spawn(next).detach();
}
