//! Continuations run when the task before them is settled, hold no worker meanwhile, and settle
//! whatever happens.

mod finally;
mod long;
mod passing;
mod races;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use corepool::errors::Refusal;
use corepool::{Dispatch, TaskError, TaskHandle, WorkerPool};

use crate::support::{Drops, Gate, PATIENCE, occupy, within};

fn pool(workers: usize) -> WorkerPool {
    WorkerPool::with_workers(workers).unwrap()
}

/// A handle of a task that panics without printing anything.
fn failing(pool: &WorkerPool) -> TaskHandle<u32> {
    pool.spawn(|| std::panic::resume_unwind(Box::new("no luck")))
}

#[test]
fn then_gets_the_value_of_a_task_that_runs_and_of_one_that_is_settled() {
    within(PATIENCE, || {
        let pool = pool(2);
        let gate = Gate::default();
        let held = gate.clone();
        let later = pool.spawn(move || held.wait()).then(|()| 1).then(|one| one + 1);
        gate.open();
        assert_eq!(later.join().unwrap(), 2);
        let task = pool.spawn(|| 20);
        while !task.is_finished() {
            std::thread::yield_now();
        }
        assert_eq!(task.then(|value| value + 1).join().unwrap(), 21);
    });
}

#[test]
fn a_failure_passes_every_then_and_drops_their_closures() {
    within(PATIENCE, || {
        let pool = pool(1);
        let drops = Drops::default();
        let (one, two) = (drops.token(), drops.token());
        let chain = failing(&pool)
            .then(move |value| {
                drop(one);
                value
            })
            .then(move |value| {
                drop(two);
                value
            });
        match chain.join() {
            Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "no luck"),
            other => unreachable!("{other:?}"),
        }
        assert_eq!(drops.count(), 2);
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.panicked), (3, 3));
    });
}

#[test]
fn one_panic_is_told_once_however_long_the_chain() {
    within(PATIENCE, || {
        let pool = pool(1);
        let events = pool.events();
        let chain = failing(&pool).then(|value| value).finally(|| ()).then(|value| value);
        assert!(chain.join().unwrap_err().is_panicked());
        pool.shutdown();
        let told = events
            .receiver()
            .try_iter()
            .filter(|event| matches!(event, corepool::PoolEvent::TaskPanicked { .. }))
            .count();
        assert_eq!(told, 1);
    });
}

#[test]
fn a_panic_in_a_continuation_is_its_own() {
    within(PATIENCE, || {
        let pool = pool(1);
        let chain = pool.spawn(|| 1_u32).then(|_| -> u32 {
            std::panic::resume_unwind(Box::new("in the middle"));
        });
        let recovered = chain.recover(|error| match error {
            TaskError::Panicked(panic) if panic.message() == "in the middle" => 7,
            other => unreachable!("{other:?}"),
        });
        assert_eq!(recovered.join().unwrap(), 7);
    });
}

#[test]
fn recover_leaves_a_value_alone_and_needs_no_worker_for_it() {
    within(PATIENCE, || {
        let pool = pool(1);
        let drops = Drops::default();
        let token = drops.token();
        let task = pool.spawn(|| 5_u32);
        while !task.is_finished() {
            std::thread::yield_now();
        }
        let busy = occupy(&pool, 1);
        let same = task.recover(move |_| {
            drop(token);
            unreachable!("there was a value")
        });
        assert!(same.is_finished(), "a value is passed on where it is");
        assert_eq!((same.join().unwrap(), drops.count()), (5, 1));
        busy.release();
    });
}

