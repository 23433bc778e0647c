//! Which public types are `Send`, `Sync` and `Unpin`.
//!
//! Case 63. Everything here is checked at compile time. A trick checks that a type lacks a trait:
//! if the type has the trait after all, a name becomes ambiguous.

use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::MutexGuard;
use std::sync::atomic::AtomicU32;

use corepool::builder::WhenStuck;
use corepool::cancel::{CancelReason, Cancelled, UntilCancelled};
use corepool::errors::PanicPayload;
use corepool::events::{Events, ExitReason, NextEvent};
use corepool::metrics::{Histogram, WorkerMetrics, WorkerState};
use corepool::parallel::{JoinContext, ScopedHandle};
use corepool::promise::{All, AllSettled, Any, Promise, Race};
use corepool::sets::{MapOrdered, MapUnordered, NextResult};
use corepool::shared::{UntilNotified, WaitResult};
use corepool::shutdown::{AbandonedTask, UntilShutdown};
use corepool::{
    BuildError, CancelToken, Dispatch, Metrics, Permit, Pinning, PoolBuilder, PoolEvent, Priority,
    Scope, SharedArray, ShutdownReport, SpawnError, TaskBuilder, TaskContext, TaskError,
    TaskHandle, TaskSet, WhenFull, WorkerId, WorkerInfo, WorkerLocal, WorkerPool,
};

/// Fails to compile if the type has the trait.
macro_rules! lacks {
    ($type:ty: $trait:path) => {
        const _: fn() = || {
            trait Ambiguous<Which> {
                fn name() {}
            }
            struct HasIt;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<HasIt> for T {}
            let _ = <$type as Ambiguous<_>>::name;
        };
    };
}

const fn send<T: Send>() {}
const fn sync<T: Sync>() {}
const fn unpin<T: Unpin>() {}
const fn debug<T: Debug>() {}
const fn free<T: Send + Sync + Unpin + Debug>() {}
const fn error<T: Error + Send + Sync + 'static>() {}
const fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
const fn future<T: Future<Output = Result<U, TaskError>>, U>() {}

/// A type that is not `Debug`.
struct Mute;
/// A type that is `Send` but not `Sync`.
type OnlySend = Cell<u8>;
/// A type that is neither `Send` nor `Sync`.
type Neither = Rc<u8>;
/// A type that is `Sync` but not `Send`.
type OnlySync = MutexGuard<'static, u8>;

const _: () = {
    free::<WorkerPool>();
    free::<PoolBuilder>();
    free::<TaskBuilder<'static>>();
    free::<Permit<'static>>();
    free::<Dispatch>();
    free::<Pinning>();
    free::<WhenFull>();
    free::<BuildError>();
    free::<Cancelled>();
    free::<PanicPayload>();
    free::<TaskError>();
    free::<ExitReason>();
    free::<PoolEvent>();
    free::<Events>();
    free::<NextEvent<'static>>();
    free::<corepool::handle::Completer<OnlySend>>();
    free::<WorkerId>();
    free::<corepool::sets::TaskId>();
    free::<corepool::errors::Refusal>();
    free::<Histogram>();
    free::<Metrics>();
    free::<WorkerInfo>();
    free::<WorkerMetrics>();
    free::<WorkerState>();
    free::<AbandonedTask>();
    free::<ShutdownReport>();
    free::<JoinContext>();
    free::<UntilShutdown>();
    free::<corepool::shared::Counter>();
    free::<CancelReason>();
    free::<CancelToken>();
    free::<UntilCancelled>();
    free::<Priority>();
    free::<WhenStuck>();
    free::<SharedArray<AtomicU32>>();
    free::<UntilNotified<'static, AtomicU32>>();
    free::<WaitResult>();
    error::<BuildError>();
    error::<Cancelled>();
    error::<TaskError>();
    error::<PanicPayload>();
    error::<corepool::errors::Refusal>();
    error::<SpawnError<fn()>>();
    error::<corepool::errors::ReserveError>();
    error::<corepool::errors::Closed>();
};

// A handle gives its value by value only, so it is `Sync` if the value is `Send`.
const _: () = {
    free::<TaskHandle<u8>>();
    free::<TaskHandle<OnlySend>>();
    unpin::<TaskHandle<Neither>>();
    unpin::<TaskHandle<std::marker::PhantomPinned>>();
    debug::<TaskHandle<Mute>>();
    future::<TaskHandle<Vec<u8>>, Vec<u8>>();
};
lacks!(TaskHandle<Neither>: Send);
lacks!(TaskHandle<Neither>: Sync);
lacks!(TaskHandle<OnlySync>: Send);
lacks!(TaskHandle<OnlySync>: Sync);
lacks!(TaskHandle<u8>: Clone);

