//! Small programs for Miri, which checks every memory access of a run for undefined behavior: see
//! `ci/miri.sh`.
//!
//! Each program makes a part of the library's unsafe code do everything it can, with few threads
//! and steps, because Miri is a thousand times slower than native execution. They run as ordinary
//! tests too, so that a wrong program is noticed without Miri.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use corepool::shared::{self, WaitResult};
use corepool::{
    CancelToken, Pinning, Priority, SharedArray, TaskError, TaskSet, WhenFull, WorkerLocal,
    WorkerPool, promise,
};
use pollster::FutureExt;

fn pool(workers: usize) -> WorkerPool {
    WorkerPool::builder().workers(workers).pinning(Pinning::None).build().unwrap()
}

/// Panics without calling the hook, because printing is slow under Miri.
fn unwind() -> ! {
    panic::resume_unwind(Box::new("on purpose"))
}

#[test]
fn tasks_give_their_results_by_every_way() {
    let pool = pool(2);
    let owned = Arc::new(());
    let given = || (Arc::clone(&owned), vec![1_u8; 3]);
    let joined = pool.spawn({
        let given = given();
        move || given
    });
    let awaited = pool.spawn({
        let given = given();
        move || given
    });
    let dropped = pool.spawn({
        let given = given();
        move || given
    });
    let panics = pool.spawn(|| -> u32 { unwind() });
    let cancelled = pool.spawn({
        let given = given();
        move || given
    });
    let was_cancelled = cancelled.cancel();
    drop(dropped);
    assert_eq!(awaited.block_on().unwrap().1, [1; 3]);
    assert_eq!(joined.join().unwrap().1, [1; 3]);
    assert!(matches!(panics.join(), Err(TaskError::Panicked(_))));
    assert_eq!(cancelled.join().is_err(), was_cancelled);
    pool.spawn(given().0.clone_drop()).detach();
    drop(pool);
    assert_eq!(Arc::strong_count(&owned), 1, "something was leaked");
}

/// A closure that owns a value and returns nothing.
trait CloneDrop {
    fn clone_drop(self) -> impl FnOnce() + Send + 'static;
}

impl CloneDrop for Arc<()> {
    fn clone_drop(self) -> impl FnOnce() + Send + 'static {
        move || drop(self)
    }
}

#[test]
fn tasks_are_joined_inside_of_tasks_and_followed_by_others() {
    let pool = Arc::new(pool(1));
    let inner = Arc::clone(&pool);
    let outer = pool.spawn(move || inner.spawn(|| 20).join().unwrap() + 1);
    let followed = outer.then(|value| value * 2).finally(|| ());
    let recovered = pool.spawn(|| -> u32 { unwind() }).recover(|_| 7);
    assert_eq!((followed.join().unwrap(), recovered.join().unwrap()), (42, 7));
}

#[repr(align(64))]
struct Aligned([u8; 100]);

/// Tasks of every size and alignment: pieces of strips (memory blocks that a thread cuts into
/// tasks), and allocations of their own.
#[test]
fn strips_are_cut_and_freed_by_other_threads() {
    fn row<const SIZE: usize>(pool: &WorkerPool) {
        let handles: Vec<_> = (0..20_u8)
            .map(|seed| {
                let bytes = [seed; SIZE];
                pool.spawn(move || bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>())
            })
            .collect();
        for (seed, handle) in (0..).zip(handles) {
            // The worker frees every third task.
            if seed % 3 != 0 {
                assert_eq!(handle.join().unwrap(), seed * SIZE as u32);
            }
        }
    }
    let pool = Arc::new(pool(2));
    let other = Arc::clone(&pool);
    // A strip outlives the thread that cut it.
    let left = thread::spawn(move || {
        row::<40>(&other);
        other.spawn(|| 5)
    });
    row::<0>(&pool);
    row::<24>(&pool);
    row::<200>(&pool);
    let aligned = Aligned([3; 100]);
    assert_eq!(pool.spawn(move || aligned.0[99]).join().unwrap(), 3);
    assert_eq!(left.join().unwrap().join().unwrap(), 5);
}

#[test]
fn a_queue_is_pushed_popped_and_swept_at_once() {
    let pool = Arc::new(pool(2));
    let ran = Arc::new(AtomicUsize::new(0));
    let submitters: Vec<_> = (0..2)
        .map(|number| {
            let (pool, ran) = (Arc::clone(&pool), Arc::clone(&ran));
            thread::spawn(move || {
                let mut cancelled = 0;
                for step in 0..24 {
                    let priority = [Priority::High, Priority::Normal, Priority::Low][step % 3];
                    let ran = Arc::clone(&ran);
                    let task = pool.task().priority(priority);
                    let handle = task.spawn(move || ran.fetch_add(1, Ordering::Relaxed));
                    if (step + number) % 2 == 0 {
                        cancelled += usize::from(handle.cancel());
                    }
                    handle.detach();
                }
                cancelled
            })
        })
        .collect();
    let cancelled: usize = submitters.into_iter().map(|submitter| submitter.join().unwrap()).sum();
    Arc::try_unwrap(pool).unwrap().shutdown();
    assert_eq!(ran.load(Ordering::Relaxed) + cancelled, 48);
}

