//! A worker and its core: pinned at the start, and again after it was let loose (its pin lifted, so
//! that the kernel could move it).
#![forbid(unsafe_code)]

use std::time::Instant;

use super::Worker;
use crate::base::sync::Ordering;
use crate::os::affinity::{self, Pinned, Placement};
use crate::parts::event::PoolEvent;
use crate::parts::metrics;
use crate::sched::hub::{Life, ThreadFacts};

impl Worker {
    /// Moves to its core, and notes where the kernel really put it.
    pub(super) fn settle_in(&self) {
        // ORDERING: relaxed, because only this worker's own threads write and read it, one after
        // another.
        self.slot().ending.store(false, Ordering::Relaxed);
        let mut facts = self.slot().thread.lock();
        let refusal = self.pin(&mut facts);
        facts.clock = Some(metrics::of_thread());
        facts.life = Life::Online;
        drop(facts);
        self.tell_refusal(refusal);
    }

    /// Called when the worker is about to sleep. If it was let loose a while ago, it returns to its
    /// core. If the kernel has moved it, which happens where a set of cores shrinks or a core is
    /// switched off, it looks for another core.
    pub(super) fn pin_again_if_time(&self, now: Instant) {
        if self.hub.may_pin_again(self.index, now) || self.slot().arrival.is_elsewhere() {
            self.pin_again(now);
        }
    }

    #[cold]
    fn pin_again(&self, now: Instant) {
        // The worker is on the free list already. So it does not wait for a thread that reads the
        // facts, or lets the worker loose right now.
        let Some(mut facts) = self.slot().thread.try_lock() else { return };
        if facts.core.is_none() && !self.hub.may_pin_again(self.index, now) {
            return;
        }
        let refusal = self.pin(&mut facts);
        facts.looseness.note_pinned(self.hub.age(now));
        drop(facts);
        self.tell_refusal(refusal);
    }

    /// The caller holds the lock of the facts, so no thread lets this one loose between the pin and
    /// the note of it.
    fn pin(&self, facts: &mut ThreadFacts) -> Option<PoolEvent> {
        facts.set_core(None, None);
        let before = facts.moved_to.take();
        let config = &self.hub.config;
        let told =
            config.cores.get(self.home).copied().and_then(
                |core| match affinity::pin_current_thread(core, &config.usable_cores) {
                    Pinned::To(core) => {
                        facts.set_core(Some(core), config.topology.kind(core));
                        None
                    }
                    Pinned::Refused(why) => self.pin_elsewhere(facts, core, why),
                },
            );
        self.slot().arrival.note_pinned(facts.core);
        // Only now, so that the core it gives back is not taken again at once.
        drop(before);
        told
    }

    /// The core that it should have is not available: takes another one that the pool may use.
    fn pin_elsewhere(
        &self,
        facts: &mut ThreadFacts,
        from: usize,
        why: String,
    ) -> Option<PoolEvent> {
        // It may have had another core before.
        affinity::unpin_current_thread();
        let config = &self.hub.config;
        let mut cores = affinity::usable().cores;
        let is_named = |core: &usize| !config.has_named_cores || config.loose_cores.contains(core);
        cores.retain(|core| *core != from && is_named(core));
        let lease = affinity::lease(&cores, 1, Placement::default(), &config.topology);
        let pin = |&core: &usize| {
            affinity::pin_current_thread(core, &config.usable_cores) == Pinned::To(core)
        };
        let worker = self.slot().id;
        let Some(to) = lease.cores().first().copied().filter(pin) else {
            affinity::unpin_current_thread();
            return Some(PoolEvent::WorkerUnpinned { worker, core: from, why });
        };
        facts.set_core(Some(to), config.topology.kind(to));
        facts.moved_to = Some(lease);
        Some(PoolEvent::WorkerMoved { worker, from, to })
    }

    fn tell_refusal(&self, refusal: Option<PoolEvent>) {
        if let Some(refusal) = refusal {
            self.hub.events.tell(refusal);
        }
    }
}
