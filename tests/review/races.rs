//! Races that take luck, or `ci/chaos.sh`.

use std::cell::RefCell;
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use corepool::{PoolEvent, WhenFull, WorkerPool};

use crate::within;

const TRIALS: Duration = Duration::from_secs(10);

#[test]
fn a_quiet_pool_was_never_called_full_last() {
    within(|| {
        let builder = WorkerPool::builder().workers(1).queue_capacity(0);
        let pool = builder.when_full(WhenFull::Reject).build().unwrap();
        let events = pool.events();
        let mut is_full = false;
        let start = Instant::now();
        let mut rounds = 0;
        while start.elapsed() < TRIALS {
            rounds += 1;
            let first = pool.spawn(|| ());
            let more: Vec<_> = (0..3).flat_map(|_| pool.try_spawn(|| ())).collect();
            // The place is free before the handle knows.
            more.into_iter().for_each(|task| task.join().unwrap());
            let _may_be_rejected = first.join();
            for event in events.try_iter() {
                match event {
                    PoolEvent::QueueFull => is_full = true,
                    PoolEvent::QueueDrained => is_full = false,
                    _ => {}
                }
            }
            assert!(
                !is_full,
                "nothing waits or runs, and the pool is called full (round {rounds})"
            );
        }
    });
}

#[test]
fn tasks_that_meet_do_so_in_a_pool_that_is_closed_too() {
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < TRIALS {
        rounds += 1;
        within(move || {
            let pool = WorkerPool::with_workers(2).unwrap();
            let meet = Arc::new(Barrier::new(2));
            let meets = || {
                let meet = Arc::clone(&meet);
                move || drop(meet.wait())
            };
            let tasks = [pool.spawn(meets()), pool.spawn(meets()), pool.spawn(|| ())];
            pool.close();
            for task in tasks {
                let met = task.join_timeout(Duration::from_secs(20));
                let Ok(met) = met else { panic!("they did not meet in round {rounds}") };
                met.unwrap();
            }
        });
    }
}

/// What this process holds in memory, in pages.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn listeners_that_are_gone_hold_no_memory_though_nothing_happens() {
    if !crate::child::is_child() {
        return crate::child::run_again(|_| {}).expect_success();
    }
    let pool = WorkerPool::with_workers(1).unwrap();
    drop(pool.events());
    let before = resident();
    for _ in 0..500 {
        assert!(pool.events().try_recv().is_ok(), "the recent past comes first");
    }
    let grown = resident() - before;
    assert!(grown < 4_000, "{grown} pages more");
}

struct Lingers(mpsc::Sender<()>, mpsc::Receiver<()>);

impl Drop for Lingers {
    fn drop(&mut self) {
        let _told = self.0.send(());
        let _gone_on = self.1.recv();
    }
}

thread_local! {
    static LINGERS: RefCell<Option<Lingers>> = const { RefCell::new(None) };
}

#[test]
fn of_two_shutdowns_at_once_each_returns_when_the_threads_have_ended() {
    within(|| {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let (ends, is_ending) = mpsc::channel();
        let (go, waits) = mpsc::channel();
        let lingers = Lingers(ends, waits);
        pool.spawn(move || LINGERS.set(Some(lingers))).join().unwrap();
        let shutdown = || {
            let (pool, (done, is_done)) = (Arc::clone(&pool), mpsc::channel());
            std::thread::spawn(move || {
                pool.shutdown();
                done.send(()).unwrap();
            });
            is_done
        };
        let first = shutdown();
        is_ending.recv().unwrap();
        let early = Duration::from_millis(300);
        assert!(first.recv_timeout(early).is_err(), "the thread is still there");
        let second = shutdown();
        assert!(second.recv_timeout(early).is_err(), "the thread is still there");
        drop(go);
        first.recv().unwrap();
        second.recv().unwrap();
    });
}

#[test]
fn a_drop_does_not_wait_for_threads_that_a_timed_shutdown_left_behind() {
    within(|| {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (ends, is_ending) = mpsc::channel();
        let (go, waits) = mpsc::channel();
        let lingers = Lingers(ends, waits);
        pool.spawn(move || LINGERS.set(Some(lingers))).join().unwrap();
        let report = pool.shutdown_timeout(Duration::from_millis(300));
        assert!(report.is_clean());
        is_ending.recv().unwrap();
        drop(pool);
        drop(go);
    });
}
