//! The watchdog: reports tasks that run longer than a bound, and may put a spare worker in the
//! place of a stuck worker.
//!
//! It needs no thread of its own, and no timer ticks while nothing runs. The first task that begins
//! while the watchdog is off duty sets an alarm. Each alarm sets the next as long as some task is
//! watched.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::base::sync::real::Mutex;

use super::{Hub, Slot, registry};
use crate::base::clock;
use crate::base::sync::{AtomicBool, Ordering, handshake};
use crate::parts::event::{self, PoolEvent};
use crate::parts::timer::{self, Alarm, Errand};
use crate::sched::config::WhenStuck;

/// The watchdog state of a pool with a bound.
#[derive(Debug)]
pub(crate) struct Watchdog {
    bound: Duration,
    when_stuck: WhenStuck,
    on_duty: AtomicBool,
    alarm: Mutex<Option<Alarm>>,
}

/// What is watched of one worker.
#[derive(Debug, Default)]
pub(crate) struct TimedRun {
    state: Mutex<Run>,
}

#[derive(Debug, Default)]
struct Run {
    began: Option<Instant>,
    is_told: bool,
    /// Whether the worker's core is lent because it is stuck.
    is_replaced: bool,
}

/// What an alarm rings.
struct Bell(Weak<Hub>);

impl timer::Bell for Bell {
    /// Returns an errand (a job that may call user code, which the timer's thread must not do).
    /// User code may name a spare worker's thread, and dropping the hub drops the user's hooks.
    fn ring(self: Arc<Self>) -> Vec<Errand> {
        vec![Box::new(move || {
            if let Some(hub) = self.0.upgrade() {
                hub.look_for_stuck_tasks();
            }
        })]
    }
}

impl Watchdog {
    pub(super) fn new(bound: Duration, when_stuck: WhenStuck) -> Self {
        Self { bound, when_stuck, on_duty: AtomicBool::new(false), alarm: Mutex::new(None) }
    }
}

impl Hub {
    /// Notes that a worker begins a task.
    pub(crate) fn begin_timed_run(&self, index: usize) {
        let Some(watchdog) = &self.watchdog else { return };
        let now = clock::now();
        *self.slots[index].timed_run.state.lock() = Run { began: Some(now), ..Run::default() };
        handshake();
        if !watchdog.on_duty.load(Ordering::SeqCst)
            && !watchdog.on_duty.swap(true, Ordering::SeqCst)
        {
            self.set_alarm(watchdog, now);
        }
    }

    /// Notes that the worker has ended its task.
    pub(crate) fn end_timed_run(&self, index: usize) {
        if self.watchdog.is_some() {
            let run = std::mem::take(&mut *self.slots[index].timed_run.state.lock());
            if run.is_replaced {
                self.take_core_back(index);
            }
        }
    }

    fn set_alarm(&self, watchdog: &Watchdog, oldest: Instant) {
        let Some(hub) = registry::find(self.id) else { return };
        let bell = Arc::new(Bell(Arc::downgrade(&hub)));
        let when = clock::later(oldest, watchdog.bound);
        // Under the lock from before the alarm is set: the alarm may ring at once, and the next
        // alarm must not be replaced by this one.
        let mut place = watchdog.alarm.lock();
        let before = place.replace(timer::at(when, bell));
        drop(place);
        drop(before);
    }

    fn look_for_stuck_tasks(&self) {
        let Some(watchdog) = &self.watchdog else { return };
        let mut next = self.tell_of_stuck_tasks(watchdog);
        if next.is_none() {
            watchdog.on_duty.store(false, Ordering::SeqCst);
            handshake();
            // A task that began since has seen the watchdog on duty, and set no alarm.
            next = self.tell_of_stuck_tasks(watchdog);
            if next.is_none() || watchdog.on_duty.swap(true, Ordering::SeqCst) {
                return;
            }
        }
        if let Some(oldest) = next {
            self.set_alarm(watchdog, oldest);
        }
    }

    /// Reports the stuck tasks. Returns the start of the longest run that is not reported yet.
    fn tell_of_stuck_tasks(&self, watchdog: &Watchdog) -> Option<Instant> {
        let now = clock::now();
        let slots = self.used_slots().iter().enumerate();
        slots.filter_map(|(index, slot)| self.look_at_run(watchdog, index, slot, now)).min()
    }

    /// Returns the run's start if it must still be watched.
    fn look_at_run(
        &self,
        watchdog: &Watchdog,
        index: usize,
        slot: &Slot,
        now: Instant,
    ) -> Option<Instant> {
        let mut run = slot.timed_run.state.lock();
        let began = run.began.filter(|_| !run.is_told)?;
        let running_for = now.saturating_duration_since(began);
        if running_for < watchdog.bound {
            return Some(began);
        }
        run.is_told = true;
        let task = slot.running.get().unwrap_or_default();
        run.is_replaced = watchdog.when_stuck == WhenStuck::Replace;
        // Before a spare worker can stand in for it, so that what the spare worker does comes after
        // this.
        let listeners =
            self.events.send(PoolEvent::TaskStuck { worker: slot.id, task, running_for });
        // Under the lock: the worker takes its core back only after it has seen that it was lent.
        let is_lent = run.is_replaced && self.mark_lent(index);
        drop(run);
        event::wake(listeners);
        if is_lent {
            self.look_for_a_deputy(index);
        }
        None
    }
}
