//! One closure on every worker.
#![forbid(unsafe_code)]

use std::any::type_name;
use std::sync::{Arc, OnceLock};

use super::TaskSet;
use crate::base::sync::{AtomicUsize, Ordering};
use crate::base::unwind;
use crate::parts::metrics::WorkerInfo;
use crate::pool::{Options, WorkerPool, spawn_with_options};
use crate::sched::hub::{Hub, Target};
use crate::sched::worker;
use crate::task::TaskContext;

/// How many others a worker wakes before it runs its own closure.
const SHARE: usize = 2;

/// A closure for every worker, and the sleeping workers that have to be woken for it.
struct Broadcast<F> {
    closure: F,
    /// Taken off the free list together, once each has got its task.
    sleepers: OnceLock<Vec<usize>>,
    /// How many of them have been claimed by threads that wake them.
    woken: AtomicUsize,
}

impl WorkerPool {
    /// Runs a closure once on every worker. The results come out of the set as they finish.
    ///
    /// A busy worker runs the closure when it is free. The call needs no room in a bounded queue
    /// and never blocks. Spare workers do not get the closure, but a spare worker may stand in for
    /// a worker that waits.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(3)?;
    /// let ids = pool.broadcast(|worker| worker.id.index());
    /// let mut ids: Vec<_> = ids.map(Result::unwrap).collect();
    /// ids.sort();
    /// assert_eq!(ids, [0, 1, 2]);
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn broadcast<F, T>(&self, closure: F) -> TaskSet<T>
    where
        F: Fn(&WorkerInfo) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let name: Arc<str> = Arc::from(type_name::<F>());
        let (sleepers, woken) = (OnceLock::new(), AtomicUsize::new(0));
        let broadcast = Arc::new(Broadcast { closure, sleepers, woken });
        let tell = |index: usize| {
            let target = Target { worker: Some(index), is_quiet: true, ..Target::default() };
            let options = Options { name: Some(Arc::clone(&name)), target, ..Options::default() };
            let broadcast = Arc::clone(&broadcast);
            spawn_with_options::<F, _, T>(self.hub(), options, move |_: &TaskContext| {
                worker::with_hub(|hub| broadcast.wake(hub, SHARE));
                let info = worker::with_hub(|hub| hub.slots[index].info());
                (broadcast.closure)(&info)
            })
        };
        let hub = self.hub();
        let set = (0..hub.worker_count()).map(tell).collect();
        broadcast.sleepers.get_or_init(|| hub.take_all_for_own_tasks());
        broadcast.wake(hub, usize::MAX);
        // If all its tasks are over, this drops the closure, whose panic must not reach the caller.
        unwind::quietly(|| drop(broadcast));
        set
    }
}

impl<F> Broadcast<F> {
    /// Wakes up to `most` workers. A wake-up is a system call of one or two microseconds, so each
    /// worker that is up makes some: by the submitter alone, the last of 64 workers would start
    /// 100 µs after the first.
    fn wake(&self, hub: &Hub, most: usize) {
        // A worker that was awake may be here before the sleepers are known.
        let Some(sleepers) = self.sleepers.get() else { return };
        for _ in 0..most {
            // ORDERING: only the number matters. A thread that sees the sleepers sees their tasks.
            let claimed = self.woken.fetch_add(1, Ordering::Relaxed);
            let Some(&sleeper) = sleepers.get(claimed) else { return };
            hub.unpark_worker(sleeper);
        }
    }
}
