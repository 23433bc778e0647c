//! Spare workers: each does the work of a worker that waits, on its core, and rests when that
//! worker continues.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Ended, Worker, current, deep, start};
use crate::base::clock;
use crate::base::sync::Ordering;
use crate::base::unwind::{self, AbortOnPanic};
use crate::parts::event::{ExitReason, PoolEvent};
use crate::parts::idle::Searching;
use crate::parts::parker::{self, Lending};
use crate::sched::fork_join::{self, Kind, Stack};
use crate::sched::hub::{Hub, Life, Order};
use crate::task::Outcome;

/// A spare worker ends when it was not needed for this long.
const REST: Duration = Duration::from_secs(5);

/// While this lives, the calling worker's core is lent to a spare worker.
#[derive(Debug)]
pub(crate) struct Lent {
    hub: Arc<Hub>,
    index: usize,
}

/// Lends the core of the calling thread, if it is a worker, because the thread is about to wait.
pub(crate) fn lend() -> Option<Lent> {
    let index = current::place()?.index;
    let hub = current::with_hub(Arc::clone);
    hub.lend_core(index);
    Some(Lent { hub, index })
}

/// How a worker lends its core, and takes it back, for use by lower modules.
pub(super) const LENDING: Lending = Lending {
    lend: || with_own_core(Hub::lend_core),
    take_back: || with_own_core(Hub::take_core_back),
};

fn with_own_core(act: fn(&Hub, usize)) {
    if let Some(place) = current::place() {
        // The hub is not borrowed meanwhile: this may start a spare worker's thread, and user code
        // names that thread.
        let hub = current::with_hub(Arc::clone);
        act(&hub, place.index);
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.hub.take_core_back(self.index);
    }
}

/// Starts the thread of a spare worker. The worker counts as searching.
///
/// # Errors
/// The system's error when it refuses the thread.
pub(crate) fn start_spare(hub: &Arc<Hub>, index: usize) -> io::Result<()> {
    name(hub, index);
    start::start_thread(hub, index, live)
}

/// Calls the user's naming closure, which was not called for this worker when the pool was built.
fn name(hub: &Hub, index: usize) {
    let slot = &hub.slots[index];
    let is_named = !slot.thread.lock().name.is_empty();
    if !is_named {
        let named = unwind::catch(|| (hub.config.name_thread)(slot.id));
        // The closure may have waited, and taken the token that this thread needs, because the
        // thread is about to sleep.
        parker::current().unpark();
        slot.thread.lock().name = named.unwrap_or_else(|payload| {
            unwind::drop_payload(payload);
            format!("corepool-{}", slot.id)
        });
    }
}

/// The whole life of a spare worker's thread.
fn live(mut worker: Worker) {
    deep::note_stack(&worker.hub.config);
    let abort = AbortOnPanic;
    worker.hub.heritage.take_on();
    let entered = current::enter(&worker.hub, worker.index);
    let hub = Arc::clone(&worker.hub);
    let mut is_online = false;
    let ended = fork_join::enter(&hub, Kind::Worker(worker.index), |stack| {
        let mut is_patient = true;
        loop {
            match hub.next_order(worker.index, is_patient) {
                Order::Serve { home, mut counted } => {
                    is_patient = true;
                    if counted && !is_online && hub.config.on_worker_start.is_some() {
                        // The hook may take its time. Other threads must not rely on this search
                        // meanwhile.
                        hub.stop_search();
                        counted = false;
                    }
                    worker.go_to(home, &mut is_online);
                    match worker.stand_in(stack, counted) {
                        Ended::Relieved => worker.leave_nothing_behind(),
                        ended => return ended,
                    }
                }
                Order::Rest => {
                    is_patient = worker.slot().parker.park_until(clock::after(REST));
                }
                Order::Leave => return Ended::Relieved,
            }
        }
    });
    worker.exit_hook();
    worker.end_as_spare(ended);
    drop(entered);
    drop(worker);
    drop(abort);
}

impl Worker {
    /// Whether this is a spare worker that must rest.
    #[inline]
    pub(super) fn is_relieved(&self) -> bool {
        self.is_spare && self.slot().relieved.load(Ordering::SeqCst)
    }

    pub(super) fn why_it_stops(&self) -> Ended {
        // A spare worker that was relieved for a moment and hired again also ends here.
        let goes_on = self.is_spare && !self.hub.is_closed();
        if goes_on || self.is_relieved() { Ended::Relieved } else { Ended::Closed }
    }

    /// Moves to the core of the worker that it stands in for.
    fn go_to(&mut self, lender: usize, is_online: &mut bool) {
        let home = self.hub.home_of(lender);
        let is_there = *is_online && self.home == home;
        self.home = home;
        self.home_id = self.hub.slots[home].id;
        // ORDERING: relaxed, because threads that this one wakes or hires later read it.
        self.slot().home.store(home, Ordering::Relaxed);
        if !is_there {
            self.settle_in();
        }
        if !*is_online {
            *is_online = true;
            let _told_by_event = self.start_hook();
            self.go_online();
        }
    }

    fn stand_in(&mut self, stack: &Stack<'_>, counted: bool) -> Ended {
        if counted {
            let found = self.search_or_rest(Searching::Yes);
            let Some(found) = found else { return self.why_it_stops() };
            if let Some(ended) = self.run_found(stack, found) {
                return ended;
            }
        }
        self.work(stack)
    }

    /// Leaves what it had taken for itself to other workers.
    fn leave_nothing_behind(&self) {
        if self.slot().inbox.has_item() {
            let _gate = self.hub.wake_one();
        }
    }

    fn end_as_spare(&self, ended: Ended) {
        let slot = self.slot();
        let generation = {
            let mut facts = slot.thread.lock();
            facts.life = Life::Exited;
            facts.end_clock();
            facts.generation
        };
        let reason = match ended {
            Ended::Closed => ExitReason::Shutdown,
            Ended::ByTask => ExitReason::EndedByTask,
            Ended::Relieved if self.hub.is_closed() => ExitReason::Shutdown,
            Ended::Relieved => ExitReason::NotNeeded,
        };
        self.hub.events.tell(PoolEvent::WorkerExited { worker: slot.id, generation, reason });
        if self.slot().inbox.has_item() {
            let _gate = self.hub.wake_one();
        }
        self.hub.spare_ends(self.index);
        self.hub.lives.end_serving(|| {
            self.hub.settle_waiting(Outcome::Closed);
        });
    }
}
