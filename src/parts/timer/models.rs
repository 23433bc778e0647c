//! Models of the timer: an alarm is set or cancelled while the thread goes to sleep. Time does not
//! advance in a model.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as Count, Ordering::SeqCst};
use std::time::{Duration, Instant};

use loom::thread;

use super::{Bell, Errand, LINGER, Step, Thread, Timer};
use crate::base::clock;
use crate::base::sync::explore;

const HOUR: Duration = Duration::from_secs(3600);

loom::lazy_static! {
    // Each schedule has its own timer.
    static ref TIMER: Timer = Timer::new(std::process::id());
}

#[derive(Default)]
struct Counts(Count);

impl Bell for Counts {
    fn ring(self: Arc<Self>) -> Vec<Errand> {
        self.0.fetch_add(1, SeqCst);
        Vec::new()
    }
}

fn bell() -> (Arc<Counts>, Arc<Counts>) {
    let bell = Arc::new(Counts::default());
    (Arc::clone(&bell), bell)
}

/// The thread counts as running, so that no real one is started.
fn timer() -> &'static Timer {
    TIMER.agenda.lock().thread = Thread::Awake;
    &TIMER
}

/// The same steps as `Timer::run`, at the time `now`, until the next sleep ends no later than
/// `until`.
fn serve(timer: &'static Timer, now: Instant, until: Instant) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        loop {
            let step = timer.agenda.lock().step(now);
            match step {
                Step::Ring(bell) => assert!(bell.ring().is_empty()),
                Step::LookAfter(_) => unreachable!("no courier has anything to do"),
                Step::SleepUntil(end) if end <= until => return,
                Step::SleepUntil(_) => timer.parker.park(),
                Step::End => return,
            }
        }
    })
}

/// The thread sleeps for an hour, or is about to, when an alarm is set that is due now.
#[test]
fn an_alarm_is_set_while_the_thread_lies_down() {
    explore(|| {
        let (timer, now) = (timer(), clock::now());
        let (far, (soon, rings)) = (bell(), bell());
        let later = timer.set(now + HOUR, far.0);
        let thread = serve(timer, now, now + LINGER);
        let alarm = timer.set(now, soon);
        // Once this alarm is gone, only the rest remains.
        drop(later);
        thread.join().unwrap();
        assert_eq!(rings.0.load(SeqCst), 1);
        drop(alarm);
    });
}

/// With nothing left to time, the thread does not sleep on for the hour of the last alarm.
#[test]
fn the_last_alarm_is_called_off_while_the_thread_lies_down() {
    explore(|| {
        let (timer, now) = (timer(), clock::now());
        let (bell, rings) = bell();
        let alarm = timer.set(now + HOUR, bell);
        let thread = serve(timer, now, now + 2 * LINGER);
        drop(alarm);
        thread.join().unwrap();
        assert_eq!(rings.0.load(SeqCst), 0);
    });
}

/// It rings or it does not. Either way its bell is dropped, and nothing is left in the tree.
#[test]
fn an_alarm_is_called_off_at_the_moment_when_it_rings() {
    explore(|| {
        let (timer, now) = (timer(), clock::now());
        let (bell, rings) = bell();
        let alarm = timer.set(now, bell);
        let thread = serve(timer, now, now + 2 * LINGER);
        drop(alarm);
        assert!(timer.agenda.lock().alarms.is_empty());
        thread.join().unwrap();
        assert!(rings.0.load(SeqCst) <= 1);
        assert_eq!(Arc::strong_count(&rings), 1, "its bell is gone");
    });
}

/// Whichever alarm is set first, the thread sees both.
#[test]
fn two_alarms_are_set_at_once() {
    explore(|| {
        let (timer, now) = (timer(), clock::now());
        let (far, (soon, rings)) = (bell(), bell());
        let later = timer.set(now + HOUR, far.0);
        let other = thread::spawn(move || {
            let (bell, _) = bell();
            drop(timer.set(now + HOUR / 2, bell));
        });
        let thread = serve(timer, now, now + LINGER);
        let alarm = timer.set(now, soon);
        other.join().unwrap();
        drop(later);
        thread.join().unwrap();
        assert_eq!(rings.0.load(SeqCst), 1);
        drop(alarm);
    });
}