#[test]
fn a_full_queue_drops_its_oldest() {
    let pool = WorkerPool::builder()
        .workers(1)
        .pinning(Pinning::None)
        .queue_capacity(2)
        .when_full(WhenFull::DropOldest)
        .build()
        .unwrap();
    let handles: Vec<_> = (0..12).map(|number| pool.spawn(move || vec![number])).collect();
    let last = handles.into_iter().map(|handle| handle.join()).last().unwrap();
    assert_eq!(last.unwrap(), [11]);
}

/// Closures of many sizes, about 36 KiB of them at once, so that a chunk of 32 KiB is filled,
/// emptied and reclaimed.
#[test]
fn an_arena_holds_the_closures_of_a_scope() {
    let pool = pool(2);
    let sum = AtomicUsize::new(0);
    pool.scope(|scope| {
        for number in 0..70_usize {
            let (small, large, sum) = (number, [number; 120], &sum);
            if number % 2 == 0 {
                scope.spawn(move || sum.fetch_add(large[119], Ordering::Relaxed));
            } else {
                scope.spawn(move || {
                    scope.spawn(move || sum.fetch_add(small, Ordering::Relaxed));
                });
            }
        }
    });
    assert_eq!(sum.load(Ordering::Relaxed), (0..70).sum());
}

#[test]
fn a_scope_lends_what_its_frame_holds() {
    let pool = pool(2);
    let mut numbers = [1, 2, 3, 4, 5, 6];
    let (left, right) = numbers.split_at_mut(3);
    let total = pool.scope(|scope| {
        let left = scope.spawn(|| {
            left.iter_mut().for_each(|number| *number *= 10);
            left.iter().sum::<i32>()
        });
        let right = scope.spawn(|| right.iter().sum::<i32>());
        let dropped = scope.spawn(|| vec![0; 9]);
        drop(dropped);
        left.join().unwrap() + right.join().unwrap()
    });
    assert_eq!((total, numbers), (75, [10, 20, 30, 4, 5, 6]));
    let caught =
        panic::catch_unwind(|| pool.scope(|scope| drop(scope.spawn(|| -> u32 { unwind() }))));
    // Either the dropped handle discards the panic, or the scope passes it on.
    drop(caught);
}

#[test]
fn fork_join_reaches_into_the_callers_frame() {
    fn fibonacci(pool: &WorkerPool, n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (a, b) = pool.join(|| fibonacci(pool, n - 1), || fibonacci(pool, n - 2));
        a + b
    }
    let pool = pool(2);
    assert_eq!(fibonacci(&pool, 7), 13);
    let text = String::from("lent");
    let caught = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        pool.join(|| text.len(), || -> usize { unwind() })
    }));
    assert!(caught.is_err());
    assert_eq!(pool.install(|| text.len()), 4);
}

#[test]
fn loops_fill_their_results_from_several_threads() {
    let pool = pool(2);
    let squares = pool.map(0..40_usize, |number| vec![number * number]);
    assert!(squares.iter().enumerate().all(|(number, square)| square[0] == number * number));
    let mut numbers: Vec<u64> = (0..40).collect();
    pool.for_each_mut(&mut numbers, |number| *number += 1);
    assert_eq!(pool.map_reduce(&numbers, |&number| number, |a, b| a + b), Some(820));
    let caught = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        pool.map(0..12_usize, |number| if number == 7 { unwind() } else { vec![number] })
    }));
    assert!(caught.is_err());
}

#[test]
fn a_batch_lies_in_one_piece_of_memory() {
    let pool = pool(2);
    let owned = Arc::new(());
    let batch = pool.spawn_batch((0..12_u32).map(|number| {
        let owned = Arc::clone(&owned);
        move || if number == 5 { unwind() } else { (owned, number) }
    }));
    let given: Vec<_> = batch.collect();
    assert_eq!(given.iter().filter(|result| result.is_err()).count(), 1);
    drop(given);
    let owned_by_dropped = Arc::clone(&owned);
    let dropped = pool.spawn_batch((0..9).map(|_| {
        let owned = Arc::clone(&owned_by_dropped);
        move || owned
    }));
    dropped.cancel_all();
    drop((dropped, owned_by_dropped));
    pool.shutdown();
    assert_eq!(Arc::strong_count(&owned), 1, "something was leaked");
}

