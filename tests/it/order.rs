//! Tasks start in the order in which they were spawned: exactly on one worker, and up to a bound on
//! several.

use std::sync::{Arc, Mutex};

use corepool::{Dispatch, Priority, WorkerPool};

use crate::support::{Gate, PATIENCE, occupy, until, within};

type Order = Arc<Mutex<Vec<usize>>>;

/// The bound that `Priority` states. It counts once for each pair of a worker that keeps running
/// and a worker of the pool.
const BOUND: usize = 300;

fn noting(order: &Order, number: usize) -> impl FnOnce() + Send + 'static {
    let order = Arc::clone(order);
    move || order.lock().unwrap().push(number)
}

#[test]
fn one_worker_starts_tasks_in_the_order_in_which_they_came() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            for (tasks, spares) in [(3, 0), (1_000, 0), (1_000, 2)] {
                let builder = WorkerPool::builder().workers(1).dispatch(dispatch);
                let pool = builder.spare_workers(spares).build().unwrap();
                let order = Order::default();
                for _ in 0..100_usize.div_ceil(tasks) {
                    let busy = occupy(&pool, 1);
                    let spawn = |number| pool.spawn(noting(&order, number));
                    let handles: Vec<_> = (0..tasks).map(spawn).collect();
                    busy.release();
                    handles.into_iter().for_each(|handle| handle.join().unwrap());
                    let ran = std::mem::take(&mut *order.lock().unwrap());
                    assert!(ran.iter().copied().eq(0..tasks), "{ran:?}");
                }
            }
        }
    });
}

#[test]
fn whoever_spawns_a_task_and_wherever_it_may_run_one_worker_keeps_the_order() {
    within(PATIENCE, || {
        for priority in [Priority::High, Priority::Normal, Priority::Low] {
            let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
            let order = Order::default();
            let spawn = {
                let (pool, order) = (Arc::downgrade(&pool), Arc::clone(&order));
                move |number: usize| {
                    let pool = pool.upgrade().unwrap();
                    let task = pool.task().priority(priority);
                    // Every third task is placed, and some are not plain tasks.
                    let task = if number % 3 == 0 { task.on_worker(0) } else { task };
                    let task = if number % 5 == 0 { task.name("named") } else { task };
                    task.spawn(noting(&order, number)).detach();
                }
            };
            let next = Arc::new(Mutex::new(0));
            let take_turns = move |me: usize| {
                until(|| {
                    let mut next = next.lock().unwrap();
                    if *next < 500 && *next % 2 == me {
                        spawn(*next);
                        *next += 1;
                    }
                    *next == 500
                });
            };
            let inside = take_turns.clone();
            let task = pool.spawn(move || inside(0));
            take_turns(1);
            task.join().unwrap();
            drop(Arc::into_inner(pool));
            let ran = order.lock().unwrap();
            assert!(ran.iter().copied().eq(0..500), "{priority:?}: {ran:?}");
        }
    });
}

#[test]
fn a_task_in_the_inbox_of_a_stuck_worker_is_overtaken_by_no_more_than_the_bound() {
    within(PATIENCE, || {
        for workers in [2, 4] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let busy = occupy(&pool, workers - 1);
            let held = occupy(&pool, 1);
            let (order, stuck) = (Order::default(), Gate::default());
            // The first task blocks the worker that takes it, along with the tasks that the worker
            // took with it.
            let wait = stuck.clone();
            let first = pool.spawn(move || wait.wait());
            let handles: Vec<_> =
                (0..20_000).map(|number| pool.spawn(noting(&order, number))).collect();
            held.release();
            until(|| pool.metrics().queue_depth == 20_000);
            busy.release();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            stuck.open();
            first.join().unwrap();
            let ran = order.lock().unwrap();
            let place = |number| ran.iter().position(|ran| *ran == number).unwrap();
            // The tasks that were in that worker's inbox. A thread may lose its core between the
            // start of a task and its note, so the later half is not checked.
            let mut places: Vec<_> = (0..30).map(place).collect();
            places.sort_unstable();
            assert!(places[15] <= BOUND * workers * (workers - 1), "{workers} workers: {places:?}");
        }
    });
}
