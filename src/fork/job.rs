//! A join: one half is run here, the other lies on the stack meanwhile for whoever is hungry.

use core::cell::{Cell, OnceCell, UnsafeCell};
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use std::panic;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::estimate;
use super::stack::{self, Stack};
use crate::clock;
use crate::offer::{Offer, Work};
use crate::unwind::{self, Payload};

/// What the stack sees of a join's second half. It heads a [`Frame`].
#[derive(Debug)]
pub(crate) struct Job {
    run: unsafe fn(NonNull<()>),
    /// The job above; only of use while there is one.
    pub(super) newer: Cell<Option<NonNull<Self>>>,
    offer: OnceCell<Arc<Offer>>,
}

impl Job {
    /// The job as something that another thread can run. `this` is the pointer that `push` was given.
    pub(super) fn work(&self, this: NonNull<Self>) -> Work {
        // SAFETY: `run` belongs to the frame that this job heads. The frame waits for the offer's end,
        // and runs the closure itself only if it has withdrawn the offer.
        unsafe { Work::new(this.cast(), self.run) }
    }

    pub(super) fn was_offered(&self) -> bool {
        self.offer.get().is_some()
    }

    /// How long the second half took elsewhere, if somebody has run it.
    fn took(&self) -> Option<Duration> {
        self.offer.get().map(|offer| offer.took())
    }

    pub(super) fn note_offer(&self, offer: &Arc<Offer>) {
        let first = self.offer.set(Arc::clone(offer));
        debug_assert!(first.is_ok(), "a job is offered once");
    }
}

/// A join's frame: the second half before its run, its result after one elsewhere.
#[repr(C)]
struct Frame<B, RB> {
    job: Job,
    half: UnsafeCell<Half<B, RB>>,
}

/// Both lie at its beginning, so a pointer to it is a pointer to either.
#[repr(C)]
union Half<B, RB> {
    closure: ManuallyDrop<B>,
    /// Never named: it stands for the room it needs.
    _result: ManuallyDrop<Result<RB, Payload>>,
}

impl<B, RB> Frame<B, RB>
where
    B: FnOnce(bool) -> RB,
{
    #[inline(always)]
    fn new(closure: B) -> Self {
        let job = Job { run: Self::run, newer: Cell::new(None), offer: OnceCell::new() };
        let half = UnsafeCell::new(Half { closure: ManuallyDrop::new(closure) });
        Self { job, half }
    }

    /// # Safety
    /// - `frame` is a `Frame<B, RB>` whose closure is there and is the caller's.
    // Never inlined: its address stands for the type, so there must be one.
    #[inline(never)]
    unsafe fn run(frame: NonNull<()>) {
        // SAFETY: the caller's promise. Only the half is touched: the job belongs to the frame's thread.
        let half = unsafe { &raw mut (*frame.cast::<Self>().as_ptr()).half };
        // SAFETY: the frame is there.
        let half = UnsafeCell::raw_get(half);
        // SAFETY: the closure is the caller's, and moved out once.
        let closure = unsafe { half.cast::<B>().read() };
        let result = unwind::catch(|| closure(true));
        // SAFETY: the place is the caller's, and the closure has left it.
        unsafe { half.cast::<Result<RB, Payload>>().write(result) };
    }

    /// # Safety
    /// - The closure is there, and is the caller's.
    unsafe fn take_closure(&self) -> B {
        // SAFETY: the caller's promise.
        unsafe { self.half.get().cast::<B>().read() }
    }

    /// # Safety
    /// - As for [`take_result`](Self::take_result).
    #[cold]
    unsafe fn result_or_panic(&self) -> RB {
        // SAFETY: the caller's promise.
        match unsafe { self.take_result() } {
            Ok(result) => result,
            // The first half's result is dropped on the way.
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    /// # Safety
    /// - The frame's offer is done, and the result was not taken.
    unsafe fn take_result(&self) -> Result<RB, Payload> {
        // SAFETY: the caller's promise.
        unsafe { self.half.get().cast::<Result<RB, Payload>>().read() }
    }
}

/// Where the second half is when the first has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    /// Nobody took it.
    Here,
    /// Somebody ran it.
    Done,
}

/// A frame on the stack. Dropped by a panic of the first half, it gets the second out of the way.
struct Pushed<'s, 'h, B, RB>
where
    B: FnOnce(bool) -> RB,
{
    stack: &'s Stack<'h>,
    frame: &'s Frame<B, RB>,
    job: NonNull<Job>,
    below: Option<NonNull<Job>>,
}

impl<'s, 'h, B, RB> Pushed<'s, 'h, B, RB>
where
    B: FnOnce(bool) -> RB,
{
    /// # Safety
    /// - The frame stays where it is, and what this gives is settled or dropped before the frame ends, and
    ///   before frames that were pushed earlier are.
    #[inline(always)]
    unsafe fn new(stack: &'s Stack<'h>, frame: &'s Frame<B, RB>) -> Self {
        let job: NonNull<Job> = NonNull::from(frame).cast();
        // SAFETY: the caller's promise.
        let below = unsafe { stack.push(job) };
        Self { stack, frame, job, below }
    }

    /// Takes the job off the stack, and waits for it if somebody has taken it.
    #[inline(always)]
    fn settle(&self) -> Whereabouts {
        self.stack.pop(self.job, self.below);
        self.stack.count_down(self.below.is_none());
        match self.frame.job.offer.get() {
            None => Whereabouts::Here,
            Some(offer) => self.stack.settle_offer(offer),
        }
    }
}

impl Stack<'_> {
    #[cold]
    #[inline(never)]
    fn settle_offer(&self, offer: &Arc<Offer>) -> Whereabouts {
        if self.take_back(offer) { Whereabouts::Here } else { Whereabouts::Done }
    }
}

