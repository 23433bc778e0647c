//! One task in one allocation: header, then closure or result, then the optional part.
//!
//! The typed ends (`make` and the handle) know `F` and `T`. The queue and the worker see a
//! [`Header`] and go through its function table. This file decides only where things lie; [`State`]
//! decides who may touch which part when.

use core::any::type_name;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;
use core::task::Waker;
use std::alloc::Layout;

use super::TaskRef;
use super::body::{Body, Stop};
pub(super) use super::contents::take_contents;
use super::contents::{drop_contents, put_contents, with_contents};
use super::context::TaskContext;
use super::ended::Ended;
use super::extra::Extra;
use super::memory::{begin, free_of};
use super::running;
use super::state::{Outcome, State};
use super::strip::{Kind, StripPlace};
use super::token;
use crate::base::error::{TaskError, panic_message};
use crate::base::id::PoolId;
use crate::base::sync::UnsafeCell;
use crate::base::unwind::{self, Payload};
use crate::parts::queue::Link;

/// The start of every task, whatever its closure is. 40 bytes.
#[repr(C)]
pub(super) struct Header {
    /// First, so that a pointer to the link is a pointer to the header.
    pub(super) link: Link,
    pub(super) table: &'static Table,
    pub(super) state: State,
    /// The pool's number, and the place in the strip that the task was cut from.
    pub(super) tag: u32,
    waiter: UnsafeCell<MaybeUninit<Waker>>,
    /// Entered by all code that touches the contents, so that a model detects two threads that do
    /// so at once. Zero-sized in a real build.
    pub(super) contents: UnsafeCell<()>,
}

/// What differs between types of tasks. Everything else is compiled once, not once per closure.
pub(super) struct Table {
    /// Runs the closure and leaves the value or the panic payload in its place.
    run: unsafe fn(NonNull<Header>, &TaskContext) -> Ended,
    before: unsafe fn(NonNull<Header>) -> Option<TaskRef>,
    passes_on: unsafe fn(NonNull<Header>) -> bool,
    drop_closure: unsafe fn(NonNull<Header>),
    drop_value: unsafe fn(NonNull<Header>),
    free: unsafe fn(NonNull<Header>),
    /// The layout of a task without the optional part, and of one with it.
    pub(super) plain: Layout,
    pub(super) extended: Layout,
    /// The kind of strip (a chunk for several tasks) that a task without the optional part is cut
    /// from.
    pub(super) kind: Option<Kind>,
    pub(super) contents_offset: usize,
    pub(super) extra_offset: usize,
    name: fn() -> &'static str,
    is_errand: bool,
}

/// A task without the optional part.
#[repr(C)]
struct Plain<F, T> {
    header: Header,
    contents: core::cell::UnsafeCell<Contents<F, T>>,
}

/// A task with the optional part. The plain part stands first, so both are read alike.
#[repr(C)]
struct Extended<F, T> {
    plain: Plain<F, T>,
    extra: core::cell::UnsafeCell<Extra>,
}

/// The closure before the run, the value or the payload after. It is only accessed through raw
/// pointers; the type only reserves the right size and alignment.
union Contents<F, T> {
    _closure: ManuallyDrop<F>,
    _value: ManuallyDrop<T>,
    _panic: ManuallyDrop<Payload>,
}

impl Table {
    /// The name of the closure's type, which says in which function it was written.
    pub(super) fn type_name(&self) -> &'static str {
        (self.name)()
    }

    pub(super) fn is_errand(&self) -> bool {
        self.is_errand
    }
}

/// The panic payload of a task that ends its worker's thread; see `TaskContext::end_worker`.
pub(super) struct EndWorker;

