//! A task described before it is spawned.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::submit::{self, Options};
use crate::error::SpawnError;
use crate::handle::TaskHandle;
use crate::hub::Hub;
use crate::task::TaskContext;

/// Describes one task; made by [`WorkerPool::task`](crate::WorkerPool::task).
///
/// A task described here costs some bytes more than a plain one.
#[derive(Debug)]
#[must_use = "nothing is spawned until `spawn` is called"]
pub struct TaskBuilder<'pool> {
    hub: &'pool Arc<Hub>,
    options: Options,
}

impl<'pool> TaskBuilder<'pool> {
    pub(super) fn new(hub: &'pool Arc<Hub>) -> Self {
        Self { hub, options: Options::default() }
    }

    /// Names the task, for events and reports. Without a name they show the closure's type, which says
    /// in which function it was written.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Spawns the task, as [`WorkerPool::spawn`](crate::WorkerPool::spawn) does.
    pub fn spawn<F, T>(self, closure: F) -> TaskHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        submit::spawn_on::<F, _, T>(self.hub, self.options, move |_: &TaskContext| closure())
    }

    /// Spawns the task, as [`WorkerPool::spawn_with`](crate::WorkerPool::spawn_with) does.
    pub fn spawn_with<F, T>(self, closure: F) -> TaskHandle<T>
    where
        F: FnOnce(&TaskContext) -> T + Send + 'static,
        T: Send + 'static,
    {
        submit::spawn_on::<F, F, T>(self.hub, self.options, closure)
    }

    /// Spawns the task, as [`WorkerPool::try_spawn`](crate::WorkerPool::try_spawn) does.
    ///
    /// # Errors
    /// The closure itself, if the pool is full or closed.
    pub fn try_spawn<F, T>(self, closure: F) -> Result<TaskHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        submit::try_spawn_on(self.hub, self.options, closure)
    }

    /// Spawns the task, as [`WorkerPool::spawn_async`](crate::WorkerPool::spawn_async) does.
    ///
    /// # Errors
    /// The closure itself, if the pool is closed before there is room.
    pub async fn spawn_async<F, T>(self, closure: F) -> Result<TaskHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        submit::spawn_async_on(self.hub, self.options, closure).await
    }
}
