//! Bounded pools: submitters that wait for room, that leave the line, and that are rejected.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};

use super::{end_with, outside, pool_of};
use crate::base::error::TaskError;
use crate::base::sync::schedule::explore;
use crate::pool::WorkerPool;
use crate::sched::config::WhenFull;

fn full(policy: WhenFull) -> Arc<WorkerPool> {
    pool_of(WorkerPool::builder().workers(1).queue_capacity(1).when_full(policy))
}

#[test]
fn four_who_wait_for_room_all_get_it() {
    explore(|| {
        let (pool, owned) = (full(WhenFull::Block), Arc::new(()));
        let kept = Arc::downgrade(&owned);
        outside(4, &pool, move |pool, _| {
            for _ in 0..2 {
                let owned = kept.upgrade().expect("it lives to the end");
                assert!(pool.spawn(move || owned).join().is_ok());
            }
        });
        no_place_is_lost(&pool);
        end_with(&pool, &owned);
    });
}

#[test]
fn who_steps_out_of_the_line_leaves_the_room_to_the_next() {
    explore(|| {
        let (pool, owned) = (full(WhenFull::Block), Arc::new(()));
        let kept = Arc::downgrade(&owned);
        outside(4, &pool, move |pool, number| {
            let owned = kept.upgrade().expect("it lives to the end");
            if number < 2 {
                assert!(pool.spawn(move || owned).join().is_ok());
                return;
            }
            // Polled once or a few times and then dropped, perhaps just after it was given a place.
            let spawned = async { pool.reserve().await.map(|permit| permit.spawn(move || owned)) };
            let step_out = async {
                for _ in 0..thread_rng().gen_range(0..8) {
                    shuttle::future::yield_now().await;
                }
            };
            shuttle::future::block_on(first_of(spawned, step_out));
        });
        no_place_is_lost(&pool);
        end_with(&pool, &owned);
    });
}

/// Takes both places at once. While the first task holds the only worker, the second would wait for
/// ever if a place had been lost.
fn no_place_is_lost(pool: &WorkerPool) {
    let (give, take) = shuttle::sync::mpsc::channel();
    let holds = pool.spawn(move || take.recv().is_ok());
    let waits = pool.spawn(|| ());
    assert!(give.send(()).is_ok() && holds.join().is_ok_and(|held| held) && waits.join().is_ok());
}

/// Polls both until one is ready, then drops both.
async fn first_of(first: impl Future, second: impl Future) {
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    std::future::poll_fn(|cx| {
        let is_ready = first.as_mut().poll(cx).is_ready() || second.as_mut().poll(cx).is_ready();
        if is_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[test]
fn a_close_sends_those_away_who_wait_for_room() {
    explore(|| {
        let (pool, owned) = (full(WhenFull::Block), Arc::new(()));
        let kept = Arc::downgrade(&owned);
        outside(4, &pool, move |pool, number| {
            if number == 0 {
                pool.close();
                return;
            }
            let owned = kept.upgrade().expect("it lives to the end");
            match pool.spawn(move || owned).join() {
                Ok(_) | Err(TaskError::Rejected(_)) => {}
                Err(other) => panic!("a task that nobody cancelled: {other}"),
            }
        });
        end_with(&pool, &owned);
    });
}

#[test]
fn the_oldest_makes_room_for_the_newest() {
    explore(|| {
        let (pool, owned) = (full(WhenFull::DropOldest), Arc::new(()));
        let kept = Arc::downgrade(&owned);
        outside(3, &pool, move |pool, _| {
            let make = || kept.upgrade().expect("it lives to the end");
            let handles = [make(), make()].map(|owned| pool.spawn(move || owned));
            for mut handle in handles {
                match handle.join_timeout(Duration::from_micros(20)) {
                    None | Some(Ok(_) | Err(TaskError::Rejected(_))) => {}
                    Some(Err(other)) => panic!("a task that nobody cancelled: {other}"),
                }
            }
        });
        end_with(&pool, &owned);
    });
}