impl<F, T> Plain<F, T>
where
    F: Body<T>,
{
    /// `NameSource` is the type that the task is named after: the user's own closure, even if our
    /// closure is wrapped around it.
    const fn table<NameSource>() -> Table {
        let before: unsafe fn(NonNull<Header>) -> Option<TaskRef> =
            if F::IS_LINK { Self::before } else { no_task_before };
        let passes_on: unsafe fn(NonNull<Header>) -> bool =
            if F::IS_LINK { Self::passes_on } else { passes_nothing_on };
        Table {
            run: Self::run,
            before,
            passes_on,
            drop_closure: drop_contents::<F>,
            drop_value: drop_contents::<T>,
            free: free_of(Self::KIND),
            plain: Layout::new::<Self>(),
            extended: Layout::new::<Extended<F, T>>(),
            kind: Self::KIND,
            contents_offset: core::mem::offset_of!(Self, contents),
            extra_offset: core::mem::offset_of!(Extended<F, T>, extra),
            name: type_name::<NameSource>,
            is_errand: false,
        }
    }

    /// The kind of strip that this type is cut from. None in builds where a tool should see every
    /// task as its own allocation, and use after free as a bug.
    const KIND: Option<Kind> =
        if cfg!(any(corepool_loom, corepool_chaos, corepool_shuttle, corepool_tsan)) {
            None
        } else {
            Kind::of::<Self>()
        };

    const fn errand_table<NameSource>() -> Table {
        Table { run: Self::run_errand, is_errand: true, ..Self::table::<NameSource>() }
    }

    /// # Safety
    /// - `task` heads a `Plain<F, T>`, and the caller has claimed it and not run it yet.
    unsafe fn run(task: NonNull<Header>, context: &TaskContext) -> Ended {
        // SAFETY: the claimant owns the closure, which is of this type, and moves it out once.
        let body = unsafe { take_contents::<F>(task) };
        let result = body.call(context);
        // SAFETY: the closure has been moved out, and the claim is the caller's.
        unsafe { leave::<T>(task, result) }
    }

    /// # Safety
    /// - `task` heads a `Plain<F, T>` that holds its closure, and no thread takes it out meanwhile.
    unsafe fn before(task: NonNull<Header>) -> Option<TaskRef> {
        // SAFETY: the caller promises that the closure, an `F`, is there and stays.
        unsafe { with_contents::<F, _>(task, F::before) }
    }

    /// # Safety
    /// - As for [`before`](Self::before).
    unsafe fn passes_on(task: NonNull<Header>) -> bool {
        // SAFETY: the caller promises that the closure, an `F`, is there and stays.
        unsafe { with_contents::<F, _>(task, F::passes_on) }
    }

    /// Ends as if it had been cancelled. So an errand has no value, and workers do not count it
    /// among the tasks they ran. A panic in an errand is a bug of ours and propagates to the
    /// worker's loop.
    ///
    /// # Safety
    /// - As for [`run`](Self::run).
    unsafe fn run_errand(task: NonNull<Header>, context: &TaskContext) -> Ended {
        // SAFETY: the caller promises that it has claimed the task, so the closure is its own, and
        // it moves it out once.
        let errand = unsafe { take_contents::<F>(task) };
        if let Err(Stop::Threw(payload)) = errand.call(context) {
            std::panic::resume_unwind(payload);
        }
        Ended { outcome: Outcome::Cancelled, passed_on: false }
    }
}

/// Leaves a result in the closure's place. The task is not settled yet.
///
/// # Safety
/// - The task's value type is `T`. The caller has claimed it and moved the closure out.
#[inline(always)]
pub(super) unsafe fn leave<T>(task: NonNull<Header>, result: Result<T, Stop>) -> Ended {
    let (outcome, passed_on) = match result {
        Ok(value) => {
            // SAFETY: the claimant owns the place, and the closure has been moved out of it.
            unsafe { put_contents::<T>(task, value) };
            (Outcome::Value, false)
        }
        Err(Stop::Threw(payload)) if ends_worker(&payload) => (Outcome::Lost, false),
        Err(Stop::Threw(payload)) => {
            // SAFETY: as for the value.
            unsafe { put_contents::<Payload>(task, payload) };
            (Outcome::Panicked, false)
        }
        Err(Stop::PassedOn(TaskError::Panicked(panic))) => {
            // SAFETY: as for the value.
            unsafe { put_contents::<Payload>(task, panic.pass_on()) };
            (Outcome::Panicked, true)
        }
        Err(Stop::PassedOn(error)) => (Outcome::without_value(&error), true),
    };
    Ended { outcome, passed_on }
}

/// [`Table::before`] of a task that is not a link.
///
/// # Safety
/// - No requirements. It is `unsafe` only to have the same type as [`before`](Plain::before).
unsafe fn no_task_before(_: NonNull<Header>) -> Option<TaskRef> {
    None
}

/// [`Table::passes_on`] of a task that is not a link.
///
/// # Safety
/// - As for [`no_task_before`].
unsafe fn passes_nothing_on(_: NonNull<Header>) -> bool {
    false
}

/// Allocates a task that will be queued. Both references belong to the caller.
#[inline]
pub(super) fn allocate<NameSource, F, T>(
    pool: PoolId,
    state: fn(bool) -> State,
    extra: Option<Extra>,
    closure: F,
) -> NonNull<Header>
where
    F: Body<T>,
{
    let table = const { &Plain::<F, T>::table::<NameSource>() };
    let task = begin(table, pool, state(extra.is_some()), extra);
    // SAFETY: the task is of this type, fresh and empty.
    unsafe { put_contents::<F>(task, closure) };
    task
}

