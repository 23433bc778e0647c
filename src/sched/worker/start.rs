//! A worker's thread: how it starts, what it does around its work, and how it is replaced.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ready::{Readiness, Word};
use super::{Ended, Shyness, Worker, current, deep};
use crate::base::clock;
use crate::base::counter_start;
use crate::base::error::panic_message;
use crate::base::sync::thread;
use crate::base::unwind::{self, AbortOnPanic};
use crate::os::affinity;
use crate::parts::event::{ExitReason, PoolEvent};
use crate::parts::idle::Retract;
use crate::parts::spin::{Gap, Patience};
use crate::sched::config::Hook;
use crate::sched::fork_join::{self, Kind};
use crate::sched::hub::{Hub, Life};
use crate::task::Outcome;

/// A thread that lived at least this long does not count as one that keeps dying.
const LONG_LIFE: Duration = Duration::from_secs(1);
const FIRST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Starts the thread of a worker.
///
/// # Errors
/// The system's error when it refuses the thread.
pub(crate) fn start(
    hub: &Arc<Hub>,
    index: usize,
    ready: Option<Arc<Readiness>>,
    quick_deaths: u32,
) -> io::Result<()> {
    start_thread(hub, index, move |worker| live(worker, ready, quick_deaths))
}

/// Starts a thread for the worker of this index, with the name and stack size that the pool's
/// threads get.
pub(super) fn start_thread(
    hub: &Arc<Hub>,
    index: usize,
    live: impl FnOnce(Worker) + Send + 'static,
) -> io::Result<()> {
    let name = {
        let facts = hub.slots[index].thread.lock();
        facts.name.clone()
    };
    let mut builder = thread::Builder::new();
    // A name with a zero byte would make the standard library panic.
    if !name.contains('\0') {
        builder = builder.name(name);
    }
    if let Some(size) = hub.config.stack_size {
        builder = builder.stack_size(size);
    }
    let worker = Worker::new(hub, index);
    // The starting thread may be a worker that is replaced, one that needs a spare worker, or the
    // builder of a pool in a task.
    let handed_on = affinity::handed_on();
    let live = move || {
        handed_on.undo();
        live(worker);
    };
    hub.lives.start_thread(|| builder.spawn(live))
}

/// The whole life of one of a worker's threads.
fn live(mut worker: Worker, ready: Option<Arc<Readiness>>, quick_deaths: u32) {
    deep::note_stack(&worker.hub.config);
    let abort = AbortOnPanic;
    let born = clock::now();
    worker.hub.heritage.take_on();
    let entered = current::enter(&worker.hub, worker.index);
    worker.settle_in();
    let hook = worker.start_hook();
    let failed = hook.is_err() && ready.is_some();
    worker.go_online();
    if let Some(ready) = ready {
        ready.say(hook);
    }
    let hub = Arc::clone(&worker.hub);
    let ended = if failed {
        Ended::Closed
    } else {
        fork_join::enter(&hub, Kind::Worker(worker.index), |stack| worker.work(stack))
    };
    worker.exit_hook();
    worker.leave(ended, born, quick_deaths);
    // Only now: tasks that are settled at the very end are dropped here, and their drops may ask
    // whether this thread is a worker.
    drop(entered);
    drop(worker);
    drop(abort);
}

impl Worker {
    pub(super) fn new(hub: &Arc<Hub>, index: usize) -> Self {
        Self {
            hub: Arc::clone(hub),
            index,
            home: index,
            home_id: hub.slots[index].id,
            is_spare: index >= hub.config.workers,
            looks: counter_start::SHORT,
            next_relieved: index + 1,
            turns: counter_start::SHORT,
            patience: Patience::searching(),
            gap: Gap::default(),
            shyness: Shyness::new(),
            seen: Vec::new(),
            had_a_trifle: false,
            sees_young_call: false,
            is_listed: false,
            chance: index as u32,
            has_slept_long: false,
            is_sure_of_its_core: false,
        }
    }

    pub(super) fn start_hook(&self) -> Word {
        self.call_hook(self.hub.config.on_worker_start.as_ref())
    }

    pub(super) fn exit_hook(&self) {
        let _told_by_event = self.call_hook(self.hub.config.on_worker_exit.as_ref());
    }

