//! What scopes cost: little for each closure, nothing that stays, and no more the longer a scope is
//! open.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use corepool::{Scope, WorkerPool};

use super::{LIVE, alone, least, occupy};

/// The highest growth in bytes in use that the calls of `look` have seen.
struct Peak {
    before: usize,
    most: AtomicUsize,
}

impl Peak {
    fn new() -> Self {
        Self { before: LIVE.load(Ordering::SeqCst), most: AtomicUsize::new(0) }
    }

    fn look(&self) {
        let more = LIVE.load(Ordering::SeqCst).saturating_sub(self.before);
        self.most.fetch_max(more, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Each thread keeps some chunks of closures for the next scope, at most half a MiB.
const KEPT: usize = 600 << 10;

/// Runs the test with pools of two sizes, from outside and on a worker.
fn on_any_thread(test: impl Fn(&WorkerPool) + Sync) {
    for workers in [1, 2] {
        let pool = WorkerPool::with_workers(workers).expect("threads");
        test(&pool);
        pool.install(|| test(&pool));
    }
}

fn many() -> u64 {
    crate::many() as u64
}

/// Case 51.
#[test]
fn a_scope_that_is_open_over_very_many_joined_closures_keeps_memory_flat() {
    let _alone = alone();
    on_any_thread(|pool| {
        let peak = Peak::new();
        pool.scope(|s| {
            for number in 0..many() {
                assert_eq!(s.spawn(move || number).join().expect("a number"), number);
                if number % 1_000 == 0 {
                    peak.look();
                }
            }
        });
        println!("{} bytes at most over {} closures", peak.most(), many());
        assert!(peak.most() < 3 * KEPT, "{} bytes at most", peak.most());
    });
}

/// Case 51, a hundred closures at once.
#[test]
fn a_scope_that_is_open_over_very_many_closures_in_rounds_keeps_memory_flat() {
    let _alone = alone();
    on_any_thread(|pool| {
        let peak = Peak::new();
        pool.scope(|s| {
            for round in 0..many() / 100 {
                let handles = [(); 100].map(|()| s.spawn(move || round));
                let sum: u64 = handles.map(|handle| handle.join().expect("a number")).iter().sum();
                assert_eq!(sum, 100 * round);
                peak.look();
            }
        });
        println!("{} bytes at most over {} closures", peak.most(), many());
        assert!(peak.most() < 3 * KEPT, "{} bytes at most", peak.most());
    });
}

/// Case 51, from a thread where the scope has no list at hand.
#[test]
fn strays_that_were_joined_keep_memory_flat() {
    let _alone = alone();
    let pool = WorkerPool::with_workers(1).expect("a thread");
    let peak = Peak::new();
    pool.scope(|s| {
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for number in 0..many() / 2 {
                    assert_eq!(s.spawn(move || number).join().expect("a number"), number);
                    peak.look();
                }
            });
        });
    });
    assert!(peak.most() < 3 * KEPT, "{} bytes at most", peak.most());
}

/// Case 51: each closure spawns the next one after the body has ended.
#[test]
fn a_chain_of_very_many_closures_keeps_memory_flat() {
    fn chain<'scope, 'env>(s: &'scope Scope<'scope, 'env>, left: u64, peak: &'scope Peak) {
        if left % 1_000 == 0 {
            peak.look();
        }
        if left > 0 {
            s.spawn(move || chain(s, left - 1, peak));
        }
    }
    let _alone = alone();
    on_any_thread(|pool| {
        let peak = Peak::new();
        pool.scope(|s| chain(s, many(), &peak));
        println!("{} bytes at most over {} closures", peak.most(), many());
        assert!(peak.most() < 3 * KEPT, "{} bytes at most", peak.most());
    });
}

/// At most two batches: one for the worker that joins in, and what it gives back.
fn share_many(pool: &WorkerPool) {
    let runs = AtomicUsize::new(0);
    let (gate, busy) = occupy(pool);
    pool.scope(|s| {
        // No closure runs before all are spawned, so whole chunks are released at once.
        for _ in 0..4_000 {
            s.spawn(|| {
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(1) {}
                runs.fetch_add(1, Ordering::Relaxed)
            });
        }
        drop(gate);
    });
    busy.join().expect("no panic");
    assert_eq!(runs.into_inner(), 4_000);
}

#[test]
fn chunks_that_went_away_as_a_whole_are_given_back() {
    let _alone = alone();
    // While one worker is busy, the guest gets the other worker's core.
    let pool = WorkerPool::with_workers(2).expect("threads");
    (0..10).for_each(|_| share_many(&pool));
    let before = LIVE.load(Ordering::SeqCst);
    (0..200).for_each(|_| share_many(&pool));
    assert!(pool.metrics().jobs_taken > 20, "{:?}", pool.metrics());
    let more = LIVE.load(Ordering::SeqCst).saturating_sub(before);
    assert!(more < 2 * KEPT, "{more} bytes more than before");
}

#[test]
fn what_scopes_took_is_given_back_when_their_threads_end() {
    let _alone = alone();
    let round = || {
        std::thread::spawn(|| {
            let pool = WorkerPool::with_workers(2).expect("threads");
            for _ in 0..20 {
                pool.scope(|s| {
                    for number in 0..5_000_u64 {
                        let handle = s.spawn(move || Box::new(number));
                        match number % 3 {
                            0 => drop(handle),
                            1 => drop(handle.join()),
                            _ => drop(s.spawn(|| drop(s.spawn(|| [0_u8; 2_000])))),
                        }
                    }
                });
            }
        })
        .join()
        .expect("no panic");
    };
    round();
    let before = LIVE.load(Ordering::SeqCst);
    (0..5).for_each(|_| round());
    let after = LIVE.load(Ordering::SeqCst);
    assert!(after < before + 10_000, "{} bytes more than before", after - before);
}

#[test]
fn many_small_closures_share_their_memory() {
    let _alone = alone();
    let pool = WorkerPool::with_workers(1).expect("a thread");
    pool.install(|| {
        let scope = || {
            pool.scope(|s| {
                for number in 0..10_000_u64 {
                    s.spawn(move || number);
                }
            });
        };
        scope();
        let (allocations, bytes) = least(scope);
        assert!(allocations < 100, "{allocations} allocations for 10,000 closures");
        assert!(bytes < 64 * 10_000, "{} bytes a closure", bytes / 10_000);
    });
}
