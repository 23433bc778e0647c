//! The clock that the tests set: what this process gets when it asks for monotonic time.

use std::sync::RwLock;
use std::time::{Duration, Instant};

const SECOND: i128 = 1_000_000_000;
const YEAR: u64 = 365 * 24 * 60 * 60;

/// Shows `shown` when the true clock shows `since`, and from then on runs at 1/`slowness` of its
/// speed; if `slowness` is `None`, it stands still.
#[derive(Debug, Clone, Copy)]
struct Hands {
    since: i128,
    shown: i128,
    slowness: Option<i128>,
}

static HANDS: RwLock<Hands> = RwLock::new(Hands { since: 0, shown: 0, slowness: Some(1) });

impl Hands {
    fn show(&self, now: i128) -> i128 {
        self.shown + self.slowness.map_or(0, |slowness| (now - self.since) / slowness)
    }
}

fn turn(change: impl FnOnce(&mut Hands)) {
    let mut hands = HANDS.write().unwrap();
    let now = true_time();
    *hands = Hands { since: now, shown: hands.show(now), ..*hands };
    change(&mut hands);
}

pub(crate) fn stop() {
    turn(|hands| hands.slowness = None);
}

pub(crate) fn go_on() {
    turn(|hands| hands.slowness = Some(1));
}

pub(crate) fn slow_down(slowness: i128) {
    turn(|hands| hands.slowness = Some(slowness));
}

pub(crate) fn jump(time: Duration) {
    turn(|hands| hands.shown += time.as_nanos() as i128);
}

pub(crate) fn jump_back(time: Duration) {
    turn(|hands| hands.shown -= time.as_nanos() as i128);
}

/// Stops the clock this long before the last instant that can be represented.
pub(crate) fn stop_before_the_end(time: Duration) {
    turn(|hands| {
        hands.shown = (i128::from(i64::MAX) + 1) * SECOND - time.as_nanos() as i128;
        hands.slowness = None;
    });
}

pub(crate) fn years(count: u64) -> Duration {
    Duration::from_secs(count * YEAR)
}

/// Waits by the true clock, long enough for a thread to act if it misjudges the time.
pub(crate) fn wait_truly(time: Duration) {
    let end = true_time() + time.as_nanos() as i128;
    while true_time() < end {
        std::thread::yield_now();
    }
}

/// Asserts that the standard library reads this clock.
pub(crate) fn expect_to_be_asked() {
    stop();
    let now = Instant::now();
    jump(years(1));
    assert_eq!(Instant::now() - now, years(1), "somebody else's clock is asked");
    go_on();
}

/// The ids of this process's threads that have this name.
pub(crate) fn threads_named(name: &str) -> Vec<libc::pid_t> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let is_named = |thread: &std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let number = |thread: std::fs::DirEntry| thread.file_name().to_str()?.parse().ok();
    threads.filter(is_named).filter_map(number).collect()
}

fn true_time() -> i128 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to `time`, which is valid for the whole call.
    let failed =
        unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time) };
    assert_eq!(failed, 0, "the kernel has a monotonic clock");
    i128::from(time.tv_sec) * SECOND + i128::from(time.tv_nsec)
}

/// What the standard library calls. Clocks other than the monotonic one are right.
///
/// # Safety
/// - `time` must be valid for writes.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    if clock != libc::CLOCK_MONOTONIC {
        // SAFETY: the caller promises that `time` may be written to.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as libc::c_int;
    }
    let shown = HANDS.read().map_or(0, |hands| hands.show(true_time()));
    let shown = libc::timespec {
        tv_sec: (shown / SECOND) as libc::time_t,
        tv_nsec: (shown % SECOND) as libc::c_long,
    };
    // SAFETY: the caller promises that `time` may be written to.
    unsafe { time.write(shown) };
    0
}