    /// Calls a hook, and catches its panic.
    fn call_hook(&self, hook: Option<&Hook>) -> Word {
        let Some(hook) = hook else { return Ok(()) };
        let info = self.slot().info();
        // Threads that the hook starts must not inherit the pin.
        let call = || affinity::unpinned(|| hook(&info));
        unwind::catch(call).map_err(|payload| {
            let message = panic_message(&*payload).into_owned();
            self.hub.tell_hook_panic(self.slot().id, &*payload);
            unwind::drop_payload(payload);
            (self.slot().id, message)
        })
    }

    pub(super) fn go_online(&self) {
        let slot = self.slot();
        let (generation, core) = {
            let facts = slot.thread.lock();
            (facts.generation, facts.core)
        };
        if generation > 0 {
            self.hub.events.tell(PoolEvent::WorkerRespawned { worker: slot.id, generation });
        }
        self.hub.events.tell(PoolEvent::WorkerOnline { worker: slot.id, generation, core });
    }

    /// Reports why the thread ends, and has it replaced if the pool continues.
    fn leave(&self, ended: Ended, born: Instant, quick_deaths: u32) {
        let slot = self.slot();
        let generation = {
            let mut facts = slot.thread.lock();
            facts.life = if ended == Ended::ByTask { Life::Starting } else { Life::Exited };
            facts.end_clock();
            facts.generation
        };
        let reason = match ended {
            Ended::Closed | Ended::Relieved => ExitReason::Shutdown,
            Ended::ByTask => ExitReason::EndedByTask,
        };
        self.hub.events.tell(PoolEvent::WorkerExited { worker: slot.id, generation, reason });
        if ended == Ended::ByTask && self.replace(born, quick_deaths) {
            return;
        }
        slot.thread.lock().life = Life::Exited;
        self.hub.lives.end_serving(|| {
            self.hub.settle_waiting(Outcome::Closed);
        });
    }

    /// Starts the next thread of this worker, sooner or later. Returns whether it did. It does not
    /// if the pool is closed and the system still refuses.
    fn replace(&self, born: Instant, quick_deaths: u32) -> bool {
        let quick = clock::now().saturating_duration_since(born) < LONG_LIFE;
        let deaths = if quick { quick_deaths + 1 } else { 0 };
        // The first quick death costs no wait.
        if deaths > 1 {
            self.rest_before_next(rest_after(deaths - 1), deaths);
        }
        self.slot().thread.lock().generation += 1;
        let mut refusals = 0;
        loop {
            match start(&self.hub, self.index, None, deaths) {
                Ok(()) => return true,
                Err(refusal) => {
                    refusals += 1;
                    if self.wait_to_retry(refusals, &refusal) {
                        return start(&self.hub, self.index, None, deaths).is_ok();
                    }
                }
            }
        }
    }

    /// Rests until the next thread is due. A waiting task for which no other worker is free ends
    /// the rest, but not the first part of it; otherwise a worker whose tasks all end it would
    /// never rest.
    fn rest_before_next(&self, rest: Duration, deaths: u32) {
        let end = clock::after(rest);
        self.hub.events.tell(PoolEvent::RespawnDelayed { worker: self.slot().id, rest, deaths });
        if self.hub.lives.rest_unless_closed(rest.min(FIRST_REST)) || rest <= FIRST_REST {
            return;
        }
        // Sleeps like a worker, so that a thread that pushes a task finds it, but behind the
        // workers that have a thread.
        self.slot().arrival.expect_wake();
        self.slot().rests.begin();
        self.hub.idle.enter_last(self.index);
        let has_come =
            !(self.sees_work() || self.hub.is_closed()) && self.slot().parker.park_until(end);
        if !has_come && self.hub.idle.retract(self.index) == Retract::WakeIsComing {
            self.slot().parker.park();
        }
        self.slot().rests.end();
        // Off the list, the worker counts as searching. The next thread looks as soon as it has
        // started. Until then other workers may search.
        self.hub.stop_search();
    }

    /// Returns whether the pool was closed meanwhile.
    fn wait_to_retry(&self, refusals: u32, refusal: &io::Error) -> bool {
        let retry_in = rest_after(refusals);
        let why = refusal.to_string();
        let worker = self.slot().id;
        self.hub.events.tell(PoolEvent::RespawnRefused { worker, retry_in, why });
        self.hub.lives.rest_unless_closed(retry_in)
    }
}

/// 10 ms, doubled each time, at most one second.
fn rest_after(times: u32) -> Duration {
    FIRST_REST.saturating_mul(1 << (times - 1).min(10)).min(LONGEST_REST)
}
