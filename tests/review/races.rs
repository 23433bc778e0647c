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
            for _ in 0..3 {
                let _refused = pool.try_spawn(|| ());
            }
            first.join().unwrap();
            while pool.metrics().completed + pool.metrics().rejected < pool.metrics().spawned {}
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