/// Allocates an errand, which a worker runs but does not count as a task. Both references belong to
/// the caller.
pub(super) fn allocate_errand<NameSource, F>(pool: PoolId, closure: F) -> NonNull<Header>
where
    F: Body<()>,
{
    let table = const { &Plain::<F, ()>::errand_table::<NameSource>() };
    let task = begin(table, pool, State::queued(false), None);
    // SAFETY: the task is of this type, fresh and empty.
    unsafe { put_contents::<F>(task, closure) };
    task
}

/// Whether a panic is a task's wish to end its worker's thread.
pub(crate) fn ends_worker(payload: &Payload) -> bool {
    payload.is::<EndWorker>()
}

impl Header {
    #[inline]
    pub(super) fn new(
        table: &'static Table,
        state: State,
        pool: PoolId,
        place: StripPlace,
    ) -> Self {
        Self {
            link: Link::new(),
            table,
            state,
            tag: pool.pack(place.bits()),
            waiter: UnsafeCell::new(MaybeUninit::uninit()),
            contents: UnsafeCell::new(()),
        }
    }

    /// Settles a task that a thread other than its owner has claimed, and wakes the waiter.
    pub(super) fn settle_beside_owner(&self, outcome: Outcome) {
        if self.state.settle_beside_owner(outcome) {
            // SAFETY: the slot was filled when we settled the task, so it is ours now.
            let waker = unsafe { self.take_waiter() };
            unwind::quietly(|| waker.wake());
        }
    }

    pub(super) fn pool(&self) -> PoolId {
        PoolId::unpack(self.tag).0
    }

    /// The header behind a pointer.
    ///
    /// # Safety
    /// - The caller holds one of the task's references for as long as it uses the result.
    #[inline(always)]
    pub(super) unsafe fn of<'a>(task: NonNull<Self>) -> &'a Self {
        // SAFETY: a reference keeps the allocation alive, and headers are only ever accessed
        // shared.
        unsafe { task.as_ref() }
    }

    /// # Safety
    /// - The waiter slot is the caller's, and empty.
    pub(super) unsafe fn put_waiter(&self, waker: Waker) {
        self.waiter.with_mut(|slot| {
            // SAFETY: the caller owns the slot.
            let slot = unsafe { &mut *slot };
            slot.write(waker);
        });
    }

    /// # Safety
    /// - The waiter slot is the caller's, and filled.
    pub(super) unsafe fn take_waiter(&self) -> Waker {
        self.waiter.with_mut(|slot| {
            // SAFETY: the caller owns the slot.
            let slot = unsafe { &mut *slot };
            // SAFETY: it is filled, and the caller will not read it again before it is refilled.
            unsafe { slot.assume_init_read() }
        })
    }
}

/// As for the state: in a model, the drop counts as a write to both cells.
#[cfg(corepool_loom)]
impl Drop for Header {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.waiter.with_mut(|_| ());
            self.contents.with_mut(|_| ());
        }
    }
}

/// Runs a claimed task. See [`Table::run`].
///
/// # Safety
/// - The caller has claimed the task and not run it yet.
#[inline]
pub(super) unsafe fn run(task: NonNull<Header>, context: &TaskContext) -> Ended {
    // SAFETY: the claimant holds a reference.
    let header = unsafe { Header::of(task) };
    if header.state.is_extended() {
        // SAFETY: the caller promises that it has claimed the task and not run it yet.
        return unsafe { run_extended(task, context) };
    }
    // SAFETY: the caller promises that it has claimed the task and not run it yet.
    unsafe { run_plain(task, context) }
}

/// Like [`run`], without a look at the optional part.
///
/// # Safety
/// - As for [`run`].
#[inline]
pub(super) unsafe fn run_plain(task: NonNull<Header>, context: &TaskContext) -> Ended {
    // SAFETY: the claimant holds a reference.
    let run = unsafe { Header::of(task) }.table.run;
    // SAFETY: the table belongs to the task's type; the caller has claimed the task and not run it.
    unsafe { run(task, context) }
}

