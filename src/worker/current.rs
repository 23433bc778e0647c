//! Which worker the calling thread is, if it is one.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::hub::Hub;
use crate::id::PoolId;

thread_local! {
    /// What a spawn has to know, small enough to be copied.
    static PLACE: Cell<Option<Place>> = const { Cell::new(None) };
    /// What only the free functions and waiting need.
    /// The pools whose tasks run in place on this thread, the innermost last.
    static VISITED: RefCell<Vec<PoolId>> = const { RefCell::new(Vec::new()) };
    static HUB: RefCell<Option<Arc<Hub>>> = const { RefCell::new(None) };
}

/// A worker's place: its pool and its index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) pool: PoolId,
    pub(crate) index: usize,
}

/// The calling thread's place, if it is a worker of any pool.
#[inline]
pub(crate) fn place() -> Option<Place> {
    // A thread whose thread-locals are gone is no worker any more.
    PLACE.try_with(Cell::get).unwrap_or(None)
}

/// The calling thread's index, if it is a worker of this pool.
#[inline]
pub(crate) fn index_in(pool: PoolId) -> Option<usize> {
    place().filter(|place| place.pool == pool).map(|place| place.index)
}

/// Runs `look` with the pool whose worker the calling thread is. Only for a thread that has a
/// [`place`].
#[inline]
pub(crate) fn with_hub<R>(look: impl FnOnce(&Arc<Hub>) -> R) -> R {
    HUB.with(|hub| match hub.borrow().as_ref() {
        Some(hub) => look(hub),
        None => unreachable!("a thread that has a place has a hub: both are set by `enter`"),
    })
}

/// Whether the calling thread runs a task of this pool: as its worker, or in place on another pool's.
pub(crate) fn is_inside(pool: PoolId) -> bool {
    let visits = || VISITED.try_with(|visited| visited.borrow().contains(&pool)).unwrap_or(false);
    index_in(pool).is_some() || visits()
}

/// The calling thread runs a task of another pool in place until the guard is dropped.
pub(super) fn visit(pool: PoolId) -> Visit {
    let _noted = VISITED.try_with(|visited| visited.borrow_mut().push(pool));
    Visit(())
}

/// The calling thread runs another pool's task while this lives. Visits nest.
#[derive(Debug)]
pub(super) struct Visit(());

impl Drop for Visit {
    fn drop(&mut self) {
        let _noted = VISITED.try_with(|visited| visited.borrow_mut().pop());
    }
}

/// Makes the calling thread a worker until the guard is dropped.
pub(super) fn enter(hub: &Arc<Hub>, index: usize) -> Entered {
    PLACE.set(Some(Place { pool: hub.id, index }));
    HUB.replace(Some(Arc::clone(hub)));
    Entered(())
}

/// The calling thread is a worker while this lives.
#[derive(Debug)]
pub(super) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        PLACE.set(None);
        let hub = HUB.take();
        drop(hub);
    }
}
