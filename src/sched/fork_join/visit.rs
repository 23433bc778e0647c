//! Visits: the calling thread does a pool's work although it is not one of that pool's workers.
//!
//! While a visitor does a pool's work, one of that pool's workers waits for it. So the visitor must
//! not wait for that pool as a thread from outside may: the worker that it would wait for could be
//! the one that waits. Therefore it counts as inside the pool, and runs in place what has not
//! started.
#![forbid(unsafe_code)]

use std::cell::RefCell;

use crate::base::id::PoolId;

crate::base::sync::thread_local! {
    /// The innermost pool is the last.
    static VISITED: RefCell<Vec<PoolId>> = const { RefCell::new(Vec::new()) };
}

/// Returns `true` if the calling thread does this pool's work as a visitor.
pub(crate) fn visits(pool: PoolId) -> bool {
    VISITED.try_with(|visited| visited.borrow().contains(&pool)).unwrap_or(false)
}

/// Returns `true` if the calling thread does any pool's work as a visitor.
pub(crate) fn is_visitor() -> bool {
    VISITED.try_with(|visited| !visited.borrow().is_empty()).unwrap_or(false)
}

/// Marks the calling thread as doing this pool's work until the guard is dropped.
pub(crate) fn visit(pool: PoolId) -> Visit {
    let _noted = VISITED.try_with(|visited| visited.borrow_mut().push(pool));
    Visit(())
}

/// While this lives, the calling thread does another pool's work. Visits nest.
#[derive(Debug)]
pub(crate) struct Visit(());

impl Drop for Visit {
    fn drop(&mut self) {
        let _noted = VISITED.try_with(|visited| visited.borrow_mut().pop());
    }
}
