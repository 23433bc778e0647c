//! The last moments that an `Instant` can represent: a later time becomes the last instant, or now,
//! and nothing overflows.

use std::time::{Duration, Instant};

use corepool::shared::{self, WaitResult};
use corepool::{CancelToken, TaskSet, WorkerPool};

use crate::child::{is_child, run_again};
use crate::hands;

#[test]
fn a_pool_works_in_the_last_moments_of_the_clock() {
    if !is_child() {
        return run_again(|_| ()).expect_success();
    }
    hands::stop_before_the_end(Duration::from_millis(10));
    assert!(Instant::now().checked_add(Duration::from_secs(1)).is_none());
    let builder = WorkerPool::builder().workers(2).spare_workers(1).record_timing(true);
    let pool = builder.watchdog(Duration::MAX).build().unwrap();
    for time in [Duration::from_millis(1), Duration::from_secs(1), Duration::MAX] {
        let token = CancelToken::with_timeout(time);
        drop(token.child_with_timeout(time));
        let _either = pool.task().start_within(time).spawn(|| 1).join();
        assert_eq!(pool.task().run_for(time).spawn(|| 2).join().unwrap(), 2);
        let mut three = pool.spawn(|| 3);
        let _either = three.join_timeout(time).unwrap_or_else(|| three.join());
        let mut set = TaskSet::new();
        set.push(pool.spawn(|| 4));
        let _either = set.next_timeout(time);
        assert_eq!(
            shared::wait(&std::sync::atomic::AtomicU32::new(1), 0, time),
            WaitResult::NotEqual
        );
        assert_eq!(pool.join(|| 5, || 6), (5, 6));
        assert_eq!(pool.spawn(|| corepool::blocking(|| 7)).join().unwrap(), 7);
    }
    // The timer's thread has nothing left to time, and rests for a while that ends after the last
    // instant.
    hands::jump_back(Duration::from_secs(3_600));
    hands::go_on();
    drop(CancelToken::with_timeout(Duration::from_millis(1)));
    hands::stop_before_the_end(Duration::from_millis(10));
    drop(CancelToken::with_timeout(Duration::from_millis(1)));
    assert_eq!(pool.spawn(|| 8).join().unwrap(), 8);
    let _report = pool.shutdown_timeout(Duration::MAX);
}
