//! One thread for all deadlines of the process: it rings a bell at an instant.
//!
//! The thread is created when the first alarm is set. It sleeps until the earliest alarm, and ends
//! when there has been no alarm for a while; the next alarm creates another thread. Alarms are kept
//! in a tree ordered by time. A cancelled alarm is removed from it at once, so nothing piles up.
//! Setting an alarm wakes the thread only if the thread would sleep past it.
//!
//! If the system refuses the thread, the existing alarms stay, and each later alarm asks for a
//! thread again. The first thread that is granted rings all alarms that are due. An error would be
//! of no use to the caller that sets a deadline, and ringing at once would end work that still has
//! time.
//!
//! The thread never sleeps past an alarm. Under one lock it looks at the alarms and records until
//! when it will sleep. Under the same lock the caller that sets an alarm adds it and checks until
//! when the thread sleeps. So either the thread sees the alarm, or the caller sees that the thread
//! sleeps too long and gives it a token. A token that comes before the sleep ends the sleep at
//! once.
//!
//! No user code runs on this thread, because the drop of a single closure could wait forever and
//! delay every other deadline. A bell only marks tokens and claims tasks. It returns everything
//! else as errands (jobs that may call user code), which the [couriers] run.
#![forbid(unsafe_code)]

mod couriers;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

#[cfg(corepool_loom)]
use loom::sync::MutexGuard;

use crate::base::clock;
#[cfg(corepool_loom)]
use crate::base::sync::Mutex;
use crate::os::affinity;
use crate::os::heritage;
use crate::os::lineage;
use crate::parts::parker::Parker;
// Not from `crate::base::sync` itself: the timer is in a static, and only models have a timer that
// is not.
#[cfg(not(corepool_loom))]
use crate::base::sync::lock::{Mutex, MutexGuard};
use crate::base::sync::thread;
use crate::base::unwind::AbortOnPanic;
use couriers::{Couriers, Progress};

pub(crate) use couriers::Errand;

/// How long the thread stays with nothing to time.
const LINGER: Duration = Duration::from_secs(2);

/// What an alarm rings.
pub(crate) trait Bell: Send + Sync {
    /// Runs on the timer's thread, which all other alarms need. So it calls no user code, never
    /// waits and never panics, and neither does its drop. It returns the remaining work as errands,
    /// whose panics do no harm.
    fn ring(self: Arc<Self>) -> Vec<Errand>;
}

/// Rings the bell at that time or soon after, or at once if the time has passed.
pub(crate) fn at(when: Instant, bell: Arc<dyn Bell>) -> Alarm {
    Timer::of_this_process().set(when, bell)
}

/// An alarm that is set. Dropping it cancels it.
///
/// The drop does not wait for a bell that is ringing at that moment.
#[must_use = "dropping the alarm calls it off"]
pub(crate) struct Alarm {
    timer: &'static Timer,
    key: Key,
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm").field(&self.key.0).finish()
    }
}

/// The time, and a number that distinguishes alarms with the same time.
type Key = (Instant, u64);

struct Timer {
    /// A forked child does not inherit threads, so it uses a timer of its own.
    process: u32,
    agenda: Mutex<Agenda>,
    parker: Parker,
    couriers: Couriers,
    /// The timer of a child that was forked from this process.
    of_child: OnceLock<Box<Self>>,
}

struct Agenda {
    alarms: BTreeMap<Key, Arc<dyn Bell>>,
    next_number: u64,
    thread: Thread,
    /// Whether an alarm was set since the thread last looked and found none.
    was_used: bool,
    /// The thread ends at this time if there is nothing to time.
    rest_ends: Instant,
    /// When to check on the couriers, while they have something to do. Set by the thread itself.
    watch: Option<Progress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thread {
    None,
    /// It will look at the agenda before it sleeps.
    Awake,
    AsleepUntil(Instant),
}

/// What the thread does next.
enum Step {
    Ring(Arc<dyn Bell>),
    LookAfter(Progress),
    SleepUntil(Instant),
    End,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let Some(mut agenda) = self.timer.agenda_unless_forked() else { return };
        mutant!("alarm_stays" => return);
        let bell = agenda.alarms.remove(&self.key);
        // If no alarm is left, the thread should end soon, not when the time of this alarm comes.
        let is_last = bell.is_some() && agenda.alarms.is_empty();
        let calls = is_last && agenda.end_sleep_past(clock::after(LINGER));
        drop(agenda);
        mutant!("alarm_gone_unsaid" => return drop(bell));
        if calls {
            self.timer.parker.unpark();
        }
        drop(bell);
    }
}