/// Like [`run`], for a task that may be late (too late to start) or has its running time limited.
///
/// # Safety
/// - As for [`run`].
unsafe fn run_extended(task: NonNull<Header>, context: &TaskContext) -> Ended {
    // SAFETY: the claimant holds a reference.
    let header = unsafe { Header::of(task) };
    // SAFETY: the caller promises that it has claimed the task and not run it yet.
    if !unsafe { token::begin(task) } {
        // SAFETY: it was claimed, and is not run.
        unsafe { drop_closure(task) };
        return Ended { outcome: Outcome::Expired, passed_on: true };
    }
    // SAFETY: the table belongs to the task's type; the caller has claimed the task and not run it.
    let ended = unsafe { (header.table.run)(task, context) };
    // SAFETY: the claimant still holds a reference.
    if let Some(extra) = unsafe { extra(task) } {
        extra.untie();
    }
    ended
}

/// The task that a link waits for; see [`Body::before`].
///
/// # Safety
/// - The task holds its closure, and no thread takes it out meanwhile.
pub(super) unsafe fn before(task: NonNull<Header>) -> Option<TaskRef> {
    // SAFETY: the caller keeps the task alive.
    let before = unsafe { Header::of(task) }.table.before;
    // SAFETY: the table belongs to the task's type; the caller promises that the closure stays.
    unsafe { before(task) }
}

/// See [`Body::passes_on`].
///
/// # Safety
/// - As for [`before`].
pub(super) unsafe fn passes_on(task: NonNull<Header>) -> bool {
    // SAFETY: the caller keeps the task alive.
    let passes_on = unsafe { Header::of(task) }.table.passes_on;
    // SAFETY: the table belongs to the task's type; the caller promises that the closure stays.
    unsafe { passes_on(task) }
}

/// Drops the closure of a claimed task. Returns `true` if that did not panic.
///
/// # Safety
/// - The caller has claimed the task and not run it.
pub(super) unsafe fn drop_closure(task: NonNull<Header>) -> bool {
    // SAFETY: the claimant holds a reference.
    let drop_closure = unsafe { Header::of(task) }.table.drop_closure;
    // SAFETY: the table belongs to the task's type; the caller has claimed the task and not run it.
    unwind::quietly(|| unsafe { drop_closure(task) })
}

/// Drops the value or payload that a settled task holds.
///
/// # Safety
/// - The task is settled with `outcome`, and the value or payload is the caller's.
pub(super) unsafe fn drop_result(task: NonNull<Header>, outcome: Outcome) {
    match outcome {
        Outcome::Value => {
            // SAFETY: the caller holds a reference.
            let drop_value = unsafe { Header::of(task) }.table.drop_value;
            // SAFETY: the table belongs to the task's type; the caller promises that the value is
            // its own.
            unwind::quietly(|| unsafe { drop_value(task) });
        }
        // SAFETY: a panicked task holds a payload, and it is the caller's.
        Outcome::Panicked => unwind::drop_payload(unsafe { take_contents(task) }),
        // Other outcomes hold nothing.
        _ => {}
    }
}

/// Calls `look` with the name of a task that panicked and the panic message, before it is settled.
///
/// # Safety
/// - The contents are a payload, and the caller's.
#[cold]
pub(super) unsafe fn with_panic(task: NonNull<Header>, look: impl FnOnce(String, &str)) {
    // SAFETY: the caller holds a reference.
    let header = unsafe { Header::of(task) };
    // SAFETY: the caller holds a reference.
    let name = unsafe { running::name(task) }.into_string();
    // SAFETY: the offset is that of the task's own type.
    let place = unsafe { task.byte_add(header.table.contents_offset) }.cast::<Payload>();
    // SAFETY: the contents are the caller's, and stay where they are.
    header.contents.with(|_| look(name, &panic_message(&**unsafe { place.as_ref() })));
}

/// The optional part, if the task has one.
///
/// # Safety
/// - The caller holds a reference for as long as it uses the result.
pub(super) unsafe fn extra<'a>(task: NonNull<Header>) -> Option<&'a Extra> {
    // SAFETY: the caller holds a reference.
    let header = unsafe { Header::of(task) };
    if !header.state.is_extended() {
        return None;
    }
    // SAFETY: an extended task has the optional part at this offset.
    let place = unsafe { task.byte_add(header.table.extra_offset) }.cast::<Extra>();
    // SAFETY: it lives as long as the task, and is only ever shared.
    Some(unsafe { place.as_ref() })
}

/// Frees the allocation.
///
/// # Safety
/// - Both references are gone, and so are closure and result.
#[inline]
pub(super) unsafe fn free(task: NonNull<Header>) {
    // SAFETY: the allocation is still there.
    let free = unsafe { Header::of(task) }.table.free;
    // SAFETY: the table belongs to the task's type; the caller promises that the task is unused.
    unsafe { free(task) };
}