#[test]
fn finally_runs_after_a_value_a_panic_and_a_cancel() {
    within(PATIENCE, || {
        let pool = pool(1);
        let runs = Arc::new(AtomicUsize::new(0));
        let count = || {
            let runs = Arc::clone(&runs);
            move || {
                runs.fetch_add(1, Ordering::SeqCst);
            }
        };
        assert_eq!(pool.spawn(|| 1).finally(count()).join().unwrap(), 1);
        assert!(failing(&pool).finally(count()).join().unwrap_err().is_panicked());
        let busy = occupy(&pool, 1);
        let cancelled = pool.spawn(|| 1);
        cancelled.cancel();
        let cancelled = cancelled.finally(count());
        busy.release();
        assert!(cancelled.join().unwrap_err().is_cancelled());
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn a_continuation_holds_no_worker_while_it_waits() {
    within(PATIENCE, || {
        let pool = pool(1);
        let gate = Gate::default();
        let other = WorkerPool::with_workers(1).unwrap();
        let held = gate.clone();
        let waiting = other.spawn(move || held.wait()).then(|()| 1);
        let more: Vec<_> = (0..100).map(|n| pool.spawn(move || n).then(|n| n * 2)).collect();
        let sum: i32 = more.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, 9_900);
        assert!(!waiting.is_finished());
        gate.open();
        assert_eq!(waiting.join().unwrap(), 1);
    });
}

#[test]
fn it_runs_on_a_worker_of_the_pool_of_the_first_task() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            let pool = WorkerPool::builder()
                .workers(2)
                .dispatch(dispatch)
                .thread_name(|id| format!("chain-{id}"))
                .record_timing(true)
                .build()
                .unwrap();
            let name = || std::thread::current().name().unwrap_or("").to_owned();
            let chain = pool.spawn(name).then(move |first| (first, name()));
            let (first, second) = chain.join().unwrap();
            assert!(first.starts_with("chain-") && second.starts_with("chain-"));
            assert_eq!(pool.metrics().run_time.unwrap().count(), 2);
        }
    });
}

#[test]
fn cancelling_the_end_cancels_what_stands_before_it() {
    within(PATIENCE, || {
        let pool = pool(1);
        let busy = occupy(&pool, 1);
        let drops = Drops::default();
        let tokens = [drops.token(), drops.token(), drops.token()];
        let [a, b, c] = tokens;
        let end = pool.spawn(move || drop(a)).then(move |()| drop(b)).then(move |()| drop(c));
        assert!(end.cancel());
        assert_eq!(drops.count(), 3, "each closure is dropped at once");
        assert!(end.join().unwrap_err().is_cancelled());
        busy.release();
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.spawned, metrics.cancelled, metrics.queue_depth), (4, 3, 0));
    });
}

#[test]
fn cancelling_the_end_asks_a_running_beginning_to_stop() {
    within(PATIENCE, || {
        let pool = pool(1);
        let (running, started) = mpsc::channel();
        let end = pool
            .spawn_with(move |cx| {
                running.send(()).unwrap();
                while !cx.is_cancelled() {
                    std::hint::spin_loop();
                }
            })
            .then(|()| unreachable!("it is cancelled"));
        started.recv().unwrap();
        assert!(end.cancel());
        pool.shutdown();
        assert!(end.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn cancel_on_drop_is_handed_on_and_a_dropped_end_is_detached() {
    within(PATIENCE, || {
        let pool = pool(1);
        let busy = occupy(&pool, 1);
        let ran = Arc::new(Mutex::new(Vec::new()));
        let note = |what: &'static str| {
            let ran = Arc::clone(&ran);
            move || ran.lock().unwrap().push(what)
        };
        let (one, two, three, four) = (note("one"), note("two"), note("three"), note("four"));
        drop(pool.spawn(one).cancel_on_drop().then(move |()| two()));
        drop(pool.spawn(three).then(move |()| four()));
        busy.release();
        pool.shutdown();
        assert_eq!(*ran.lock().unwrap(), ["three", "four"]);
    });
}

#[test]
fn what_was_accepted_before_the_end_of_the_pool_still_has_its_continuations() {
    within(PATIENCE, || {
        let pool = pool(1);
        let busy = occupy(&pool, 1);
        let chain = pool.spawn(|| 1).then(|n| n + 1).then(|n| n + 1);
        pool.close();
        busy.release();
        pool.shutdown();
        assert_eq!(chain.join().unwrap(), 3);
    });
}

#[test]
fn on_a_pool_that_has_ended_a_continuation_is_refused() {
    within(PATIENCE, || {
        let pool = pool(1);
        let task = pool.spawn(|| 1);
        pool.shutdown();
        let late = task.then(|n| n + 1);
        assert!(matches!(late.join(), Err(TaskError::Rejected(Refusal::Closed))));
        let pool = WorkerPool::with_workers(1).unwrap();
        let task = pool.spawn(|| 1);
        drop(pool);
        assert!(matches!(task.then(|n| n + 1).join(), Err(TaskError::Rejected(Refusal::Closed))));
    });
}

#[test]
fn a_refused_task_refuses_what_stands_behind_it() {
    within(PATIENCE, || {
        let pool = pool(1);
        pool.close();
        let chain = pool.spawn(|| 1).then(|n| n + 1).then(|n| n + 1);
        assert!(chain.is_finished());
        assert!(matches!(chain.join(), Err(TaskError::Rejected(Refusal::Closed))));
    });
}

#[test]
fn continuations_need_no_room_in_a_full_pool() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder().workers(1).queue_capacity(0).build().unwrap();
        let gate = Gate::default();
        let held = gate.clone();
        let chain = pool.spawn(move || held.wait()).then(|()| 1).then(|n| n + 1);
        gate.open();
        assert_eq!(chain.join().unwrap(), 2);
    });
}