impl Timer {
    fn new(process: u32) -> Self {
        Self {
            process,
            agenda: Mutex::new(Agenda::new(clock::now())),
            parker: Parker::new(),
            couriers: Couriers::default(),
            of_child: OnceLock::new(),
        }
    }

    fn of_this_process() -> &'static Self {
        static FIRST: OnceLock<Timer> = OnceLock::new();
        let process = lineage::process();
        let mut timer = FIRST.get_or_init(|| Self::new(process));
        while timer.process != process {
            timer = timer.of_child.get_or_init(|| Box::new(Self::new(process)));
        }
        timer
    }

    fn set(&'static self, when: Instant, bell: Arc<dyn Bell>) -> Alarm {
        let mut agenda = self.agenda.lock();
        mutant!("alarm_asks_early" => {
            let calls = agenda.end_sleep_past(when);
            drop(agenda);
            return self.add(self.agenda.lock(), when, bell, |_| calls);
        });
        self.add(agenda, when, bell, |agenda| agenda.end_sleep_past(when))
    }

    fn add(
        &'static self,
        mut agenda: MutexGuard<'_, Agenda>,
        when: Instant,
        bell: Arc<dyn Bell>,
        calls: impl FnOnce(&mut Agenda) -> bool,
    ) -> Alarm {
        let key = agenda.add(when, bell);
        if agenda.thread == Thread::None && self.start() {
            agenda.thread = Thread::Awake;
        }
        let calls = calls(&mut agenda);
        drop(agenda);
        if calls {
            self.parker.unpark();
        }
        Alarm { timer: self, key }
    }

    /// Returns whether the system granted a thread. If not, the next alarm tries again.
    fn start(&'static self) -> bool {
        let thread = thread::Builder::new().name("corepool-timer".to_owned());
        thread.spawn(|| self.run()).is_ok()
    }

    /// The thread's main function.
    fn run(&'static self) {
        let _abort = AbortOnPanic;
        // The thread may have been started by a pinned worker whose niceness or signal mask user
        // code has changed.
        affinity::take_after_process();
        heritage::take_after_first_thread();
        heritage::hear_no_signals();
        loop {
            let step = self.agenda.lock().step(clock::now());
            match step {
                Step::Ring(bell) => {
                    let watch = self.couriers.send(bell.ring(), clock::now());
                    self.watch(watch);
                }
                Step::LookAfter(watch) => {
                    let watch = self.couriers.look_after(watch, clock::now());
                    self.watch(watch);
                }
                Step::SleepUntil(end) => {
                    let _early = self.parker.park_until(end);
                }
                Step::End => return,
            }
        }
    }

    fn watch(&self, watch: Option<Progress>) {
        if let Some(watch) = watch {
            // An earlier one stays, so that many alarms in a row do not postpone the check.
            self.agenda.lock().watch.get_or_insert(watch);
        }
    }

    /// Returns `None` in a forked child if the lock was held during the fork, because the thread
    /// that held it does not exist in the child.
    fn agenda_unless_forked(&self) -> Option<MutexGuard<'_, Agenda>> {
        if let Some(agenda) = self.agenda.try_lock() {
            return Some(agenda);
        }
        (self.process == lineage::process()).then(|| self.agenda.lock())
    }
}

impl Agenda {
    fn new(now: Instant) -> Self {
        Self {
            alarms: BTreeMap::new(),
            next_number: 0,
            thread: Thread::None,
            was_used: false,
            rest_ends: now,
            watch: None,
        }
    }

