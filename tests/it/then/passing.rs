//! What passes a continuation by: a closure's drop does not change it.

use corepool::{CancelToken, WorkerPool};

use crate::support::{Drops, PATIENCE, occupy, within};

#[test]
fn a_value_passes_by_a_closure_whose_drop_panics() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let drops = Drops::default();
        let bomb = drops.bomb();
        let task = pool.spawn(|| 7).recover(move |error| {
            std::mem::forget(bomb);
            error.resume()
        });
        assert_eq!(task.join().unwrap(), 7);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn an_error_passes_by_a_closure_whose_drop_panics() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let (token, bomb) = (CancelToken::new(), drops.bomb());
        let tied = pool.task().cancel_token(&token).spawn(|| 7);
        let task = tied.then(move |_| std::mem::forget(bomb));
        token.cancel();
        assert!(task.join().unwrap_err().is_cancelled());
        assert_eq!(drops.count(), 1);
        busy.release();
    });
}
