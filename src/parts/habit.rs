//! Predicts which worker a thread should wake, from what the thread tends to do next.
//!
//! Usually a submitter wakes a worker on another core (the far worker), which starts while the
//! submitter continues. But a submitter that hands in a task and then immediately sleeps until it
//! is done leaves its own core idle. Waking the other core then costs a wake-up from sleep in each
//! direction: 30 to 50 µs here, against 7 µs if the worker of the submitter's own core (the near
//! worker) runs the task. So a thread that has done this twice in a row wakes the near worker. If
//! it then submits more instead of waiting, the far worker is woken after all. If it computes
//! something of its own first, its next wake-up goes to the far worker again. In both cases the
//! habit is forgotten, so a wrong guess delays one task, not a series of them.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::base::clock;

/// How many trips of "wake one, then wait" make a habit.
const ENOUGH: u8 = 2;

/// A thread that waits within this time after it woke a worker has done no work of its own in
/// between. The time is long enough for the near worker to run a short task before its submitter
/// gets there.
const AT_ONCE: Duration = Duration::from_micros(20);

/// What a thread has done recently.
#[derive(Debug, Clone, Copy)]
struct Habit {
    /// Trips of "wake one, then wait at once" in a row.
    trips: u8,
    /// When it last woke a worker. The clock is read for this only where a system call is made
    /// anyway.
    woke: Option<Instant>,
}

/// Which worker the thread's last push woke, if the thread did nothing since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    Nobody,
    Far,
    Near,
}

/// Which worker to wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefer {
    /// One whose core is not the caller's.
    Far,
    /// The one on the caller's core.
    Near,
}

crate::base::sync::thread_local! {
    /// Kept separately, because every push and every join reads it.
    static WOKEN: Cell<Woken> = const { Cell::new(Woken::Nobody) };
    static HABIT: Cell<Habit> = const { Cell::new(Habit { trips: 0, woke: None }) };
}

/// Called before a push. Returns whether the previous push woke the near worker and the thread has
/// not waited since. If so, the far worker must be woken as well.
#[inline]
pub(crate) fn goes_on() -> bool {
    match woken() {
        Woken::Nobody => false,
        woken => {
            keep(Woken::Nobody, Habit { trips: 0, woke: None });
            woken == Woken::Near
        }
    }
}

/// Called when the thread is about to wake a worker.
pub(crate) fn wakes() -> Prefer {
    wakes_at(clock::now())
}

fn wakes_at(now: Instant) -> Prefer {
    let trips = trips();
    let woke = Some(now);
    if trips < ENOUGH {
        keep(Woken::Far, Habit { trips, woke });
        Prefer::Far
    } else {
        keep(Woken::Near, Habit { trips, woke });
        Prefer::Near
    }
}

/// Called when the thread waits for a task. It need not have to sleep: the worker that it woke on
/// its own core may already have run the task. Returns whether a worker needs the thread's core for
/// that task; if so, the thread should sleep at once.
#[inline]
pub(crate) fn waits() -> bool {
    let woken = woken();
    if woken != Woken::Nobody {
        waits_at(clock::now());
    }
    woken == Woken::Near
}

#[cold]
fn waits_at(now: Instant) {
    let woke = HABIT.try_with(Cell::get).ok().and_then(|habit| habit.woke);
    let since = woke.map(|woke| now.saturating_duration_since(woke));
    let at_once = since.is_some_and(|since| since < AT_ONCE);
    let trips = if at_once { trips().saturating_add(1) } else { 0 };
    keep(Woken::Nobody, Habit { trips, woke: None });
}

#[inline]
fn woken() -> Woken {
    WOKEN.try_with(Cell::get).unwrap_or(Woken::Nobody)
}

fn trips() -> u8 {
    HABIT.try_with(Cell::get).map_or(0, |habit| habit.trips)
}

#[cold]
fn keep(woken: Woken, habit: Habit) {
    let _kept = WOKEN.try_with(|kept| kept.set(woken));
    let _kept = HABIT.try_with(|kept| kept.set(habit));
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, Prefer, clock, goes_on, waits_at, wakes_at};

    #[test]
    fn two_trips_make_a_habit_and_a_second_push_breaks_it() {
        let now = clock::now();
        for _ in 0..2 {
            assert!(!goes_on());
            assert_eq!(wakes_at(now), Prefer::Far);
            waits_at(now);
        }
        assert!(!goes_on());
        assert_eq!(wakes_at(now), Prefer::Near);
        assert!(goes_on(), "the near worker was woken, and here is more");
        assert!(!goes_on(), "told once");
        assert_eq!(wakes_at(now), Prefer::Far);
    }

    #[test]
    fn who_computes_before_it_waits_makes_no_habit() {
        let now = clock::now();
        for _ in 0..5 {
            assert_eq!(wakes_at(now), Prefer::Far);
            waits_at(now + 2 * AT_ONCE);
        }
    }
}
