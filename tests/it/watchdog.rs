//! The watchdog reports a task that runs too long, once, and may put a spare worker in its place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use corepool::events::Events;

use corepool::builder::WhenStuck;
use corepool::{PoolEvent, WorkerId, WorkerPool};

use crate::support::{Gate, PATIENCE, within};

const BOUND: Duration = Duration::from_millis(5);

/// What the watchdog reports about the task with this name. On a busy machine it may report any
/// task, because the task's thread may be kept from its core.
fn told_of(events: &mut Events, name: &str) -> (WorkerId, Duration) {
    let told = events.by_ref().find_map(|event| match event {
        PoolEvent::TaskStuck { worker, task, running_for } if task == name => {
            Some((worker, running_for))
        }
        _ => None,
    });
    told.expect("the pool is there, so there may be more")
}

#[test]
fn a_task_that_runs_too_long_is_told_once_with_its_name_and_worker() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).watchdog(BOUND).build().unwrap();
        let mut events = pool.events();
        let gate = Gate::default();
        for _ in 0..100 {
            pool.spawn(|| ()).join().unwrap();
        }
        let held = gate.clone();
        let stuck = pool.task().name("stuck here").spawn(move || held.wait());
        let (worker, running_for) = told_of(&mut events, "stuck here");
        assert_eq!(worker, WorkerId::from(0));
        assert!(running_for >= BOUND);
        std::thread::sleep(4 * BOUND);
        gate.open();
        stuck.join().unwrap();
        pool.shutdown();
        let again = events.receiver().try_iter().filter(
            |event| matches!(event, PoolEvent::TaskStuck { task, .. } if task == "stuck here"),
        );
        assert_eq!(again.count(), 0);
    });
}

#[test]
fn it_comes_back_on_duty_after_the_pool_was_idle() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(2).watchdog(BOUND).build().unwrap();
        let mut events = pool.events();
        for round in 0..5 {
            let gate = Gate::default();
            let held = gate.clone();
            let stuck = pool.task().name(format!("round {round}")).spawn(move || held.wait());
            let _told = told_of(&mut events, &format!("round {round}"));
            gate.open();
            stuck.join().unwrap();
            std::thread::sleep(3 * BOUND);
        }
    });
}

#[test]
fn a_spare_worker_serves_in_the_place_of_a_stuck_one() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder()
            .workers(1)
            .watchdog(BOUND)
            .when_stuck(WhenStuck::Replace)
            .build()
            .unwrap();
        let gate = Gate::default();
        let held = gate.clone();
        let stuck = pool.spawn(move || held.wait());
        // This task runs although the only worker is stuck, and releases that worker.
        pool.spawn(move || gate.open()).join().unwrap();
        stuck.join().unwrap();
        let on_worker = pool.task().on_worker(0).spawn(|| 1);
        assert_eq!(on_worker.join().unwrap(), 1);
    });
}

#[test]
fn a_stuck_task_is_told_before_a_spare_worker_does_anything() {
    within(PATIENCE, || {
        for _ in 0..50 {
            let pool = WorkerPool::builder()
                .workers(1)
                .watchdog(Duration::from_millis(1))
                .when_stuck(WhenStuck::Replace)
                .build()
                .unwrap();
            let (events, gate) = (pool.events(), Gate::default());
            let held = gate.clone();
            let stuck = pool.spawn(move || held.wait());
            // Runs on a spare worker.
            let is_told = move || {
                let told = events
                    .receiver()
                    .try_iter()
                    .any(|event| matches!(event, PoolEvent::TaskStuck { .. }));
                gate.open();
                told
            };
            assert!(pool.spawn(is_told).join().unwrap());
            stuck.join().unwrap();
        }
    });
}

/// The name of a spare worker's thread is user code: it may wait for the very worker that is found
/// stuck.
#[test]
fn a_name_may_wait_for_the_worker_that_the_watchdog_replaces() {
    /// Whether the watchdog named the thread. If the watchdog reports the task early, the thread
    /// that spawns the second task does the naming.
    fn is_named_by_the_watchdog() -> bool {
        let spawner = thread::current().id();
        let (ended, end) = mpsc::channel::<()>();
        let end = Mutex::new(end);
        let (asked, by_watchdog) = (Gate::default(), Arc::new(AtomicBool::new(false)));
        let (is_asked, is_other) = (asked.clone(), Arc::clone(&by_watchdog));
        let pool = WorkerPool::builder()
            .workers(1)
            .watchdog(BOUND)
            .when_stuck(WhenStuck::Replace)
            .thread_name(move |worker| {
                if worker != WorkerId::from(0) {
                    is_asked.open();
                    if thread::current().id() != spawner {
                        is_other.store(true, Ordering::SeqCst);
                        assert!(end.lock().unwrap().recv().is_err(), "the sender is dropped");
                    }
                }
                format!("named-{worker}")
            })
            .build()
            .unwrap();
        let (running, runs) = mpsc::channel();
        let stuck = pool.spawn(move || {
            running.send(()).unwrap();
            asked.wait();
        });
        runs.recv().unwrap();
        // This needs a spare worker, and runs on the worker once it is done with the task that was
        // stuck.
        pool.task().on_worker(0).spawn(|| ()).join().unwrap();
        stuck.join().unwrap();
        drop(ended);
        by_watchdog.load(Ordering::SeqCst)
    }
    within(PATIENCE, || while !is_named_by_the_watchdog() {});
}
