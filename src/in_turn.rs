//! One after another: for things that would else call one another, as deep as a user's chain of
//! tasks is long.
#![forbid(unsafe_code)]

use std::cell::RefCell;

use crate::sync::LocalKey;

/// What waits for its turn on this thread; `None` while nothing is under way.
pub(crate) type Line<X> = RefCell<Option<Vec<X>>>;

/// Calls `each` with `item`, and with whatever comes to this line meanwhile. On a thread that is at
/// it already, only puts the item into the line. Gives the item back where thread-locals are gone.
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

/// Calls `each` with what waits in the line of this thread: for one who is about to sleep in the
/// midst of an item, because what it sleeps for may stand there.
pub(crate) fn run_what_waits<X>(line: &'static LocalKey<Line<X>>, each: impl Fn(X)) {
    let next = || line.try_with(|line| line.borrow_mut().as_mut().and_then(Vec::pop));
    while let Ok(Some(item)) = next() {
        each(item);
    }
}