    fn add(&mut self, when: Instant, bell: Arc<dyn Bell>) -> Key {
        let key = (when, self.next_number);
        self.next_number += 1;
        self.alarms.insert(key, bell);
        self.was_used = true;
        key
    }

    /// Ends the thread's sleep if it sleeps past that time. Returns whether the caller must wake
    /// it.
    fn end_sleep_past(&mut self, time: Instant) -> bool {
        let sleeps = matches!(self.thread, Thread::AsleepUntil(end) if end > time);
        if sleeps {
            self.thread = Thread::Awake;
        }
        sleeps
    }

    fn step(&mut self, now: Instant) -> Step {
        if let Some(watch) = self.watch.take_if(|watch| watch.when <= now) {
            self.thread = Thread::Awake;
            return Step::LookAfter(watch);
        }
        let Some(earliest) = self.alarms.first_entry() else { return self.rest(now) };
        let (when, _) = *earliest.key();
        if when <= now {
            self.thread = Thread::Awake;
            return Step::Ring(earliest.remove());
        }
        self.sleep_until(when)
    }

    fn rest(&mut self, now: Instant) -> Step {
        if std::mem::take(&mut self.was_used) {
            self.rest_ends = clock::later(now, LINGER);
        }
        if self.rest_ends <= now && self.watch.is_none() {
            self.thread = Thread::None;
            return Step::End;
        }
        self.sleep_until(self.rest_ends)
    }

    fn sleep_until(&mut self, end: Instant) -> Step {
        let end = self.watch.map_or(end, |watch| watch.when.min(end));
        mutant!("timer_sleep_unsaid" => return Step::SleepUntil(end));
        self.thread = Thread::AsleepUntil(end);
        Step::SleepUntil(end)
    }
}

#[cfg(all(test, corepool_loom))]
mod models;

