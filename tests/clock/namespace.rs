//! A kernel time namespace where the true monotonic clock is more than a century ahead, in the vDSO
//! and in the kernel alike.

use std::process::Command;
use std::time::Duration;

use corepool::{CancelToken, TaskError, WorkerPool};

use crate::child::{is_child, run_again};

/// Seconds, 127 years. This is almost as far ahead as the kernel allows: half of 2^63 nanoseconds,
/// which are 292 years.
const AHEAD: &str = "4000000000";

/// Puts `unshare` before the command, which then starts in a namespace of its own.
fn ahead(command: &mut Command) {
    let mut outer = Command::new("unshare");
    outer.args(["--time", "--monotonic", AHEAD]).arg(command.get_program());
    outer.args(command.get_args()).stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        outer.env(name, value.expect("nothing is taken out"));
    }
    outer.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    *command = outer;
}

fn may_be_had() -> bool {
    let tried = Command::new("unshare").args(["--time", "--monotonic", AHEAD, "true"]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

#[test]
fn a_pool_works_where_the_kernels_clock_is_ahead() {
    if !is_child() {
        if may_be_had() {
            run_again(ahead).expect_success();
        } else {
            println!("SKIPPED: no time namespace may be had here");
        }
        return;
    }
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    assert!(uptime.len() > 1);
    let builder = WorkerPool::builder().workers(2).record_timing(true);
    let pool = builder.watchdog(Duration::from_millis(1)).build().unwrap();
    let handles: Vec<_> = (0..1_000).map(|n| pool.spawn(move || n)).collect();
    assert_eq!(handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u32>(), 499_500);
    // The task ends when its time is over and the gate is open, because the joining thread may be
    // late.
    let (may_end, ends) = std::sync::mpsc::channel();
    let mut held = pool.task().run_for(Duration::from_millis(5)).spawn_with(move |cx| {
        while !cx.is_cancelled() {
            std::thread::yield_now();
        }
        ends.recv().unwrap();
    });
    assert!(held.join_timeout(Duration::from_micros(10)).is_none(), "it runs for longer");
    may_end.send(()).unwrap();
    held.join().unwrap();
    let late = pool.task().start_within(Duration::ZERO).spawn(|| ()).join();
    assert!(matches!(late, Err(TaskError::Expired)));
    let token = CancelToken::with_timeout(Duration::from_millis(1));
    while !token.is_cancelled() {
        std::thread::yield_now();
    }
    assert!(pool.metrics().run_time.unwrap().max() < Duration::from_secs(3_600));
}
