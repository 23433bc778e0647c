//! Random programs in which every part waits for another one, on two pools at once. The waits form
//! a tree and there are enough spare workers, so each program ends. If one does not, shuttle
//! reports that all threads sleep.
#![forbid(unsafe_code)]

use std::sync::Arc;

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use super::{end, pool_of};
use crate::base::sync::schedule::explore;
use crate::cancel::CancelToken;
use crate::pool::WorkerPool;

/// As many spare workers as pieces may wait at the same time.
const SPARES: usize = 12;

type Pools = Arc<[Arc<WorkerPool>; 2]>;

fn two_pools(workers: [usize; 2]) -> Pools {
    Arc::new(
        workers
            .map(|workers| pool_of(WorkerPool::builder().workers(workers).spare_workers(SPARES))),
    )
}

/// Starts some smaller pieces and waits for them.
fn piece(pools: &Pools, depth: u32) {
    if depth == 0 {
        return crate::base::sync::spin_loop();
    }
    let pool = &pools[thread_rng().gen_range(0..2)];
    let smaller = || {
        let inside = Arc::clone(pools);
        move || piece(&inside, depth - 1)
    };
    let worker = thread_rng().gen_range(0..pool.worker_count());
    match thread_rng().gen_range(0..7) {
        0 => assert!(pool.task().on_worker(worker).spawn(smaller()).join().is_ok()),
        1 => assert!(pool.spawn(smaller()).join().is_ok()),
        2 => {
            let smaller = smaller();
            let set = pool.broadcast(move |_| smaller());
            assert_eq!(set.filter(Result::is_ok).count(), pool.worker_count());
        }
        3 => {
            pool.join(smaller(), smaller());
        }
        4 => pool.scope(|s| {
            let handle = s.spawn(smaller());
            // A worker may take the closure meanwhile.
            thread::yield_now();
            assert!(handle.join().is_ok());
        }),
        5 => pool.scope(|s| {
            s.spawn(move || {
                let handle = s.spawn(smaller());
                thread::yield_now();
                assert!(handle.join().is_ok());
            });
        }),
        _ => {
            let (token, smaller) = (CancelToken::new(), smaller());
            let cancels = token.clone();
            let task = pool.task().on_worker(worker).spawn(move || {
                smaller();
                cancels.cancel();
            });
            task.detach();
            drop(token.wait());
        }
    }
}

/// Runs one piece in a task and one on a thread outside the pools, at the same time.
fn run(pools: &Pools, depths: [u32; 2]) {
    let inside = Arc::clone(pools);
    let task = pools[0].spawn(move || piece(&inside, depths[0]));
    piece(pools, depths[1]);
    assert!(task.join().is_ok());
    pools.iter().for_each(|pool| end(pool));
}

#[test]
fn who_waits_in_a_tree_on_two_small_pools_comes_back() {
    explore(|| run(&two_pools([1, 2]), [3, 0]));
}

#[test]
fn who_waits_in_two_trees_on_two_pools_comes_back() {
    explore(|| run(&two_pools([2, 2]), [2, 2]));
}

#[test]
fn a_first_half_waits_for_what_the_second_one_sends() {
    explore(|| {
        let pool = pool_of(WorkerPool::builder().workers(2));
        let inside = Arc::clone(&pool);
        let rounds = move || {
            for round in 0..4 {
                let (sender, receiver) = shuttle::sync::mpsc::channel();
                let both =
                    inside.join(move || receiver.recv().ok(), move || sender.send(round).is_ok());
                assert_eq!(both, (Some(round), true));
            }
        };
        if thread_rng().gen_range(0..2) == 0 {
            rounds();
        } else {
            assert!(pool.spawn(rounds).join().is_ok());
        }
        end(&pool);
    });
}
