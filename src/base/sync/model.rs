//! Loom's locks under the names used by the rest of the crate, and how to run a model.
#![forbid(unsafe_code)]

pub(crate) use loom::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// Loom's own atomics are the steps of a model, so nothing is added around them.
#[track_caller]
pub(super) fn around<R>(access: impl FnOnce() -> R) -> R {
    access()
}

/// Loom's mutex with the interface of `parking_lot`'s: no poisoning.
#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a model's thread panicked with a lock held")
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

/// Loom's `RwLock`, also without poisoning.
#[derive(Debug)]
pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self(loom::sync::RwLock::new(T::default()))
    }
}

impl<T> RwLock<T> {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().expect("a model's thread panicked with a lock held")
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().expect("a model's thread panicked with a lock held")
    }
}

#[cfg(test)]
thread_local! {
    static PANICKED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs a model through all its schedules. All models start here.
///
/// Loom reports a race by a panic in the thread that runs into it. Our own code catches panics of
/// user code and would also catch that one. So each panic is recorded where it begins, and a model
/// that has seen one fails. A model's own panics are raised with `resume_unwind`, which is not
/// recorded.
#[cfg(test)]
pub(crate) fn explore(model: impl Fn() + Sync + Send + 'static) {
    note_panics();
    loom::model(move || check(&model));
}

/// As [`explore`], but with at most two preemptions, for models that take minutes with three. The
/// model's docs say when it was run with three.
#[cfg(test)]
pub(crate) fn explore_shallow(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.map(|bound| bound.min(2));
    note_panics();
    builder.check(move || check(&model));
}

#[cfg(test)]
fn check(model: &impl Fn()) {
    model();
    assert!(!PANICKED.get(), "a panic inside the model was caught; see above");
}

#[cfg(test)]
fn note_panics() {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICKED.set(true);
            report(panic);
        }));
    });
}
