//! Lent cores when there are fewer spare workers (stand-ins) than lenders (workers that wait).

use std::sync::mpsc;

use corepool::WorkerPool;

use crate::support::{PATIENCE, lender, within};

#[test]
fn a_spare_worker_that_is_free_again_is_offered_to_all_who_wait_for_one() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(4).spare_workers(1).build().unwrap();
        let (first, go_first) = lender(&pool, 0);
        let (inside, is_inside) = mpsc::channel();
        let (go_spare, spare_waits) = mpsc::channel::<()>();
        let holds_spare = pool.task().on_worker(0).spawn(move || {
            inside.send(()).unwrap();
            assert!(spare_waits.recv().is_err(), "the sender is dropped");
        });
        is_inside.recv().unwrap();
        let others: Vec<_> = (1..4).map(|worker| lender(&pool, worker)).collect();
        // This takes all lent cores off the list, to no effect.
        assert!(pool.spawn(|| unreachable!("it is cancelled")).cancel());
        let (sender, receiver) = mpsc::channel();
        pool.task().on_worker(3).spawn(move || sender.send(1).unwrap()).detach();
        drop(go_first);
        first.join().unwrap();
        drop(go_spare);
        holds_spare.join().unwrap();
        // The only spare worker has nothing else to do.
        assert_eq!(receiver.recv().unwrap(), 1);
        drop(others);
    });
}

#[test]
fn a_spare_worker_that_sleeps_for_one_lender_serves_another_who_has_work() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(2).spare_workers(1).build().unwrap();
        let first = lender(&pool, 0);
        let second = lender(&pool, 1);
        // The spare worker takes the core of one of the two, runs this task, and sleeps there.
        pool.spawn(|| ()).join().unwrap();
        let own: Vec<_> = (0..2).map(|worker| pool.task().on_worker(worker).spawn(|| 7)).collect();
        for task in own {
            assert_eq!(task.join().unwrap(), 7);
        }
        drop((first, second));
    });
}