#[cfg(all(test, not(corepool_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::{Duration, Instant};

    use crate::base::sync::real::Mutex;

    use super::{Agenda, Bell, Errand, LINGER, Step, Thread, at};
    use crate::base::clock;

    const SECOND: Duration = Duration::from_secs(1);
    const STEP: Duration = Duration::from_millis(2);
    const PATIENCE: Duration = Duration::from_secs(60);

    struct Silent;

    impl Bell for Silent {
        fn ring(self: Arc<Self>) -> Vec<Errand> {
            Vec::new()
        }
    }

    fn agenda() -> (Agenda, Instant) {
        let now = clock::now();
        (Agenda::new(now), now)
    }

    fn add(agenda: &mut Agenda, when: Instant) -> super::Key {
        agenda.add(when, Arc::new(Silent))
    }

    #[track_caller]
    fn expect_sleep(agenda: &mut Agenda, now: Instant, until: Instant) {
        let step = agenda.step(now);
        assert!(matches!(step, Step::SleepUntil(end) if end == until));
    }

    #[test]
    fn it_sleeps_until_the_earliest_and_wakes_what_is_due() {
        let (mut agenda, now) = agenda();
        add(&mut agenda, now + 3 * SECOND);
        add(&mut agenda, now + SECOND);
        add(&mut agenda, now + SECOND);
        expect_sleep(&mut agenda, now, now + SECOND);
        let late = now + 2 * SECOND;
        assert!(matches!(agenda.step(late), Step::Ring(_)));
        assert!(matches!(agenda.step(late), Step::Ring(_)), "two of one time are two");
        expect_sleep(&mut agenda, late, now + 3 * SECOND);
    }

    #[test]
    fn it_ends_when_there_was_nothing_to_time_for_a_while() {
        let (mut agenda, now) = agenda();
        let key = add(&mut agenda, now + SECOND);
        expect_sleep(&mut agenda, now, now + SECOND);
        agenda.alarms.remove(&key);
        expect_sleep(&mut agenda, now + SECOND, now + SECOND + LINGER);
        // A spurious wake-up does not extend the rest.
        expect_sleep(&mut agenda, now + SECOND + LINGER / 2, now + SECOND + LINGER);
        assert!(matches!(agenda.step(now + SECOND + LINGER), Step::End));
        assert_eq!(agenda.thread, Thread::None);
    }

    #[test]
    fn an_alarm_that_came_and_went_begins_the_rest_anew() {
        let (mut agenda, now) = agenda();
        add(&mut agenda, now);
        assert!(matches!(agenda.step(now), Step::Ring(_)));
        expect_sleep(&mut agenda, now, now + LINGER);
        let key = add(&mut agenda, now + LINGER / 2);
        agenda.alarms.remove(&key);
        expect_sleep(&mut agenda, now + LINGER, now + 2 * LINGER);
    }

    #[test]
    fn it_is_woken_only_from_a_sleep_that_is_too_long_and_once() {
        let (mut agenda, now) = agenda();
        add(&mut agenda, now + SECOND);
        assert!(!agenda.end_sleep_past(now), "it does not sleep");
        expect_sleep(&mut agenda, now, now + SECOND);
        assert!(!agenda.end_sleep_past(now + SECOND));
        assert!(agenda.end_sleep_past(now));
        assert!(!agenda.end_sleep_past(now));
    }

    /// Its errand sends its number.
    struct Numbered(u32, Sender<u32>);

    impl Bell for Numbered {
        fn ring(self: Arc<Self>) -> Vec<Errand> {
            vec![Box::new(move || self.1.send(self.0).unwrap())]
        }
    }

    /// Sends its number when it rings, because errands have no order. The errand of the first one
    /// panics.
    struct InOrder(u32, Sender<u32>);

    impl Bell for InOrder {
        fn ring(self: Arc<Self>) -> Vec<Errand> {
            self.1.send(self.0).unwrap();
            vec![Box::new(move || {
                if self.0 == 0 {
                    std::panic::resume_unwind(Box::new("planned"));
                }
            })]
        }
    }

    /// Its errand lasts until its sender is dropped.
    struct HoldsUp(Mutex<Receiver<()>>);

    impl Bell for HoldsUp {
        fn ring(self: Arc<Self>) -> Vec<Errand> {
            vec![Box::new(move || assert!(self.0.lock().recv().is_err()))]
        }
    }

    #[test]
    fn an_errand_that_is_stuck_holds_up_no_alarm_and_no_other_errand() {
        let (rings, heard) = mpsc::channel();
        let (gates, held): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::channel::<()>()).unzip();
        let start = clock::now();
        let hold = |held| at(start, Arc::new(HoldsUp(Mutex::new(held))));
        let _stuck: Vec<_> = held.into_iter().map(hold).collect();
        let _alarm = at(start + STEP, Arc::new(Numbered(7, rings)));
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(7), "three couriers are stuck");
        drop(gates);
    }

    #[test]
    fn alarms_come_in_order_but_for_those_called_off_though_one_panics() {
        let (rings, heard) = mpsc::channel();
        let start = clock::now() + SECOND / 4;
        let bell = |number| Arc::new(InOrder(number, rings.clone()));
        let mut alarms: Vec<_> =
            (0..6).rev().map(|n| at(start + STEP * (n + 1), bell(n))).collect();
        // The fourth and the second.
        drop((alarms.remove(1), alarms.remove(2)));
        drop(rings);
        let heard: Vec<_> = std::iter::from_fn(|| heard.recv_timeout(PATIENCE).ok()).collect();
        assert_eq!(heard, [0, 1, 3, 5]);
        assert!(clock::now() >= start + STEP * 6, "none comes early");
    }

    #[test]
    fn an_alarm_called_off_drops_its_bell_at_once() {
        let (rings, heard) = mpsc::channel();
        let far = clock::after(Duration::MAX);
        for number in 0..1_000 {
            drop(at(far, Arc::new(Numbered(number, rings.clone()))));
        }
        drop(rings);
        assert_eq!(heard.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }
}
