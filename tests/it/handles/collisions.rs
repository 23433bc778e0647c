//! Timeouts aimed at the moment of the event that they wait for, a great many times: the event
//! comes once, or not yet.
//!
//! `COREPOOL_ROUNDS` sets the number of rounds. The default is low enough for everyday runs.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use corepool::shared::{self, WaitResult};
use corepool::{TaskSet, WorkerPool};

use crate::random::setting;
use crate::support::{Drops, PATIENCE, within};

const SHORTEST: Duration = Duration::from_nanos(100);

/// Approaches the moment at which the awaited event comes.
///
/// Where both threads share a core, even the shortest wait is longer than a short task. Then the
/// task is made longer instead.
struct Aim {
    wait: Duration,
    work: Duration,
    early: u64,
    late: u64,
}

impl Aim {
    fn new() -> Self {
        Self { wait: Duration::from_micros(5), work: Duration::ZERO, early: 0, late: 0 }
    }

    fn learn(&mut self, was_early: bool) {
        if was_early {
            self.early += 1;
            if self.work.is_zero() {
                self.wait = (self.wait + self.wait / 16).min(Duration::from_millis(1));
            } else {
                self.work = self.work.saturating_sub(self.work / 16 + SHORTEST);
            }
        } else {
            self.late += 1;
            if self.wait > SHORTEST {
                self.wait = (self.wait - self.wait / 16).max(SHORTEST);
            } else {
                self.work = (self.work + self.work / 16 + SHORTEST).min(Duration::from_millis(1));
            }
        }
    }

    /// What a task does before it has its result.
    fn work(&self) -> impl FnOnce() + Send + use<> {
        let work = self.work;
        move || {
            let start = Instant::now();
            while start.elapsed() < work {
                std::hint::spin_loop();
            }
        }
    }

    /// Prints how many rounds fell on each side, and checks that both sides were hit.
    fn end(&self, what: &str) {
        println!("{what}: {} too early, {} not", self.early, self.late);
        assert!(self.early > 0 && self.late > 0, "{what}: only one side was tried");
    }
}

fn rounds() -> u64 {
    setting("COREPOOL_ROUNDS").unwrap_or(2_000)
}

fn patience() -> Duration {
    PATIENCE + Duration::from_millis(rounds())
}

#[test]
fn a_join_that_times_out_at_the_moment_of_the_result_gives_it_next_time() {
    within(patience(), || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (drops, mut aim) = (Drops::default(), Aim::new());
        for round in 0..rounds() {
            let token = drops.token();
            let work = aim.work();
            let mut task = pool.spawn(move || {
                work();
                (round, token)
            });
            let first = task.join_timeout(aim.wait);
            aim.learn(first.is_none());
            let result = first.unwrap_or_else(|| task.join());
            assert_eq!(result.unwrap().0, round);
        }
        assert_eq!(drops.count() as u64, rounds());
        aim.end("join_timeout");
    });
}

#[test]
fn a_set_that_times_out_at_the_moment_of_a_result_gives_each_once() {
    within(patience(), || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (mut set, mut aim) = (TaskSet::new(), Aim::new());
        for round in 0..rounds() {
            let work = aim.work();
            set.push(pool.spawn(move || {
                work();
                round
            }));
            let first = set.next_timeout(aim.wait);
            aim.learn(first.is_none());
            let result = first.or_else(|| set.next());
            assert_eq!(result.unwrap().unwrap(), round);
            assert!(set.is_empty() && set.next().is_none());
        }
        aim.end("next_timeout");
    });
}

#[test]
fn a_wait_on_a_cell_times_out_or_is_notified_and_both_sides_agree() {
    within(patience(), || {
        let cell = Arc::new(AtomicU32::new(0));
        let (begin, begun) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let notified = Arc::clone(&cell);
        let notifier = thread::spawn(move || {
            begun.iter().for_each(|()| tell.send(shared::notify(&*notified, 1)).unwrap());
        });
        let mut aim = Aim::new();
        for round in 0..rounds() {
            begin.send(()).unwrap();
            let result = shared::wait(&*cell, 0, aim.wait);
            let called = told.recv().unwrap();
            let expected = if called == 1 { WaitResult::Ok } else { WaitResult::TimedOut };
            assert_eq!(result, expected, "in round {round}");
            aim.learn(result == WaitResult::TimedOut);
        }
        drop(begin);
        notifier.join().unwrap();
        aim.end("wait");
    });
}
