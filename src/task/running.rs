//! The name of the task that a worker runs, for whoever asks from another thread.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use parking_lot::Mutex;

use super::ClaimedTask;
use super::raw::Table;

/// A worker sets it with one plain store a task; a task that the user named costs a lock as well.
#[derive(Debug)]
pub(crate) struct RunningName {
    /// The table of the running task's type: it is a constant of the program and outlives the task.
    table: AtomicPtr<Table>,
    given: Mutex<Option<String>>,
}

impl RunningName {
    pub(crate) fn new() -> Self {
        Self { table: AtomicPtr::new(ptr::null_mut()), given: Mutex::new(None) }
    }

    #[inline]
    pub(crate) fn set(&self, task: &ClaimedTask) {
        if let Some(extra) = task.extra() {
            *self.given.lock() = extra.name.as_deref().map(str::to_owned);
        }
        // ORDERING: a hint for people; the pointer is to a constant, so nothing has to be seen with it.
        self.table.store(ptr::from_ref(task.table()).cast_mut(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn clear(&self, task: &ClaimedTask) {
        if task.extra().is_some() {
            *self.given.lock() = None;
        }
        // ORDERING: as in `set`.
        self.table.store(ptr::null_mut(), Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        // ORDERING: as in `set`.
        !self.table.load(Ordering::Relaxed).is_null()
    }

    /// The name of the running task, or of its closure's type.
    pub(crate) fn get(&self) -> Option<String> {
        // ORDERING: as in `set`.
        let table = self.table.load(Ordering::Relaxed);
        // SAFETY: null, or a constant's address from `set`.
        let table = unsafe { table.as_ref() }?;
        let given = self.given.lock().clone();
        Some(given.unwrap_or_else(|| table.type_name().to_owned()))
    }
}
