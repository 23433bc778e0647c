//! The shelves of one local: the values that are not in use, grouped by the thread they belong to.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;

use super::signed::{self, Ends};
use super::table::Table;
use crate::base::sync::Mutex;
use crate::base::unwind;

/// All shelves of a local.
pub(super) struct Home<T> {
    /// Indexed by the worker's number. When a thread ends, its shelf is emptied and passes to the
    /// next thread that gets the number.
    workers: Table<Shelf<T>>,
    /// For threads that are not workers.
    common: Shelf<T>,
}

/// The values of one local on one thread that are not in use. A value in use has been moved out, so
/// no other call can find it.
pub(super) struct Shelf<T> {
    content: CachePadded<Mutex<Content<T>>>,
}

struct Content<T> {
    /// Boxed, so that a large value is not copied each time it is taken out and put back.
    values: Vec<Box<T>>,
    /// Whether the thread that owns the shelf will clear it when the thread ends.
    is_signed_up: bool,
}

impl<T: Send + 'static> Home<T> {
    pub(super) fn new() -> Self {
        Self { workers: Table::new(), common: Shelf::default() }
    }

    #[inline]
    pub(super) fn common(&self) -> &Shelf<T> {
        &self.common
    }

    /// The shelf of the calling thread, which is the worker with this number.
    #[inline]
    pub(super) fn shelf_of(&self, number: usize) -> &Shelf<T> {
        self.workers.get(number)
    }

    /// Takes the most recently returned value from the calling thread's shelf.
    #[inline]
    pub(super) fn take(self: &Arc<Self>, shelf: &Shelf<T>) -> Option<Box<T>> {
        let mut content = shelf.content.lock();
        let value = content.values.pop();
        // Only an empty shelf can be one that a worker uses for the first time.
        if value.is_none() && !std::mem::replace(&mut content.is_signed_up, true) {
            drop(content);
            self.sign_up(shelf);
        }
        value
    }

    #[cold]
    fn sign_up(self: &Arc<Self>, shelf: &Shelf<T>) {
        if !std::ptr::eq(shelf, &self.common) {
            let local: Weak<Self> = Arc::downgrade(self);
            signed::sign_up(local);
        }
    }

    pub(super) fn take_all(&self) -> Vec<Box<T>> {
        self.shelves().flat_map(Shelf::take_all).collect()
    }

    /// How many workers have a shelf, and how many values are on all shelves.
    pub(super) fn count(&self) -> (usize, usize) {
        let is_used = |shelf: &&Shelf<T>| shelf.content.lock().is_signed_up;
        let values = self.shelves().map(|shelf| shelf.content.lock().values.len());
        (self.workers.iter().filter(is_used).count(), values.sum())
    }

    fn shelves(&self) -> impl Iterator<Item = &Shelf<T>> {
        self.workers.iter().chain([&self.common])
    }
}

impl<T: Send + 'static> Ends for Home<T> {
    fn end(&self, number: usize) {
        let shelf = self.workers.get(number);
        shelf.content.lock().is_signed_up = false;
        drop_each(shelf.take_all());
    }
}

impl<T> Shelf<T> {
    #[inline]
    pub(super) fn put(&self, value: Box<T>) {
        self.content.lock().values.push(value);
    }

    fn take_all(&self) -> Vec<Box<T>> {
        std::mem::take(&mut self.content.lock().values)
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        let content = Content { values: Vec::new(), is_signed_up: false };
        Self { content: CachePadded::new(Mutex::new(content)) }
    }
}

/// Drops the values and catches their panics.
pub(super) fn drop_each<T>(values: Vec<Box<T>>) {
    for value in values {
        unwind::quietly(|| drop(value));
    }
}
