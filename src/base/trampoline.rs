//! Runs items one after another that would otherwise call each other recursively, as deep as a
//! user's chain of tasks is long.
#![forbid(unsafe_code)]

use std::cell::RefCell;

use crate::base::sync::LocalKey;

/// The items that wait for their turn on this thread; `None` while no call is running.
pub(crate) type Line<X> = RefCell<Option<Vec<X>>>;

/// Calls `each` with `item`, and then with every item that is added to this line meanwhile. If the
/// thread is already inside such a call, it only adds the item to the line. Returns the item if the
/// thread-locals are already destroyed.
pub(crate) fn run<X>(line: &'static LocalKey<Line<X>>, item: X, each: impl Fn(X)) -> Result<(), X> {
    let mut item = Some(item);
    let is_under_way = line.try_with(|line| match &mut *line.borrow_mut() {
        Some(waiting) => {
            waiting.extend(item.take());
            true
        }
        none => {
            *none = Some(Vec::new());
            false
        }
    });
    match is_under_way {
        Err(_) => return item.map_or(Ok(()), Err),
        Ok(true) => return Ok(()),
        Ok(false) => {}
    }
    while let Some(next) = item {
        each(next);
        item = line.with(|line| line.borrow_mut().as_mut().and_then(Vec::pop));
    }
    line.with(RefCell::take);
    Ok(())
}

/// Calls `each` with the items that wait in this thread's line. It is for a thread that is about to
/// sleep in the middle of an item, because what it waits for may be in the line.
pub(crate) fn run_what_waits<X>(line: &'static LocalKey<Line<X>>, each: impl Fn(X)) {
    let next = || line.try_with(|line| line.borrow_mut().as_mut().and_then(Vec::pop));
    while let Ok(Some(item)) = next() {
        each(item);
    }
}
