//! Futures that wait without a runtime, in the same line as the threads.

use std::sync::atomic::{AtomicI8, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::thread;

use corepool::shared::{self, UntilNotified, WaitResult};
use corepool::{SharedArray, WorkerPool};

use super::{poll_once, run_all};
use crate::support::{PATIENCE, until, within};

const OK: Poll<WaitResult> = Poll::Ready(WaitResult::Ok);

#[test]
fn a_cell_with_another_value_is_not_waited_on() {
    let cell = AtomicU32::new(1);
    let mut wait = shared::wait_async(&cell, 0);
    assert_eq!(poll_once(&mut wait), Poll::Ready(WaitResult::NotEqual));
    assert_eq!(shared::notify(&cell, 1), 0);
}

#[test]
fn it_is_pending_until_it_is_notified() {
    let cell = AtomicI8::new(-1);
    let mut wait = shared::wait_async(&cell, -1);
    assert!(poll_once(&mut wait).is_pending());
    assert!(poll_once(&mut wait).is_pending());
    // As with threads, a changed value alone does not end the wait.
    cell.store(0, Ordering::SeqCst);
    assert!(poll_once(&mut wait).is_pending());
    assert_eq!(shared::notify(&cell, usize::MAX), 1);
    assert_eq!(shared::notify(&cell, usize::MAX), 0);
    assert_eq!(poll_once(&mut wait), OK);
}

#[test]
fn it_stands_in_line_from_its_first_poll() {
    let cell = AtomicU32::new(0);
    let mut first = shared::wait_async(&cell, 0);
    let mut second = shared::wait_async(&cell, 0);
    assert_eq!(shared::notify(&cell, 1), 0);
    assert!(poll_once(&mut second).is_pending());
    assert!(poll_once(&mut first).is_pending());
    assert_eq!(shared::notify(&cell, 1), 1);
    assert!(poll_once(&mut first).is_pending());
    assert_eq!(poll_once(&mut second), OK);
    assert_eq!(shared::notify(&cell, 1), 1);
    assert_eq!(poll_once(&mut first), OK);
}

#[test]
#[should_panic(expected = "polled again")]
fn a_poll_after_the_end_panics() {
    let cell = AtomicU32::new(1);
    let mut wait = shared::wait_async(&cell, 0);
    assert!(poll_once(&mut wait).is_ready());
    let _never = poll_once(&mut wait);
}

#[test]
fn many_cells_in_one_line_are_kept_apart() {
    // Ten waiters on each cell, mixed. With 64 lines (queues of waiters) some cells share a line.
    let cells = SharedArray::<AtomicU32>::new(200);
    let mut waits: Vec<_> =
        (0..2000).map(|number| shared::wait_async(&cells[number % 200], 0)).collect();
    assert!(waits.iter_mut().all(|wait| poll_once(wait).is_pending()));
    for cell in &cells {
        assert_eq!(shared::notify(cell, 3), 3);
    }
    // The first three rounds are the first three waiters of each cell.
    assert!(waits.drain(..600).all(|mut wait| poll_once(&mut wait) == OK));
    assert!(waits.iter_mut().all(|wait| poll_once(wait).is_pending()));
    for cell in &cells {
        assert_eq!(shared::notify(cell, usize::MAX), 7);
    }
    assert!(waits.iter_mut().all(|wait| poll_once(wait) == OK));
}

#[cfg(target_os = "linux")]
#[test]
fn threads_and_futures_stand_in_one_line() {
    use crate::support::{thread_number, until_asleep};
    within(PATIENCE, || {
        let cell = AtomicU32::new(0);
        let mut first = shared::wait_async(&cell, 0);
        let mut third = shared::wait_async(&cell, 0);
        assert!(poll_once(&mut first).is_pending());
        thread::scope(|threads| {
            let (started, starts) = std::sync::mpsc::channel();
            let cell = &cell;
            let second = threads.spawn(move || {
                started.send(thread_number()).unwrap();
                shared::wait(cell, 0, None)
            });
            until_asleep(starts.recv().unwrap());
            assert!(poll_once(&mut third).is_pending());

            assert_eq!(shared::notify(cell, 1), 1);
            assert_eq!(poll_once(&mut first), OK);
            assert!(poll_once(&mut third).is_pending());
            assert!(!second.is_finished());
            assert_eq!(shared::notify(cell, 1), 1);
            assert_eq!(second.join().unwrap(), WaitResult::Ok);
            assert!(poll_once(&mut third).is_pending());
            assert_eq!(shared::notify(cell, 1), 1);
            assert_eq!(poll_once(&mut third), OK);
        });
    });
}

#[test]
fn an_executor_of_a_few_lines_is_enough() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let cells = SharedArray::<AtomicU64>::new(100);
        let waits = (0..cells.len()).map(|number| {
            let cells = cells.clone();
            async move {
                while cells[number].load(Ordering::Acquire) == 0 {
                    shared::wait_async(&cells[number], 0).await;
                }
                cells[number].load(Ordering::Relaxed)
            }
        });
        let writers: Vec<_> = (0..cells.len())
            .map(|number| {
                let cells = cells.clone();
                pool.spawn(move || {
                    cells[number].store(number as u64 + 1, Ordering::Release);
                    shared::notify(&cells[number], 1);
                })
            })
            .collect();
        let mut values = run_all(waits);
        values.sort_unstable();
        assert!(values.into_iter().eq(1..=100));
        for writer in writers {
            writer.join().unwrap();
        }
    });
}

#[test]
fn a_block_with_a_clone_of_the_array_may_go_anywhere() {
    fn anywhere<F: Future + Send + 'static>(future: F) -> F {
        future
    }
    fn sent<T: Send + Sync + Unpin>(_: &T) {}
    within(PATIENCE, || {
        let cells = SharedArray::<AtomicU32>::new(8);
        sent(&shared::wait_async(&cells[0], 0));
        let inside = cells.clone();
        let wait = anywhere(async move {
            let wait: UntilNotified<'_, AtomicU32> = shared::wait_async(&inside[5], 0);
            wait.await
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.unwrap();
        let task = runtime.spawn(wait);
        until(|| shared::notify(&cells[5], 1) == 1);
        assert_eq!(runtime.block_on(task).unwrap(), WaitResult::Ok);
    });
}

#[test]
fn a_runtimes_timeout_takes_it_out_of_the_line() {
    within(PATIENCE, || {
        let cell = AtomicU32::new(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let moment = std::time::Duration::from_millis(1);
        let timed = async { tokio::time::timeout(moment, shared::wait_async(&cell, 0)).await };
        assert!(runtime.unwrap().block_on(timed).is_err());
        assert_eq!(shared::notify(&cell, 1), 0);
    });
}
