//! A clock that jumps, by years and backwards: times that have passed are noticed, no sum
//! overflows, and no result is lost.
//!
//! A thread that already sleeps does so for the duration it asked for, because the kernel counts
//! that and not this clock. So after a jump a test sends a signal to the timer's thread, which then
//! finds everything that is due.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use corepool::{CancelToken, PoolEvent, TaskError, WorkerPool};

use crate::child::{is_child, run_again};
use crate::hands::{self, years};

const HOUR: Duration = Duration::from_secs(3_600);

/// Wakes the timer's thread repeatedly, so that it looks at the clock, until it has ended this
/// token.
fn ring(token: &CancelToken) {
    extern "C" fn nothing(_signal: libc::c_int) {}
    // SAFETY: the handler does nothing, so it may run anywhere.
    unsafe { libc::signal(libc::SIGTRAP, nothing as *const () as libc::sighandler_t) };
    let process = std::process::id();
    while !token.is_cancelled() {
        for thread in hands::threads_named("corepool-timer") {
            // SAFETY: the signal is handled; if the thread has ended by now, it is just not found.
            unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGTRAP) };
        }
        std::thread::yield_now();
    }
}

#[test]
fn deadlines_have_passed_after_a_jump() {
    if !is_child() {
        return run_again(|_| ()).expect_success();
    }
    hands::expect_to_be_asked();
    let pool = WorkerPool::builder().workers(1).watchdog(HOUR).build().unwrap();
    let mut events = pool.events();
    let token = CancelToken::with_timeout(3 * HOUR);
    let (told, started) = mpsc::channel();
    // The task runs until the watchdog has seen it. The watchdog looks from its own thread, a
    // moment later.
    let (seen, was_seen) = mpsc::channel();
    let running = pool.task().run_for(2 * HOUR).spawn_with(move |cx| {
        told.send(()).unwrap();
        while !cx.is_cancelled() {
            std::thread::yield_now();
        }
        was_seen.recv().unwrap();
    });
    started.recv().unwrap();
    let late = pool.task().start_within(HOUR).spawn(|| ());
    let in_time = pool.task().start_within(years(500)).spawn(|| 5);
    hands::jump(years(400));
    ring(&token);
    let stuck = events.by_ref().find_map(|event| match event {
        PoolEvent::TaskStuck { running_for, .. } => Some(running_for),
        _ => None,
    });
    assert!(stuck.unwrap() >= years(400));
    seen.send(()).unwrap();
    running.join().unwrap();
    assert!(matches!(late.join(), Err(TaskError::Expired)));
    assert_eq!(in_time.join().unwrap(), 5);
}

#[test]
fn a_task_over_which_the_clock_jumps_counts_as_a_long_one() {
    if !is_child() {
        return run_again(|_| ()).expect_success();
    }
    let pool = WorkerPool::builder().workers(2).spare_workers(2).record_timing(true).build();
    let pool = pool.unwrap();
    // The second jump is longer than 64 bits of nanoseconds can hold.
    for jump in [years(300), years(1_000)] {
        pool.spawn(move || hands::jump(jump)).join().unwrap();
        let run_time = pool.metrics().run_time.unwrap();
        assert!(run_time.max() >= jump.min(Duration::from_nanos(u64::MAX)));
        assert!(run_time.quantile(1.0) >= HOUR);
        assert!(pool.metrics().to_string().lines().count() > 1);
    }
    assert_eq!(pool.metrics().run_time.unwrap().count(), 2);
    // Spare workers seem to have waited for years, and fork-join calls to have taken years. All of
    // it still works.
    for _ in 0..20 {
        hands::jump(years(1));
        assert_eq!(pool.spawn(|| corepool::blocking(|| 7)).join().unwrap(), 7);
        let jumping = || pool.join(|| hands::jump(HOUR), || hands::jump(years(1)));
        assert_eq!(jumping(), ((), ()));
        let add = |a, b| a + b;
        let slowly = |n: &u32| {
            hands::jump(HOUR);
            *n
        };
        assert_eq!(pool.map_reduce(&[1, 2, 3, 4], slowly, add), Some(10));
        pool.scope(|s| {
            s.spawn(|| hands::jump(years(1)));
            s.spawn(|| ());
        });
    }
}

#[test]
fn a_join_gives_up_or_gives_the_value_though_the_clock_jumps() {
    if !is_child() {
        return run_again(|_| ()).expect_success();
    }
    let pool = WorkerPool::with_workers(1).unwrap();
    for _ in 0..200 {
        let mut handle = pool.spawn(|| {
            hands::jump(years(1));
            7
        });
        let value = loop {
            if let Some(value) = handle.join_timeout(Duration::from_micros(50)) {
                break value;
            }
        };
        assert_eq!(value.unwrap(), 7);
    }
}

#[test]
fn a_clock_that_runs_backwards_does_no_harm() {
    if !is_child() {
        return run_again(|_| ()).expect_success();
    }
    hands::jump(years(10));
    let builder = WorkerPool::builder().workers(2).spare_workers(1).record_timing(true);
    let pool = builder.watchdog(Duration::from_millis(1)).build().unwrap();
    let start = Instant::now();
    for _ in 0..100 {
        let back = || hands::jump_back(Duration::from_millis(500));
        pool.spawn(back).join().unwrap();
        pool.join(back, back);
        pool.spawn(move || corepool::blocking(back)).join().unwrap();
        let numbers: Vec<u32> = (0..100).collect();
        pool.for_each(&numbers, |n| {
            if n % 50 == 0 {
                back()
            }
        });
        assert!(pool.spawn(|| 7).join_timeout(years(1)).unwrap().is_ok());
    }
    assert!(Instant::now() < start);
    assert!(pool.metrics().run_time.unwrap().count() >= 300);
    ring(&CancelToken::with_timeout(Duration::from_millis(1)));
}