// A type that collects handles has the same traits as the handles.
const _: () = {
    free::<TaskSet<OnlySend>>();
    unpin::<TaskSet<Neither>>();
    free::<NextResult<'static, OnlySend>>();
    unpin::<NextResult<'static, Neither>>();
    debug::<NextResult<'static, Mute>>();
    free::<MapOrdered<std::vec::IntoIter<u8>, fn(u8) -> OnlySend, OnlySend>>();
    free::<MapUnordered<std::vec::IntoIter<u8>, fn(u8) -> OnlySend, OnlySend>>();
    unpin::<MapOrdered<std::vec::IntoIter<u8>, fn(u8) -> Neither, Neither>>();
    unpin::<MapUnordered<std::vec::IntoIter<u8>, fn(u8) -> Neither, Neither>>();
    free::<Promise<All<u8>>>();
    free::<Promise<AllSettled<u8>>>();
    free::<Promise<Any<u8>>>();
    free::<Promise<Race<u8>>>();
    unpin::<Promise<All<Neither>>>();
};
lacks!(TaskSet<Neither>: Send);
lacks!(TaskSet<OnlySync>: Send);
lacks!(TaskSet<u8>: Clone);
lacks!(NextResult<'static, Neither>: Send);
lacks!(MapOrdered<std::vec::IntoIter<u8>, fn(u8) -> Neither, Neither>: Send);
lacks!(MapUnordered<std::vec::IntoIter<u8>, fn(u8) -> Neither, Neither>: Send);
// The iterator that supplies the items runs wherever the results are asked for.
lacks!(MapOrdered<std::vec::IntoIter<Neither>, fn(Neither) -> u8, u8>: Send);
lacks!(Promise<All<Neither>>: Send);
lacks!(Promise<AllSettled<Neither>>: Send);
lacks!(Promise<Any<Neither>>: Send);
lacks!(Promise<Race<Neither>>: Send);

// These are intact after a panic inside `catch_unwind`, so no caller needs `AssertUnwindSafe`.
const _: () = {
    unwind_safe::<WorkerPool>();
    unwind_safe::<Permit<'static>>();
    unwind_safe::<TaskHandle<OnlySend>>();
    unwind_safe::<TaskSet<OnlySend>>();
    unwind_safe::<Promise<All<OnlySend>>>();
    unwind_safe::<Promise<Race<OnlySend>>>();
    unwind_safe::<CancelToken>();
    unwind_safe::<Events>();
    unwind_safe::<corepool::handle::Completer<OnlySend>>();
    unwind_safe::<WorkerLocal<OnlySend>>();
    unwind_safe::<SharedArray<AtomicU32>>();
    unwind_safe::<corepool::shared::Counter>();
};

// Each value belongs to one thread at a time, so a local is `Sync` if the value is `Send`.
const _: () = {
    free::<WorkerLocal<u8>>();
    free::<WorkerLocal<OnlySend>>();
};

// A refused closure keeps its own traits.
const _: () = {
    free::<SpawnError<fn()>>();
    send::<SpawnError<OnlySend>>();
    sync::<SpawnError<OnlySync>>();
};
lacks!(SpawnError<OnlySend>: Sync);
lacks!(SpawnError<Neither>: Send);
lacks!(SpawnError<OnlySync>: Send);

// A context belongs to one run of a task. Parts of that task's own calls may query it, on whatever
// thread they run.
const _: () = {
    sync::<TaskContext>();
    unpin::<TaskContext>();
    debug::<TaskContext>();
};
lacks!(TaskContext: Send);
lacks!(TaskContext: Clone);

// Any thread may spawn on a scope, and the handle stays with that thread. The type of the result
// makes no difference.
const _: () = {
    free::<Scope<'static, 'static>>();
    unpin::<ScopedHandle<'static, Neither>>();
    debug::<ScopedHandle<'static, Neither>>();
};
lacks!(Scope<'static, 'static>: Clone);
lacks!(ScopedHandle<'static, u8>: Send);
lacks!(ScopedHandle<'static, u8>: Sync);
lacks!(ScopedHandle<'static, u8>: Clone);

// A single owner decides when a pool ends.
lacks!(WorkerPool: Clone);

// Checks the trick itself against the traits of std's own types.
lacks!(Neither: Send);
lacks!(OnlySend: Sync);
