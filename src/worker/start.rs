//! A worker's thread: how it starts, what it does around its work, and how it is replaced.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ready::{Readiness, Word};
use super::{Ended, Shyness, Worker, current};
use crate::affinity::{self, Pinned};
use crate::clock;
use crate::config::Hook;
use crate::error::panic_message;
use crate::event::{ExitReason, PoolEvent};
use crate::first;
use crate::fork::{self, Kind};
use crate::hub::{Hub, Life};
use crate::metrics;
use crate::spin::Patience;
use crate::sync::{Ordering, thread};
use crate::task::Outcome;
use crate::unwind::{self, AbortOnPanic};

/// A thread that lived this long is not one that keeps dying.
const LONG_LIFE: Duration = Duration::from_secs(1);
const FIRST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Starts the thread of a worker.
///
/// # Errors
/// What the system said when it refused the thread.
pub(crate) fn start(
    hub: &Arc<Hub>,
    index: usize,
    ready: Option<Arc<Readiness>>,
    quick_deaths: u32,
) -> io::Result<()> {
    start_thread(hub, index, move |worker| live(worker, ready, quick_deaths))
}

/// Starts a thread for a worker of this index, as the pool's threads are to be.
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
    let worker = Worker {
        hub: Arc::clone(hub),
        index,
        home: index,
        home_id: hub.slots[index].id,
        is_spare: index >= hub.config.workers,
        looks: first::SHORT,
        turns: first::SHORT,
        patience: Patience::searching(),
        shyness: Shyness::new(),
        seen: Vec::new(),
        had_a_trifle: false,
        sees_young_call: false,
        is_listed: false,
        chance: index as u32,
        has_slept_long: false,
        is_sure_of_its_core: false,
    };
    hub.lives.start_thread(|| builder.spawn(move || live(worker)))
}

/// The whole life of one of a worker's threads.
fn live(mut worker: Worker, ready: Option<Arc<Readiness>>, quick_deaths: u32) {
    let abort = AbortOnPanic;
    let born = clock::now();
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
        fork::enter(&hub, Kind::Worker(worker.index), |stack| worker.work(stack))
    };
    worker.exit_hook();
    worker.leave(ended, born, quick_deaths);
    // Only now: tasks that are settled at the very end are dropped here, and their drops may ask whether
    // this thread is a worker.
    drop(entered);
    drop(worker);
    drop(abort);
}

impl Worker {
    /// Goes to its core, and notes where the kernel really put it.
    pub(super) fn settle_in(&self) {
        // ORDERING: written and read by this worker's own threads, one after another.
        self.slot().ending.store(false, Ordering::Relaxed);
        affinity::unpin_current_thread(&self.hub.config.usable_cores);
        let wanted = self.hub.config.cores.get(self.home).copied();
        let pinned = wanted.map(|core| (core, affinity::pin_current_thread(core)));
        let core = match pinned {
            Some((_, Pinned::To(core))) => Some(core),
            Some((core, Pinned::Refused(why))) => {
                let worker = self.slot().id;
                self.hub.events.tell(PoolEvent::WorkerUnpinned { worker, core, why });
                None
            }
            None => None,
        };
        let mut facts = self.slot().thread.lock();
        facts.core = core;
        facts.clock = Some(metrics::of_thread());
        facts.life = Life::Online;
    }

    pub(super) fn start_hook(&self) -> Word {
        self.call_hook(self.hub.config.on_worker_start.as_ref())
    }

    pub(super) fn exit_hook(&self) {
        let _told_by_event = self.call_hook(self.hub.config.on_worker_exit.as_ref());
    }

    /// A hook's panic goes no further than here.
    fn call_hook(&self, hook: Option<&Hook>) -> Word {
        let Some(hook) = hook else { return Ok(()) };
        let info = self.slot().info();
        unwind::catch(|| hook(&info)).map_err(|payload| {
            let message = panic_message(&*payload).to_owned();
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

    /// Tells why it ends, and sees to it that somebody takes its place if the pool goes on.
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
            self.hub.settle_waiting(Outcome::Rejected);
        });
    }

    /// Starts the next thread of this worker, sooner or later. Says whether it did: not if the pool is
    /// closed and the system still refuses.
    fn replace(&self, born: Instant, quick_deaths: u32) -> bool {
        let quick = clock::now().saturating_duration_since(born) < LONG_LIFE;
        let deaths = if quick { quick_deaths + 1 } else { 0 };
        // The first quick death costs no wait.
        if deaths > 1 {
            self.hub.lives.rest_unless_closed(rest_after(deaths - 1));
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

    /// Says whether the pool was closed meanwhile.
    fn wait_to_retry(&self, refusals: u32, refusal: &io::Error) -> bool {
        let retry_in = rest_after(refusals);
        let why = refusal.to_string();
        let worker = self.slot().id;
        self.hub.events.tell(PoolEvent::RespawnRefused { worker, retry_in, why });
        self.hub.lives.rest_unless_closed(retry_in)
    }
}

/// 10 ms, doubled each time, a second at most.
fn rest_after(times: u32) -> Duration {
    FIRST_REST.saturating_mul(1 << (times - 1).min(10)).min(LONGEST_REST)
}
