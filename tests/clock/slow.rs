//! A clock that runs slowly: every wait lasts as long as the clock says, even if that is many times
//! as long in true time.

use std::time::{Duration, Instant};

use corepool::WorkerPool;
use corepool::shared::{self, WaitResult};

use crate::child::{is_child, run_again};
use crate::hands;

const WAIT: Duration = Duration::from_millis(10);
const SLOWNESS: i128 = 20;

#[test]
fn waits_last_as_long_as_a_slow_clock_says() {
    if !is_child() {
        return run_again(|_| ()).expect_success();
    }
    let pool = WorkerPool::builder().workers(1).record_timing(true).build().unwrap();
    hands::slow_down(SLOWNESS);
    let expect = |wait: &dyn Fn()| {
        let start = Instant::now();
        wait();
        assert!(start.elapsed() >= WAIT, "too early: {:?}", start.elapsed());
    };
    expect(&|| {
        let mut until_cancelled = pool.task().run_for(WAIT).spawn_with(|cx| {
            while !cx.is_cancelled() {
                std::thread::yield_now();
            }
        });
        let early = until_cancelled.join_timeout(WAIT / 2);
        assert!(early.is_none(), "it runs for twice as long");
        until_cancelled.join().unwrap();
    });
    expect(&|| {
        let cell = std::sync::atomic::AtomicU32::new(0);
        assert_eq!(shared::wait(&cell, 0, WAIT), WaitResult::TimedOut);
    });
    assert!(pool.metrics().run_time.unwrap().max() >= WAIT);
}
