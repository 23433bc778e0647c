//! Atomics that disturb the schedule: before and after an access they sometimes yield, spin or
//! sleep.
//!
//! A late access to freed memory or a missing re-check shows itself only under an unlucky schedule.
//! On two quiet cores that schedule may not occur in a day. With disturbances at every access it
//! occurs in seconds.
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::time::Duration;
use std::sync::LazyLock;

/// How many of a thread's accesses count as its first ones.
const FIRST: u32 = 200;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
    static ACCESSES: Cell<u32> = const { Cell::new(0) };
}

/// With `COREPOOL_CHAOS=long` threads also lose their core for milliseconds, most often when they
/// have just started.
static PAUSES: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("COREPOOL_CHAOS").is_some_and(|noise| noise == "long"));

/// One step of xorshift, seeded with the address of the thread's own state.
fn next() -> u64 {
    STATE
        .try_with(|state| {
            let mut x = state.get();
            if x == 0 {
                x = core::ptr::from_ref(state).addr() as u64 | 1;
            }
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            state.set(x);
            x
        })
        .unwrap_or(1)
}

fn pause() {
    let before = ACCESSES.try_with(|accesses| accesses.replace(accesses.get().saturating_add(1)));
    let one_in = if before.is_ok_and(|before| before < FIRST) { 100 } else { 50_000 };
    if (next() >> 20) % one_in == 0 {
        std::thread::sleep(Duration::from_millis(1 + (next() >> 20) % 16));
    }
}

/// Usually does nothing; sometimes yields or spins briefly, and rarely sleeps.
pub(crate) fn disturb() {
    if *PAUSES {
        pause();
    }
    match next() >> 32 & 0x3ff {
        0 => std::thread::sleep(Duration::from_micros(50)),
        1..=8 => std::thread::yield_now(),
        9..=40 => (0..next() & 0xff).for_each(|_| core::hint::spin_loop()),
        _ => {}
    }
}

/// Makes one access, with a possible disturbance before and after it.
pub(super) fn around<R>(access: impl FnOnce() -> R) -> R {
    disturb();
    let result = access();
    disturb();
    result
}
