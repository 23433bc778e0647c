//! Identifies the worker that the calling thread is, if it is one.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::spare::LENDING;
use crate::base::id::PoolId;
use crate::parts::parker;
use crate::sched::fork_join;
use crate::sched::hub::Hub;
use crate::task::Settling;

crate::base::sync::thread_local! {
    /// What a spawn must know, small enough to copy.
    static PLACE: Cell<Option<WorkerPlace>> = const { Cell::new(None) };
    /// What only the free functions and waiting need.
    static HUB: RefCell<Option<Arc<Hub>>> = const { RefCell::new(None) };
}

/// A worker's place: its pool and its index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkerPlace {
    pub(crate) pool: PoolId,
    pub(crate) index: usize,
}

/// The calling thread's place, if it is a worker of any pool.
#[inline]
pub(crate) fn place() -> Option<WorkerPlace> {
    // A thread whose thread-locals are gone is no longer a worker.
    PLACE.try_with(Cell::get).unwrap_or(None)
}

/// The calling thread's index, if it is a worker of this pool.
#[inline]
pub(crate) fn index_in(pool: PoolId) -> Option<usize> {
    place().filter(|place| place.pool == pool).map(|place| place.index)
}

/// Runs `look` with the hub of the pool whose worker the calling thread is. Only for a thread that
/// has a [`place`].
#[inline]
pub(crate) fn with_hub<R>(look: impl FnOnce(&Arc<Hub>) -> R) -> R {
    HUB.with(|hub| match hub.borrow().as_ref() {
        Some(hub) => look(hub),
        None => unreachable!("a thread that has a place has a hub: both are set by `enter`"),
    })
}

/// Whether the calling thread does work of this pool: as its worker, or as a guest, a thread that
/// runs what it waits for.
pub(crate) fn is_inside(pool: PoolId) -> bool {
    index_in(pool).is_some() || fork_join::visits(pool)
}

/// Called before the calling thread claims a task of this pool to settle it. The end of the pool
/// and a thread that drains it wait for that. They wait for the pool's workers anyway; a forked
/// child waits for no thread.
pub(crate) fn begin_settling(hub: &Hub) -> Option<Settling> {
    let counts = index_in(hub.id).is_none() && !hub.is_copy();
    counts.then(|| hub.lives.unsettled.begin())
}

/// Whether the calling thread runs in place what it waits for if that has not started yet.
pub(crate) fn runs_in_place() -> bool {
    place().is_some() || fork_join::is_visitor()
}

/// Makes the calling thread a worker until the guard is dropped.
pub(super) fn enter(hub: &Arc<Hub>, index: usize) -> Entered {
    PLACE.set(Some(WorkerPlace { pool: hub.id, index }));
    HUB.replace(Some(Arc::clone(hub)));
    parker::lend_by(Some(LENDING));
    Entered(())
}

/// While this lives, the calling thread is a worker.
#[derive(Debug)]
pub(super) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        parker::lend_by(None);
        PLACE.set(None);
        let hub = HUB.take();
        drop(hub);
    }
}