#[test]
fn a_chain_can_be_awaited_and_combined() {
    within(PATIENCE, || {
        let pool = pool(2);
        let sum = pollster::block_on(async {
            let one = pool.spawn(|| 1).then(|n| n + 1).await.unwrap();
            let more =
                corepool::promise::all((0..10).map(|n| pool.spawn(move || n).then(|n| n * 2)));
            one + more.await.unwrap().into_iter().sum::<i32>()
        });
        assert_eq!(sum, 92);
    });
}

#[test]
fn a_handle_that_was_polled_before_wakes_the_chain_and_nobody_else() {
    within(PATIENCE, || {
        use std::future::Future;
        use std::pin::Pin;
        use std::task::{Context, Waker};
        let pool = pool(1);
        let busy = occupy(&pool, 1);
        let mut task = pool.spawn(|| 3);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut task).poll(&mut cx).is_pending());
        let chain = task.then(|n| n + 1);
        busy.release();
        assert_eq!(chain.join().unwrap(), 4);
    });
}

#[test]
fn a_handle_that_was_polled_is_continued_while_its_task_settles() {
    within(6 * PATIENCE, || {
        use std::future::Future;
        use std::pin::Pin;
        use std::task::{Context, Waker};
        let pool = pool(1);
        let mut cx = Context::from_waker(Waker::noop());
        for round in 0..if cfg!(any(corepool_chaos, corepool_tsan)) { 500 } else { 20_000 } {
            let mut task = pool.spawn(|| 1);
            if Pin::new(&mut task).poll(&mut cx).is_ready() {
                continue;
            }
            for _ in 0..round % 400 {
                std::hint::spin_loop();
            }
            assert_eq!(task.then(|n| n + 1).join().unwrap(), 2);
        }
    });
}

#[test]
fn a_shutdown_that_gives_up_settles_continuations_too() {
    within(PATIENCE, || {
        let pool = Arc::new(pool(1));
        let (go, wait) = mpsc::channel::<()>();
        let (give, get) = mpsc::channel();
        let inner = Arc::clone(&pool);
        let stuck = pool.spawn(move || {
            give.send(inner.spawn(|| 1).finally(|| ())).unwrap();
            drop(inner);
            wait.recv().unwrap();
        });
        let end: TaskHandle<u32> = get.recv().unwrap();
        pool.shutdown_timeout(std::time::Duration::from_millis(5));
        assert!(end.join().unwrap_err().is_cancelled());
        go.send(()).unwrap();
        stuck.join().unwrap();
    });
}

#[test]
fn a_drop_inside_a_chain_that_fails_may_wait_for_another_chain() {
    struct OnDrop<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            self.0.take().unwrap()();
        }
    }
    within(PATIENCE, || {
        let pool = Arc::new(pool(1));
        let busy = occupy(&pool, 1);
        let token = corepool::CancelToken::new();
        let inner = Arc::clone(&pool);
        let on_drop = OnDrop(Some(move || {
            let other = inner.spawn(|| 1);
            other.cancel();
            assert!(other.then(|n| n + 1).join().unwrap_err().is_cancelled());
        }));
        let end = pool.task().cancel_token(&token).spawn(|| 1).then(move |_| drop(on_drop));
        token.cancel();
        assert!(end.join().unwrap_err().is_cancelled());
        busy.release();
    });
}
