//! A stress test: many batches are taken, cancelled, dropped and shut down at random, and each item
//! settles once.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Drops, assert_adds_up, next, throw, within};
use crate::pool::WorkerPool;
use crate::sets::batch::submit;

/// What one thread does with one batch. Returns the size of the batch.
fn one_batch(
    pool: &WorkerPool,
    random: &mut fastrand::Rng,
    drops: &Drops,
    ran: &Arc<AtomicUsize>,
) -> usize {
    let size = random.usize(0..300);
    let closures = (0..size).map(|n| {
        let (token, ran) = (drops.token(), Arc::clone(ran));
        move || {
            ran.fetch_add(1, Ordering::SeqCst);
            if n % 50 == 49 {
                throw("now and then");
            }
            if n % 37 == 0 {
                (0..n).for_each(|_| std::hint::spin_loop());
            }
            token
        }
    });
    let mut source = submit(pool.hub(), closures);
    let (cancels, stops) = (random.usize(0..600), random.usize(0..600));
    let mut seen = 0;
    while seen != stops && source.left() > 0 {
        if seen == cancels {
            source.cancel();
        }
        let _result = next(&mut source);
        seen += 1;
    }
    size
}

#[test]
fn random_batches_settle_each_item_once() {
    within(|| {
        let seed = fastrand::u64(..);
        for round in 0..8 {
            let pool = Arc::new(WorkerPool::with_workers(1 + round % 3).unwrap());
            let (drops, ran) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
            let threads: Vec<_> = (0..3_u64)
                .map(|thread| {
                    let (pool, drops, ran) = (Arc::clone(&pool), drops.clone(), Arc::clone(&ran));
                    thread::spawn(move || {
                        let mut random =
                            fastrand::Rng::with_seed(seed ^ round as u64 ^ thread << 32);
                        (0..20).map(|_| one_batch(&pool, &mut random, &drops, &ran)).sum::<usize>()
                    })
                })
                .collect();
            if round % 4 == 3 {
                pool.close();
            }
            let spawned: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            pool.shutdown();
            let metrics = pool.metrics();
            assert_eq!(metrics.spawned, spawned as u64, "seed {seed}: {metrics}");
            assert_eq!(drops.count(), spawned, "seed {seed}");
            let ended = (metrics.completed + metrics.panicked) as usize;
            assert_eq!(ended, ran.load(Ordering::SeqCst), "seed {seed}: {metrics}");
            assert_adds_up(&metrics);
        }
    });
}