/// The task takes single items from the front, so the ranges behind them lie in two blocks.
#[test]
fn a_batch_that_a_task_has_begun_is_taken_outside() {
    let pool = pool(1);
    let owned = Arc::new(());
    let rest = pool.install(|| {
        let mut batch = pool.spawn_batch((0..20_u8).map(|number| {
            let owned = Arc::clone(&owned);
            move || (owned, Box::new(number))
        }));
        assert!((0..3).all(|_| batch.next().unwrap().is_ok()));
        batch
    });
    assert_eq!(rest.filter(Result::is_ok).count(), 17);
    pool.shutdown();
    assert_eq!(Arc::strong_count(&owned), 1, "something was leaked");
}

#[test]
fn many_handles_are_watched_as_one() {
    let pool = pool(2);
    let spawn = |number: u32| pool.spawn(move || number);
    assert_eq!(promise::all((0..4).map(spawn)).join().unwrap(), [0, 1, 2, 3]);
    assert!(promise::race((0..3).map(spawn)).block_on().unwrap() < 3);
    assert!(promise::any((0..3).map(spawn)).join().unwrap() < 3);
    let mut set: TaskSet<u32> = (0..4).map(spawn).collect();
    set.push(spawn(4));
    assert_eq!(set.map(Result::unwrap).sum::<u32>(), 10);
    let mapped: Vec<u32> =
        pool.map_ordered(0..8_u32, 3, |number| number * 2).map(Result::unwrap).collect();
    assert_eq!(mapped, [0, 2, 4, 6, 8, 10, 12, 14]);
}

#[test]
fn shared_memory_is_waited_on_by_threads_and_futures() {
    let cells: SharedArray<AtomicU32> = SharedArray::new(4);
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            let cells = cells.clone();
            thread::spawn(move || shared::wait(&cells[1], 0, None))
        })
        .collect();
    let future = {
        let cells = cells.clone();
        thread::spawn(move || shared::wait_async(&cells[1], 0).block_on())
    };
    assert_eq!(shared::wait(&cells[2], 0, Duration::from_millis(1)), WaitResult::TimedOut);
    drop(shared::wait_async(&cells[3], 0));
    cells[1].store(1, Ordering::SeqCst);
    shared::notify(&cells[1], usize::MAX);
    for waiter in waiters.into_iter().chain([future]) {
        assert_ne!(waiter.join().unwrap(), WaitResult::TimedOut);
    }
}

#[test]
fn a_token_is_heard_by_whoever_listens() {
    let pool = pool(1);
    let token = CancelToken::new();
    let (child, awaited) = (token.child(), token.child());
    let waiter = thread::spawn(move || child.wait());
    let task = pool.spawn_with(move |context| {
        while !context.is_cancelled() && !awaited.is_cancelled() {
            thread::yield_now();
        }
    });
    token.cancel();
    drop(waiter.join().unwrap());
    task.join().unwrap();
}

#[test]
fn each_worker_has_a_value_of_its_own() {
    let pool = pool(2);
    let local = WorkerLocal::new(Vec::new);
    pool.for_each(0..12_usize, |number| local.with(|seen| seen.push(number)));
    drop(pool);
    drop(local);
}

#[repr(align(256))]
struct Aligned256(Arc<()>);

/// Zero-sized items, and items with a larger alignment than their memory would otherwise have.
#[test]
fn items_of_any_shape_are_moved_in_and_out_of_a_batch() {
    let pool = pool(2);
    let owned = Arc::new(());
    let units = pool.spawn_batch((0..40).map(|_| || ()));
    let aligned = pool.spawn_batch((0..6).map(|_| {
        let closure = Aligned256(Arc::clone(&owned));
        move || closure
    }));
    let is_whole =
        |item: Aligned256| Arc::strong_count(&item.0) > 1 && (&raw const item).addr() % 256 == 0;
    assert!(aligned.map(Result::unwrap).all(is_whole));
    assert_eq!(units.filter(Result::is_ok).count(), 40);
    drop(pool);
    assert_eq!(Arc::strong_count(&owned), 1, "something was leaked");
}

/// The first half waits for the second, so a thief takes it from the line (the thread's row of
/// fork-join jobs) of a thread that does not look at it.
#[test]
fn a_line_is_frozen_while_its_owner_waits() {
    let pool = pool(2);
    let (left, right) = pool.install(|| {
        let (told, said) = (AtomicU32::new(0), String::from("lent"));
        corepool::join(
            || {
                while told.load(Ordering::Acquire) == 0 {
                    thread::yield_now();
                }
                said.len()
            },
            || {
                told.store(1, Ordering::Release);
                said.len()
            },
        )
    });
    assert_eq!((left, right), (4, 4));
}

#[test]
fn all_tasks_are_cancelled_at_once_and_waited_for() {
    let pool = pool(2);
    let owned = Arc::new(());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let owned = Arc::clone(&owned);
            pool.spawn(move || owned).finally(|| ())
        })
        .collect();
    pool.cancel_all();
    pool.drain();
    assert!(tasks.iter().all(corepool::TaskHandle::is_finished));
    drop((tasks, pool));
    assert_eq!(Arc::strong_count(&owned), 1, "something was leaked");
}
