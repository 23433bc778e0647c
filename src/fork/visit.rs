//! Whose work the calling thread does though it is no worker of theirs.
//!
//! A thread that does a pool's work, while one of that pool's workers waits for it, must not wait
//! for that pool as a thread from outside may: the worker that is to come could be the one that
//! waits. So it counts as inside, and runs in place what nobody has started.
#![forbid(unsafe_code)]

use std::cell::RefCell;

use crate::id::PoolId;

crate::sync::thread_local! {
    /// The innermost last.
    static VISITED: RefCell<Vec<PoolId>> = const { RefCell::new(Vec::new()) };
}

/// Whether the calling thread does work of this pool as a visitor.
pub(crate) fn visits(pool: PoolId) -> bool {
    VISITED.try_with(|visited| visited.borrow().contains(&pool)).unwrap_or(false)
}

/// Whether the calling thread does any pool's work as a visitor.
pub(crate) fn is_visitor() -> bool {
    VISITED.try_with(|visited| !visited.borrow().is_empty()).unwrap_or(false)
}

/// The calling thread does work of this pool until the guard is dropped.
pub(crate) fn visit(pool: PoolId) -> Visit {
    let _noted = VISITED.try_with(|visited| visited.borrow_mut().push(pool));
    Visit(())
}

/// The calling thread does another's work while this lives. Visits nest.
#[derive(Debug)]
pub(crate) struct Visit(());

impl Drop for Visit {
    fn drop(&mut self) {
        let _noted = VISITED.try_with(|visited| visited.borrow_mut().pop());
    }
}
