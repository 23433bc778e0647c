//! The source of a map's tasks: pulls an item when there is room, and spawns its task.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::pool::handle::TaskHandle;
use crate::pool::spawn_without_place;
use crate::sched::hub::Hub;
use crate::task::TaskContext;

pub(super) struct Feed<I, F> {
    hub: Arc<Hub>,
    /// `None` when it has ended.
    items: Option<I>,
    function: Arc<F>,
    /// How many tasks may be in flight; at least one.
    window: usize,
    /// Whether the iterator panicked when it was last asked.
    has_panicked: bool,
}

impl<I, F> Feed<I, F> {
    pub(super) fn new(hub: &Arc<Hub>, items: I, window: usize, function: F) -> Self {
        Self {
            hub: Arc::clone(hub),
            items: Some(items),
            function: Arc::new(function),
            window: window.max(1),
            has_panicked: false,
        }
    }

    /// Pulls an item and spawns its task, if the window has room and the source has an item.
    pub(super) fn spawn<R>(&mut self, in_flight: usize) -> Option<TaskHandle<R>>
    where
        I: Iterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        let item = self.pull(in_flight)?;
        Some(self.spawn_task(item))
    }

    /// Pulls an item, if the window has room for its task and the source has an item.
    pub(super) fn pull(&mut self, in_flight: usize) -> Option<I::Item>
    where
        I: Iterator,
    {
        // After a panic, results come first: an iterator that panics each time must not hold them
        // back.
        if in_flight >= self.window || self.has_panicked && in_flight > 0 {
            return None;
        }
        let items = self.items.as_mut()?;
        self.has_panicked = true;
        let item = items.next();
        self.has_panicked = false;
        if item.is_none() {
            self.end();
        }
        item
    }

    /// Drops the source: nothing more is pulled.
    pub(super) fn end(&mut self) {
        self.items = None;
    }

    /// Spawns the task of a pulled item.
    pub(super) fn spawn_task<T, R>(&self, item: T) -> TaskHandle<R>
    where
        T: Send + 'static,
        F: Fn(T) -> R + Send + Sync + 'static,
        R: Send + 'static,
    {
        let function = Arc::clone(&self.function);
        let closure = move |_: &TaskContext| function(item);
        spawn_without_place::<F, _, R>(&self.hub, closure)
    }

    /// The bounds on the number of remaining results, including those in flight.
    pub(super) fn size_hint(&self, in_flight: usize) -> (usize, Option<usize>)
    where
        I: Iterator,
    {
        let (least, most) = self.items.as_ref().map_or((0, Some(0)), I::size_hint);
        let most = most.and_then(|most| most.checked_add(in_flight));
        (least.saturating_add(in_flight), most)
    }
}
