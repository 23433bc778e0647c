//! One thread for all the deadlines of the process: it rings a bell at an instant.
//!
//! The thread is made when the first alarm is set. It sleeps until the earliest one, and ends when
//! there has been nothing to time for a while; the next alarm makes another. Alarms stand in a tree
//! ordered by time, out of which one that is called off is taken at once, so nothing piles up.
//! Setting an alarm wakes the thread only if that would sleep past it.
//!
//! If the system refuses the thread, the alarms set so far stay, and each alarm that is set later
//! asks for a thread again; the first one granted wakes all whose time has passed. An error would
//! be of no use to who sets a deadline, and to wake at once would end work that still has time.
//!
//! No alarm is slept past: under one lock the thread looks at the alarms and says until when it
//! will sleep, and under the same lock whoever sets an alarm adds it and looks until when the
//! thread sleeps. So the thread sees the alarm, or it is seen to sleep too long, and is given a
//! token; and a token that comes before the sleep ends that at once.
//!
//! Nothing of the user's runs on the thread: the drop of one task's closure could wait for ever,
//! and every other deadline with it. What a bell has to do beyond marking and claiming it gives as
//! errands, which [couriers] run.
#![forbid(unsafe_code)]

mod couriers;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

#[cfg(corepool_loom)]
use loom::sync::MutexGuard;

use crate::affinity;
use crate::clock;
use crate::heritage;
use crate::lineage;
use crate::parker::Parker;
#[cfg(corepool_loom)]
use crate::sync::Mutex;
// Not by `crate::sync` itself: the timer stands in a static, and only models have one that does
// not.
#[cfg(not(corepool_loom))]
use crate::sync::lock::{Mutex, MutexGuard};
use crate::sync::thread;
use crate::unwind::AbortOnPanic;
use couriers::{Couriers, Watch};

pub(crate) use couriers::Errand;

/// The thread stays so long with nothing to time.
const LINGER: Duration = Duration::from_secs(2);

/// What an alarm rings.
pub(crate) trait Bell: Send + Sync {
    /// Runs on the timer's thread, which all other alarms need: it calls no user code, waits for
    /// nothing and does not panic. Its drop does so neither. What else is to be done is given as
    /// errands; their panics do no harm.
    fn ring(self: Arc<Self>) -> Vec<Errand>;
}

/// Has the bell rung at that time, or soon after; at once if it has passed.
pub(crate) fn at(when: Instant, bell: Arc<dyn Bell>) -> Alarm {
    Timer::of_this_process().set(when, bell)
}

/// An alarm that is set; dropping it calls it off.
///
/// The drop does not wait for a bell that just rings.
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

/// When, and a number that tells alarms of one time apart.
type Key = (Instant, u64);

struct Timer {
    /// Threads do not follow into a forked child: there the timer is another one.
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
    /// With nothing to time, the thread ends then.
    rest_ends: Instant,
    /// When to look after the couriers, while they have something to do. Set by the thread itself.
    watch: Option<Watch>,
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
    LookAfter(Watch),
    SleepUntil(Instant),
    End,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let Some(mut agenda) = self.timer.agenda_unless_forked() else { return };
        let bell = if mutant!("alarm_stays") { None } else { agenda.alarms.remove(&self.key) };
        // With nothing left the thread is to end soon, not when the time of this alarm comes.
        let is_last = bell.is_some() && agenda.alarms.is_empty();
        let calls = is_last && agenda.wakes_from_beyond(clock::after(LINGER));
        let calls = calls && !mutant!("alarm_gone_unsaid");
        drop(agenda);
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
        let early = mutant!("alarm_asks_early").then(|| agenda.wakes_from_beyond(when));
        if early.is_some() {
            drop(agenda);
            agenda = self.agenda.lock();
        }
        let key = agenda.add(when, bell);
        if agenda.thread == Thread::None && self.start() {
            agenda.thread = Thread::Awake;
        }
        let calls = early.unwrap_or_else(|| agenda.wakes_from_beyond(when));
        drop(agenda);
        if calls {
            self.parker.unpark();
        }
        Alarm { timer: self, key }
    }

    /// Says whether the system gave a thread. If not, the next alarm tries again.
    fn start(&'static self) -> bool {
        let thread = thread::Builder::new().name("corepool-timer".to_owned());
        thread.spawn(|| self.run()).is_ok()
    }

    /// The whole life of the thread.
    fn run(&'static self) {
        let _abort = AbortOnPanic;
        // It may have been started by a worker that is pinned, and that the user's code made nicer,
        // or deaf.
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

    fn watch(&self, watch: Option<Watch>) {
        if let Some(watch) = watch {
            // An earlier one stays: many alarms in a row must not put the look off.
            self.agenda.lock().watch.get_or_insert(watch);
        }
    }

    /// None in a forked child if the lock was held when it was forked: by a thread that the child
    /// has not got.
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

    /// Says whether the thread has to be woken because it sleeps past that time. This is said once.
    fn wakes_from_beyond(&mut self, time: Instant) -> bool {
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
        if !mutant!("timer_sleep_unsaid") {
            self.thread = Thread::AsleepUntil(end);
        }
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

    use crate::sync::real::Mutex;

    use super::{Agenda, Bell, Errand, LINGER, Step, Thread, at};
    use crate::clock;

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
        // Woken for no reason, it goes on with the same rest.
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
        assert!(!agenda.wakes_from_beyond(now), "it does not sleep");
        expect_sleep(&mut agenda, now, now + SECOND);
        assert!(!agenda.wakes_from_beyond(now + SECOND));
        assert!(agenda.wakes_from_beyond(now));
        assert!(!agenda.wakes_from_beyond(now));
    }

    /// Its errand sends its number.
    struct Numbered(u32, Sender<u32>);

    impl Bell for Numbered {
        fn ring(self: Arc<Self>) -> Vec<Errand> {
            vec![Box::new(move || self.1.send(self.0).unwrap())]
        }
    }

    /// Sends its number as it rings, for errands have no order; the errand of the first one panics.
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
