//! Urgent tasks come first, and the others still make progress: the bounds that `Priority` states.

use std::sync::{Arc, Mutex};

use corepool::{Dispatch, Priority, TaskHandle, WorkerPool};

use crate::support::{PATIENCE, occupy, within};

type Order = Arc<Mutex<Vec<(Priority, usize)>>>;

/// The order in which tasks ran on one worker that was held back while they were spawned.
fn order_of(tasks: &[(Priority, usize)], dispatch: Dispatch) -> Vec<(Priority, usize)> {
    let pool = WorkerPool::builder().workers(1).dispatch(dispatch).build().unwrap();
    let busy = occupy(&pool, 1);
    let order: Order = Arc::default();
    let handles: Vec<TaskHandle<()>> = tasks
        .iter()
        .map(|&what| {
            let order = Arc::clone(&order);
            pool.task().priority(what.0).spawn(move || order.lock().unwrap().push(what))
        })
        .collect();
    busy.release();
    for handle in handles {
        handle.join().unwrap();
    }
    order.lock().unwrap().clone()
}

fn row(priority: Priority, count: usize) -> Vec<(Priority, usize)> {
    (0..count).map(|n| (priority, n)).collect()
}

const WAYS: [Dispatch; 2] = [Dispatch::FreeWorker, Dispatch::RoundRobin];

#[test]
fn the_more_urgent_lane_comes_first_and_each_lane_keeps_its_order() {
    within(PATIENCE, || {
        for dispatch in WAYS {
            // Few enough that no lane (the queue of one priority) gets a turn by age.
            let (high, normal, low) =
                (row(Priority::High, 2), row(Priority::Normal, 2), row(Priority::Low, 2));
            let spawned = [low.clone(), normal.clone(), high.clone()].concat();
            let mut ran = order_of(&spawned, dispatch);
            // A turn by age may fall anywhere, because the worker has looked for work before.
            let of = |ran: &[(Priority, usize)], lane| -> Vec<_> {
                ran.iter().filter(|what| what.0 == lane).copied().collect()
            };
            assert_eq!(of(&ran, Priority::High), high);
            assert_eq!(of(&ran, Priority::Normal), normal);
            assert_eq!(of(&ran, Priority::Low), low);
            ran.retain(|what| what.0 != Priority::Low);
            let early = ran[..2].iter().filter(|what| what.0 == Priority::High).count();
            assert!(early >= 1, "{ran:?}");
        }
    });
}

#[test]
fn urgent_tasks_are_started_before_others_but_for_the_turns_by_age() {
    within(PATIENCE, || {
        for dispatch in WAYS {
            let spawned = [row(Priority::Normal, 300), row(Priority::High, 300)].concat();
            let ran = order_of(&spawned, dispatch);
            let last_urgent = ran.iter().rposition(|what| what.0 == Priority::High).unwrap();
            let others = ran[..last_urgent].iter().filter(|what| what.0 != Priority::High).count();
            // At every sixteenth look for work the normal tasks come first.
            assert!((10..=24).contains(&others), "{others} normal tasks came before the end");
        }
    });
}

#[test]
fn a_low_task_waits_for_at_most_63_others() {
    within(PATIENCE, || {
        for dispatch in WAYS {
            for other in [Priority::High, Priority::Normal] {
                let spawned = [row(other, 1_000), row(Priority::Low, 10)].concat();
                let ran = order_of(&spawned, dispatch);
                let places: Vec<_> =
                    (0..ran.len()).filter(|&place| ran[place].0 == Priority::Low).collect();
                assert!(places[0] <= 63, "the first low task was number {}", places[0]);
                for pair in places.windows(2) {
                    assert!(pair[1] - pair[0] <= 64, "{places:?}");
                }
            }
        }
    });
}

#[test]
fn a_normal_task_waits_for_at_most_15_urgent_ones() {
    within(PATIENCE, || {
        for dispatch in WAYS {
            let spawned =
                [row(Priority::High, 1_000), row(Priority::Low, 100), row(Priority::Normal, 40)]
                    .concat();
            let ran = order_of(&spawned, dispatch);
            let mut urgent = 0;
            let mut normal = 0;
            for what in &ran {
                match what.0 {
                    Priority::High => urgent += 1,
                    Priority::Normal => {
                        normal += 1;
                        urgent = 0;
                    }
                    Priority::Low => {}
                }
                assert!(normal == 40 || urgent <= 15, "{urgent} urgent tasks in a row");
            }
        }
    });
}

#[test]
fn tasks_that_spawn_urgent_ones_for_ever_do_not_starve_a_low_one() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        fn again(pool: Arc<WorkerPool>) {
            let next = Arc::clone(&pool);
            pool.task().priority(Priority::High).spawn(move || again(next)).detach();
        }
        let first = Arc::clone(&pool);
        pool.spawn(move || again(first)).detach();
        pool.task().priority(Priority::Low).spawn(|| ()).join().unwrap();
        pool.close();
    });
}

#[test]
fn sleeping_workers_hear_of_tasks_in_every_lane() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        for round in 0..300_u64 {
            for priority in [Priority::Low, Priority::High, Priority::Normal] {
                let task = pool.task().priority(priority).spawn(move || round);
                assert_eq!(task.join().unwrap(), round);
            }
            if round % 10 == 0 {
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        }
    });
}

#[test]
fn what_lies_in_lanes_is_run_or_settled_at_the_end() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let tasks: Vec<_> = [Priority::Low, Priority::High]
            .map(|priority| pool.task().priority(priority).spawn(|| 1))
            .into();
        assert_eq!(pool.metrics().queue_depth, 2);
        assert_eq!(pool.metrics().queue_depth_high, 1);
        assert_eq!(pool.metrics().queue_depth_low, 1);
        pool.close();
        busy.release();
        for task in tasks {
            assert_eq!(task.join().unwrap(), 1);
        }
        let pool = WorkerPool::with_workers(1).unwrap();
        let busy = occupy(&pool, 1);
        let left = pool.task().priority(Priority::Low).spawn(|| 1);
        let report = pool.shutdown_timeout(std::time::Duration::from_millis(1));
        assert_eq!(report.cancelled, 1);
        assert!(left.join().unwrap_err().is_cancelled());
        busy.release();
    });
}

#[test]
fn the_more_urgent_one_is_the_greater_one() {
    assert!(Priority::High > Priority::Normal && Priority::Normal > Priority::Low);
    assert_eq!(
        [Priority::Low, Priority::High, Priority::Normal].iter().max(),
        Some(&Priority::High)
    );
}
