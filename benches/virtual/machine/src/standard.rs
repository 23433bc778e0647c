//! Locks with the interface of the standard library, for rivals. They are never poisoned.

use std::convert::Infallible;

use crate::lock;
pub use crate::lock::MutexGuard;

pub type LockResult<T> = Result<T, Infallible>;

#[derive(Debug, Default)]
pub struct Mutex<T>(lock::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self(lock::Mutex::new(value))
    }

    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(self.0.lock())
    }
}

#[derive(Debug, Default)]
pub struct Condvar(lock::Condvar);

impl Condvar {
    pub const fn new() -> Self {
        Self(lock::Condvar::new())
    }

    pub fn wait<'lock, T>(
        &self,
        mut guard: MutexGuard<'lock, T>,
    ) -> LockResult<MutexGuard<'lock, T>> {
        self.0.wait(&mut guard);
        Ok(guard)
    }

    #[track_caller]
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    #[track_caller]
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}
