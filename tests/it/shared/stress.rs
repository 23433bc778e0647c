//! No wake-up is lost, whatever the schedule: ping-pong, and a semaphore whose waiters come, give
//! up and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use corepool::SharedArray;
use corepool::shared::{self, WaitResult};

use super::{Alarm, poll};
use crate::support::{PATIENCE, within};

/// Two threads alternate a few microseconds apart; a loaded machine takes several times as long.
const LONG: Duration = PATIENCE.saturating_mul(6);

#[test]
fn ping_pong_loses_no_wake_up() {
    const ROUNDS: u32 = 100_000;
    within(LONG, || {
        let turn = AtomicU32::new(0);
        // Even turns belong to one thread, odd turns to the other.
        let side = |own: u32| {
            for round in 0..ROUNDS {
                let mine = 2 * round + own;
                while turn.load(Ordering::Acquire) != mine {
                    let result = shared::wait(&turn, mine.wrapping_sub(1), None);
                    assert_ne!(result, WaitResult::TimedOut);
                }
                turn.store(mine + 1, Ordering::Release);
                shared::notify(&turn, 1);
            }
        };
        thread::scope(|threads| {
            threads.spawn(|| side(0));
            side(1);
        });
        assert_eq!(turn.into_inner(), 2 * ROUNDS);
    });
}

/// Counts permits. It sends one notify for each permit that is returned, so a lost one leaves a
/// waiter asleep forever.
#[derive(Clone)]
struct Semaphore(SharedArray<AtomicU32>);

impl Semaphore {
    fn new(permits: u32) -> Self {
        Self(SharedArray::from(&[permits][..]))
    }

    fn try_take(&self) -> bool {
        let taken = |permits: u32| permits.checked_sub(1);
        self.0[0].fetch_update(Ordering::SeqCst, Ordering::SeqCst, taken).is_ok()
    }

    fn take(&self) {
        while !self.try_take() {
            shared::wait(&self.0[0], 0, None);
        }
    }

    /// Gives up after a short while, often just when it is woken. The cell may hold a permit then.
    fn take_impatiently(&self, patience: Duration) -> bool {
        while !self.try_take() {
            if shared::wait(&self.0[0], 0, patience) == WaitResult::TimedOut {
                return self.try_take();
            }
        }
        true
    }

    /// Polls the given number of times, then drops the wait, whether it was woken or not.
    fn take_fleetingly(&self, polls: usize) -> bool {
        let mut wait = shared::wait_async(&self.0[0], 0);
        for _ in 0..polls {
            if poll(&mut wait, Waker::noop()).is_ready() {
                return self.try_take();
            }
            thread::yield_now();
        }
        false
    }

    /// Waits as an executor does: sleeps until the waker is woken.
    fn take_by_future(&self) {
        let alarm = Alarm::new();
        let waker = Waker::from(Arc::clone(&alarm));
        while !self.try_take() {
            let mut wait = shared::wait_async(&self.0[0], 0);
            while poll(&mut wait, &waker).is_pending() {
                thread::park();
            }
        }
    }

    fn give_back(&self) {
        self.0[0].fetch_add(1, Ordering::SeqCst);
        shared::notify(&self.0[0], 1);
    }
}

#[test]
fn a_semaphore_loses_no_permit_and_leaves_nobody_asleep() {
    const ROUNDS: usize = 5000;
    within(LONG, || {
        let semaphore = Semaphore::new(2);
        let inside = AtomicU32::new(0);
        let visit = || {
            assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
            thread::yield_now();
            inside.fetch_sub(1, Ordering::SeqCst);
            semaphore.give_back();
        };
        thread::scope(|threads| {
            for seed in 0..3_u64 {
                let (semaphore, visit) = (&semaphore, &visit);
                threads.spawn(move || {
                    for _ in 0..ROUNDS {
                        semaphore.take();
                        visit();
                    }
                });
                threads.spawn(move || {
                    for _ in 0..ROUNDS {
                        semaphore.take_by_future();
                        visit();
                    }
                });
                threads.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    for _ in 0..ROUNDS {
                        let patience = Duration::from_micros(random.u64(..100));
                        let taken = match random.bool() {
                            true => semaphore.take_impatiently(patience),
                            false => semaphore.take_fleetingly(random.usize(..4)),
                        };
                        if taken {
                            visit();
                        }
                    }
                });
            }
        });
        assert_eq!(semaphore.0[0].load(Ordering::SeqCst), 2);
        assert_eq!(shared::notify(&semaphore.0[0], usize::MAX), 0);
    });
}

#[test]
fn each_notification_is_taken_exactly_once() {
    const WAITERS: usize = 8;
    const ROUNDS: usize = 2000;
    within(LONG, || {
        let cell = AtomicU32::new(0);
        let mut sent = 0;
        let heard: usize = thread::scope(|threads| {
            let cell = &cell;
            let wait = move || (0..ROUNDS).map(|_| shared::wait(cell, 0, None)).collect::<Vec<_>>();
            let waiters: Vec<_> = (0..WAITERS).map(|_| threads.spawn(wait)).collect();
            while sent < WAITERS * ROUNDS {
                match shared::notify(cell, 1 + sent % 3) {
                    0 => thread::yield_now(),
                    woken => sent += woken,
                }
            }
            let results = waiters.into_iter().flat_map(|waiter| waiter.join().unwrap());
            results.filter(|result| *result == WaitResult::Ok).count()
        });
        assert_eq!(heard, sent);
    });
}
