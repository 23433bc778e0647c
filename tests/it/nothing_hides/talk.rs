//! A piece of a call may wait for another piece that has not begun, as long as a worker is idle.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use corepool::WorkerPool;

use super::idle_pool;
use crate::support::{PATIENCE, within};

const ROUNDS: u64 = 2_000;

/// Runs the rounds on idle pools of two and of sixteen workers, and fails if they do not end.
fn has_an_end(rounds: fn(&WorkerPool)) {
    within(PATIENCE, move || [2, 16].map(idle_pool).iter().for_each(rounds));
}

/// Many joins. In each, the first half waits for what the second half sends.
fn joins(pool: &WorkerPool) {
    for word in 0..ROUNDS {
        let (tell, hear) = mpsc::channel();
        let (heard, ()) =
            pool.join(move || hear.iter().sum::<u64>(), move || tell.send(word).unwrap());
        assert_eq!(heard, word);
    }
}

#[test]
fn a_guests_first_half_may_wait_for_the_second() {
    has_an_end(joins);
}

#[test]
fn a_workers_first_half_may_wait_for_the_second() {
    has_an_end(|pool| pool.install(|| joins(pool)));
}

/// One worker spawns tasks for as long as the test lasts, so the third worker always finds some to
/// take. The second half of a join gets its turn anyway.
#[test]
fn a_second_half_has_its_turn_beside_tasks_without_an_end() {
    const AHEAD: usize = 256;
    within(PATIENCE, || {
        let pool = Arc::new(idle_pool(3));
        let is_over = Arc::new(AtomicBool::new(false));
        let (spawner, ends) = (Arc::clone(&pool), Arc::clone(&is_over));
        let (told, started) = mpsc::channel();
        let feed = pool.spawn(move || {
            let waiting = Arc::new(AtomicUsize::new(0));
            while !ends.load(Ordering::Relaxed) {
                // Only the first message is received.
                let _told = told.send(());
                waiting.fetch_add(1, Ordering::Relaxed);
                while waiting.load(Ordering::Relaxed) > AHEAD && !ends.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
                let waiting = Arc::clone(&waiting);
                spawner.spawn(move || waiting.fetch_sub(1, Ordering::Relaxed)).detach();
            }
        });
        started.recv().unwrap();
        pool.install(|| {
            for word in 0..20 {
                let (tell, hear) = mpsc::channel();
                let tell = move || tell.send(word).unwrap();
                let (heard, ()) = corepool::join(move || hear.recv().unwrap(), tell);
                assert_eq!(heard, word);
            }
        });
        is_over.store(true, Ordering::Relaxed);
        feed.join().unwrap();
    });
}

/// Even a pool's only worker may wait for its second half if it waits in `blocking`: a spare worker
/// comes to run the half.
#[test]
fn the_only_workers_first_half_may_wait_inside_blocking() {
    within(PATIENCE, || {
        let pool = idle_pool(1);
        pool.install(|| {
            for word in 0..ROUNDS / 10 {
                let (tell, hear) = mpsc::channel();
                let wait = move || corepool::blocking(|| hear.iter().sum::<u64>());
                let (heard, ()) = pool.join(wait, move || tell.send(word).unwrap());
                assert_eq!(heard, word);
            }
        });
    });
}

#[test]
fn a_first_half_inside_another_join_may_wait_for_the_second() {
    has_an_end(|pool| pool.install(|| _ = pool.join(|| joins(pool), || ())));
}

#[test]
fn a_first_half_inside_a_guests_join_may_wait_for_the_second() {
    has_an_end(|pool| _ = pool.join(|| joins(pool), || ()));
}

#[test]
fn a_first_half_inside_a_scopes_closure_may_wait_for_the_second() {
    has_an_end(|pool| pool.scope(|s| _ = s.spawn(|| joins(pool))));
}

#[test]
fn a_first_half_inside_an_item_of_a_loop_may_wait_for_the_second() {
    has_an_end(|pool| {
        pool.for_each(0..2, |at| {
            if at == 0 {
                joins(pool)
            }
        })
    });
}

#[test]
fn a_first_half_may_wait_for_the_second_after_many_light_joins_of_its_type() {
    fn one(pool: &WorkerPool, waits: bool) -> u64 {
        let (tell, hear) = mpsc::channel();
        let first = || if waits { hear_all(hear) } else { 1 };
        pool.join(first, move || _ = tell.send(1)).0
    }
    fn hear_all(hear: mpsc::Receiver<u64>) -> u64 {
        hear.iter().sum()
    }
    has_an_end(|pool| {
        pool.install(|| {
            let light: u64 = (0..100_000).map(|_| one(pool, false)).sum();
            let waiting: u64 = (0..ROUNDS).map(|_| one(pool, true)).sum();
            assert_eq!((light, waiting), (100_000, ROUNDS));
        });
    });
}

#[test]
fn the_halves_of_one_join_may_talk_for_long() {
    has_an_end(|pool| {
        let (ask, asked) = mpsc::channel();
        let (answer, answered) = mpsc::channel();
        let first = move || {
            for word in 0..ROUNDS {
                assert_eq!(asked.recv(), Ok(word));
                answer.send(word + 1).unwrap();
            }
        };
        let second = move || {
            for word in 0..ROUNDS {
                ask.send(word).unwrap();
                assert_eq!(answered.recv(), Ok(word + 1));
            }
        };
        pool.install(|| pool.join(first, second));
    });
}

#[test]
fn a_scopes_body_may_wait_for_its_closure() {
    fn scopes(pool: &WorkerPool) {
        for word in 0..ROUNDS {
            let (tell, hear) = mpsc::channel();
            let heard = pool.scope(move |s| {
                s.spawn(move || tell.send(word).unwrap());
                hear.iter().sum::<u64>()
            });
            assert_eq!(heard, word);
        }
    }
    has_an_end(scopes);
    has_an_end(|pool| pool.install(|| scopes(pool)));
}

#[test]
fn a_loops_first_item_may_wait_for_its_last() {
    fn loops(pool: &WorkerPool) {
        // All items of one loop share the round's channel.
        for _ in 0..ROUNDS / 10 {
            for items in [2, 3, 10] {
                let (tell, hear) = mpsc::channel();
                let hear = std::sync::Mutex::new(hear);
                pool.for_each(0..items, |at| match at {
                    0 => assert_eq!(hear.lock().unwrap().recv(), Ok(items)),
                    _ if at == items - 1 => tell.send(items).unwrap(),
                    _ => {}
                });
            }
        }
    }
    has_an_end(loops);
    has_an_end(|pool| pool.install(|| loops(pool)));
}
