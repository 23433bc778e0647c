//! Panics in the closure, in the function that makes values, and in drops: the value is gone, and
//! nothing else.

use std::panic::{self, AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use corepool::{TaskError, WorkerLocal, WorkerPool};

use super::{numbered, on_each, travellers};
use crate::support::{Bomb, Drops, PATIENCE, within};

#[test]
fn a_value_that_saw_a_panic_is_not_used_again() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (local, ends) = travellers();
        let used = Arc::clone(&local);
        let failed =
            pool.spawn(move || used.with(|_| -> () { resume_unwind(Box::new("no value")) }));
        match failed.join() {
            Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "no value"),
            other => panic!("{other:?}"),
        }
        assert_eq!(ends.lock().unwrap().len(), 1);
        assert!(local.drain().is_empty());
        let used = Arc::clone(&local);
        pool.spawn(move || used.with(|_| ())).join().unwrap();
        assert_eq!(local.drain().len(), 1);
    });
}

#[test]
fn a_panic_in_a_nested_use_leaves_the_outer_value_alone() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let (local, _) = numbered();
        let used = Arc::clone(&local);
        let outer = pool.spawn(move || {
            used.with(|outer| {
                let inner = || used.with(|_| resume_unwind(Box::new("inner")));
                panic::catch_unwind(AssertUnwindSafe(inner)).map_or(*outer, |never: ()| {
                    unreachable!("{never:?}");
                })
            })
        });
        assert_eq!(outer.join().unwrap(), 0);
        assert_eq!(local.drain(), [0]);
    });
}

#[test]
fn a_maker_that_panics_breaks_nothing() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let tries = AtomicUsize::new(0);
        let make = move || match tries.fetch_add(1, Ordering::SeqCst) {
            0 => resume_unwind(Box::new("not yet")),
            number => number,
        };
        let local = Arc::new(WorkerLocal::new(make));
        let looks = [(); 3].map(|()| {
            let local = Arc::clone(&local);
            pool.spawn(move || local.with(|number| *number)).join().ok()
        });
        assert_eq!(looks, [None, Some(1), Some(1)]);
    });
}

#[test]
fn a_drop_that_panics_during_a_panic_does_not_end_the_process() {
    within(PATIENCE, || {
        let drops = Drops::default();
        let bombs = drops.clone();
        let local = WorkerLocal::new(move || bombs.bomb());
        let panics = || local.with(|_: &mut Bomb| -> () { resume_unwind(Box::new("first")) });
        let payload = panic::catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
        assert_eq!(
            payload.downcast_ref(),
            Some(&"first"),
            "the closure's panic is the one that counts"
        );
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn drops_that_panic_at_a_workers_end_keep_no_other_from_its_drop() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let drops = Drops::default();
        let bombs = drops.clone();
        let local = Arc::new(WorkerLocal::new(move || bombs.bomb()));
        let (other, ends) = travellers();
        let (used, also) = (Arc::clone(&local), Arc::clone(&other));
        on_each(&pool, move || used.with(|_| used.with(|_| also.with(|_| ()))));
        pool.shutdown();
        assert_eq!((drops.count(), ends.lock().unwrap().len()), (4, 2));
    });
}

#[test]
fn drops_that_panic_at_the_locals_end_go_no_further() {
    within(PATIENCE, || {
        let drops = Drops::default();
        let bombs = drops.clone();
        let local = WorkerLocal::new(move || bombs.bomb());
        local.with(|_| local.with(|_| ()));
        drop(local);
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn a_local_stays_usable_across_a_caught_panic() {
    // The test is that this compiles: values that saw a panic are never seen again.
    let poisoned = AtomicBool::new(false);
    let local = WorkerLocal::new(|| 0);
    let caught = panic::catch_unwind(|| {
        local.with(|value| {
            *value = 1;
            poisoned.store(true, Ordering::SeqCst);
            resume_unwind(Box::new("half way"))
        })
    });
    assert!(caught.map_or(true, |never: ()| unreachable!("{never:?}")));
    assert!(poisoned.load(Ordering::SeqCst));
    assert_eq!(local.with(|value| *value), 0);
}