impl<B, RB> Drop for Pushed<'_, '_, B, RB>
where
    B: FnOnce(bool) -> RB,
{
    #[cold]
    fn drop(&mut self) {
        // The first half's panic goes on; what the second made of itself nobody will see.
        match self.settle() {
            Whereabouts::Here => {
                // SAFETY: nobody took it, and nobody can any more.
                let closure = unsafe { self.frame.take_closure() };
                unwind::quietly(|| drop(closure));
            }
            Whereabouts::Done => {
                // SAFETY: it is done, and nobody else asks.
                match unsafe { self.frame.take_result() } {
                    Ok(value) => {
                        unwind::quietly(|| drop(value));
                    }
                    Err(payload) => unwind::drop_payload(payload),
                }
            }
        }
    }
}

/// Runs both closures, the second elsewhere if somebody is hungry. Each is told whether it moved.
#[inline(always)]
pub(crate) fn join<A, B, RA, RB>(stack: &Stack<'_>, a: A, b: B) -> (RA, RB)
where
    A: FnOnce(bool) -> RA,
    B: FnOnce(bool) -> RB,
{
    if stack.is_known_light(key::<B, RB>()) {
        join_inside(stack, a, b)
    } else {
        join_watched(stack, a, b)
    }
}

/// What stands for a closure's type.
fn key<B, RB>() -> usize
where
    B: FnOnce(bool) -> RB,
{
    Frame::<B, RB>::run as unsafe fn(NonNull<()>) as usize
}

/// A call of the type that was found to be light just now.
#[inline(always)]
fn join_inside<A, B, RA, RB>(stack: &Stack<'_>, a: A, b: B) -> (RA, RB)
where
    A: FnOnce(bool) -> RA,
    B: FnOnce(bool) -> RB,
{
    let frame = Frame::new(b);
    // SAFETY: `pushed` pops it, however this call ends.
    let pushed = unsafe { Pushed::new(stack, &frame) };
    if stack::is_poked() {
        stack.beat();
    }
    let ra = a(false);
    let whereabouts = pushed.settle();
    core::mem::forget(pushed);
    match whereabouts {
        Whereabouts::Here => {
            // SAFETY: nobody took it, and nobody can any more.
            let b = unsafe { frame.take_closure() };
            (ra, b(false))
        }
        // SAFETY: it is done, and nobody else asks.
        Whereabouts::Done => (ra, unsafe { frame.result_or_panic() }),
    }
}

/// Any other call: is it worth to be offered at once? That depends on how long such calls take.
#[cold]
#[inline(never)]
fn join_watched<A, B, RA, RB>(stack: &Stack<'_>, a: A, b: B) -> (RA, RB)
where
    A: FnOnce(bool) -> RA,
    B: FnOnce(bool) -> RB,
{
    let frame = Frame::new(b);
    // SAFETY: `pushed` pops it, however this call ends.
    let pushed = unsafe { Pushed::new(stack, &frame) };
    let watch = Watch::start(stack, pushed.job, key::<B, RB>());
    if stack::is_poked() {
        stack.beat();
    }
    let ra = a(false);
    let whereabouts = pushed.settle();
    core::mem::forget(pushed);
    let first = watch.as_ref().map(|watch| watch.start.elapsed());
    let rb = match whereabouts {
        Whereabouts::Here => {
            // SAFETY: nobody took it, and nobody can any more.
            let b = unsafe { frame.take_closure() };
            b(false)
        }
        // SAFETY: it is done, and nobody else asks.
        Whereabouts::Done => unsafe { frame.result_or_panic() },
    };
    if let (Some(watch), Some(first)) = (watch, first) {
        let elsewhere = if whereabouts == Whereabouts::Done { frame.job.took() } else { None };
        watch.end(first, elsewhere);
    }
    (ra, rb)
}

/// Measures a call.
struct Watch {
    key: usize,
    start: Instant,
}

impl Watch {
    fn start(stack: &Stack<'_>, job: NonNull<Job>, key: usize) -> Option<Self> {
        let guess = estimate::guess(key, stack.hub().help.delay());
        if guess.is_heavy {
            stack.call_for_help(Some(job));
        } else {
            stack.know_light(key);
        }
        guess.measure.then(|| Self { key, start: clock::now() })
    }

    /// What could have been done at the same time is the smaller half.
    fn end(self, first: Duration, elsewhere: Option<Duration>) {
        let second = elsewhere.unwrap_or_else(|| self.start.elapsed().saturating_sub(first));
        estimate::learn(self.key, first.min(second));
    }
}
