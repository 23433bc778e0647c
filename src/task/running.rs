//! The name of the task that a worker runs, for threads that ask from outside.

use core::ptr::{self, NonNull};

use super::ClaimedTask;
use super::raw::{self, Header, Table};
use crate::base::error::TaskName;
use crate::base::sync::plain::{AtomicPtr, Mutex, Ordering};

/// A worker sets it with one plain store per task. A task that the user named also costs a lock.
#[derive(Debug)]
pub(crate) struct RunningName {
    /// The table of the running task's type. It is a constant of the program and outlives the task.
    table: AtomicPtr<Table>,
    given: Mutex<Option<String>>,
}

impl RunningName {
    pub(crate) fn new() -> Self {
        Self { table: AtomicPtr::new(ptr::null_mut()), given: Mutex::new(None) }
    }

    pub(crate) fn set(&self, task: &ClaimedTask) {
        if let Some(extra) = task.extra() {
            *self.given.lock() = extra.name.as_deref().map(str::to_owned);
        }
        self.set_type(task);
    }

    pub(crate) fn clear(&self, task: &ClaimedTask) {
        if task.extra().is_some() {
            *self.given.lock() = None;
        }
        self.clear_type();
    }

    /// Like [`set`](Self::set), for a task that has no other name than its closure's type.
    #[inline]
    pub(crate) fn set_type(&self, task: &ClaimedTask) {
        // ORDERING: relaxed, a hint for people. The pointer is to a constant, so no other data
        // needs to be visible with it.
        self.table.store(ptr::from_ref(task.table()).cast_mut(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn clear_type(&self) {
        // ORDERING: as in `set_type`.
        self.table.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// The name of the running task, or of its closure's type.
    pub(crate) fn get(&self) -> Option<String> {
        // ORDERING: as in `set_type`.
        let table = self.table.load(Ordering::Relaxed);
        // SAFETY: null, or a constant's address from `set`.
        let table = unsafe { table.as_ref() }?;
        let given = self.given.lock().clone();
        Some(given.unwrap_or_else(|| table.type_name().to_owned()))
    }
}

/// The task's name: the given one, or else that of its closure's type.
///
/// # Safety
/// - The caller holds a reference.
#[cold]
pub(super) unsafe fn name(task: NonNull<Header>) -> TaskName {
    // SAFETY: the caller holds a reference.
    let given = unsafe { raw::extra(task) }.and_then(|extra| extra.name.clone());
    // SAFETY: the caller holds a reference.
    given.map_or_else(
        || TaskName::Type(unsafe { Header::of(task) }.table.type_name()),
        TaskName::Given,
    )
}
