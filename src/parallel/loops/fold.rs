//! The loop behind all others: a range of numbers, run block by block, which thieves can split.

use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::panic;
use std::ptr::NonNull;
use std::sync::Arc;

use super::few::{FEW, fold_few};
use super::help::Help;
use super::items::sealed::Numbered;
use super::pace::{Pace, Row};
use crate::base::sync::{AtomicBool, AtomicUsize, Ordering, light_fence};
use crate::base::unwind::{self, Payload};
use crate::parts::offer::{Maker, Offer, Source, Work};
use crate::pool::WorkerPool;
use crate::sched::fork_join::{self, Stack};
use crate::sched::hub::Hub;

/// What is done with the numbers of a range, and what the result is.
pub(super) trait Fold: Sync {
    /// The result of a run of neighbouring numbers.
    type Sum: Send;

    /// The result of no numbers; `first` would be the first number.
    fn empty(&self, first: usize) -> Self::Sum;

    /// Adds the numbers from `from` up to, but not including, `to`, which follow those in `sum`.
    ///
    /// # Safety
    /// - No number is added twice in one fold.
    unsafe fn block(&self, sum: Self::Sum, from: usize, to: usize) -> Self::Sum;

    /// Combines the results of two neighbouring runs.
    fn merge(&self, left: Self::Sum, right: Self::Sum) -> Self::Sum;

    /// Returns `true` if nothing needs to be done from this number on. The answer then stays
    /// `true`, and holds for all later numbers.
    #[inline(always)]
    fn is_over(&self, _from: usize) -> bool {
        false
    }
}

/// Only calls the function on each item.
pub(super) struct Each<'f, I, F> {
    pub(super) items: &'f I,
    pub(super) function: &'f F,
}

impl<I, F> Fold for Each<'_, I, F>
where
    I: Numbered,
    F: Fn(I::Each) + Sync,
{
    type Sum = ();

    fn empty(&self, _first: usize) {}

    unsafe fn block(&self, _sum: (), from: usize, to: usize) {
        // SAFETY: each number comes once, and all are below the length that the fold was given.
        unsafe { self.items.part(from, to) }.for_each(self.function);
    }

    fn merge(&self, _left: (), _right: ()) {}
}

/// Maps each item to one value, and reduces the values.
pub(super) struct Reduce<'f, I, M, R> {
    pub(super) items: &'f I,
    pub(super) map: &'f M,
    pub(super) reduce: &'f R,
}

impl<I, M, R, T> Fold for Reduce<'_, I, M, R>
where
    I: Numbered,
    M: Fn(I::Each) -> T + Sync,
    R: Fn(T, T) -> T + Sync,
    T: Send,
{
    type Sum = Option<T>;

    fn empty(&self, _first: usize) -> Option<T> {
        None
    }

    unsafe fn block(&self, sum: Option<T>, from: usize, to: usize) -> Option<T> {
        // SAFETY: each number comes once, and all are below the length that the fold was given.
        let mut values = unsafe { self.items.part(from, to) }.map(self.map);
        let first = match sum {
            Some(sum) => sum,
            None => values.next()?,
        };
        Some(values.fold(first, self.reduce))
    }

    fn merge(&self, left: Option<T>, right: Option<T>) -> Option<T> {
        match (left, right) {
            (Some(left), Some(right)) => Some((self.reduce)(left, right)),
            (left, right) => left.or(right),
        }
    }
}

/// Folds all items into a few values, and merges these.
pub(super) struct Gather<'f, I, N, F, M> {
    pub(super) items: &'f I,
    pub(super) identity: &'f N,
    pub(super) fold: &'f F,
    pub(super) merge: &'f M,
}

impl<I, N, F, M, A> Fold for Gather<'_, I, N, F, M>
where
    I: Numbered,
    N: Fn() -> A + Sync,
    F: Fn(A, I::Each) -> A + Sync,
    M: Fn(A, A) -> A + Sync,
    A: Send,
{
    type Sum = Option<A>;

    fn empty(&self, _first: usize) -> Option<A> {
        None
    }

    unsafe fn block(&self, sum: Option<A>, from: usize, to: usize) -> Option<A> {
        let sum = sum.unwrap_or_else(self.identity);
        // SAFETY: each number comes once, and all are below the length that the fold was given.
        Some(unsafe { self.items.part(from, to) }.fold(sum, self.fold))
    }

    fn merge(&self, left: Option<A>, right: Option<A>) -> Option<A> {
        match (left, right) {
            (Some(left), Some(right)) => Some((self.merge)(left, right)),
            (left, right) => left.or(right),
        }
    }
}

/// Folds the numbers from 0 up to, but not including, `len`, with this pool. Without a pool, it
/// uses the pool of the calling thread's fork-join calls, or else the global one.
#[inline]
pub(super) fn fold<F: Fold>(pool: Option<&Arc<Hub>>, len: usize, fold: &F) -> F::Sum {
    if len == 0 {
        return fold.empty(0);
    }
    let whole = Whole { fold, stop: AtomicBool::new(false) };
    if len <= FEW {
        if let Some(line) = pool.map_or_else(fork_join::current_line, fork_join::current_line_of) {
            // SAFETY: each number is below the length, and comes once.
            return unsafe { fold_few(&whole, line, 0, len) };
        }
    }
    let here = || fork_join::current_hub().unwrap_or_else(|| WorkerPool::global().hub());
    fold_on(pool.unwrap_or_else(here), len, &whole)
}

#[inline(never)]
fn fold_on<F: Fold>(hub: &Arc<Hub>, len: usize, whole: &Whole<'_, F>) -> F::Sum {
    fork_join::with_stack_of(hub, |stack| {
        if len <= FEW {
            // SAFETY: each number is below the length, and comes once.
            return unsafe { fold_few(whole, stack.line(), 0, len) };
        }
        Part::new(whole, 0..len, 1).run(stack)
    })
}

/// What the parts of one fold share. All threads read it before each step, so nothing that is
/// written often may be close to it.
#[repr(align(128))]
pub(super) struct Whole<'f, F> {
    pub(super) fold: &'f F,
    /// A part has panicked, so the others need not go on.
    stop: AtomicBool,
}

/// A range on the line (the row of fork-join jobs) of the thread that runs it, the owner. Thieves
/// take halves of what has not begun.
struct Part<'p, 'f, F: Fold> {
    whole: &'p Whole<'f, F>,
    first: usize,
    /// The end of the range before thieves took parts of it.
    last: usize,
    /// The first number that no step has taken. The owner writes it.
    next: AtomicUsize,
    /// The current end of the range. Thieves write it, while the line is held.
    end: AtomicUsize,
    /// Fewer items than this are too few for a thief. The owner writes it.
    least: AtomicUsize,
    /// The owner's position when a thief found too little to take. Accessed with the line's lock
    /// held.
    seen_at: Cell<usize>,
    /// What thieves have taken; the last one is the leftmost. Accessed with the line's lock held.
    given: UnsafeCell<Vec<Given<'p, 'f, F>>>,
}

/// A range that was split off for a thief. Its offer records which thread runs it and which waits
/// for it.
struct Seed<'p, 'f, F: Fold> {
    whole: &'p Whole<'f, F>,
    range: Range<usize>,
    /// What the part that it was split off from has learnt about `least`.
    least: usize,
    sum: UnsafeCell<Option<Result<F::Sum, Payload>>>,
}

struct Given<'p, 'f, F: Fold> {
    /// Comes from a box. It is not a `Box` itself, because the taker of the offer reaches the seed
    /// as well.
    seed: NonNull<Seed<'p, 'f, F>>,
    offer: Arc<Offer>,
}

impl<'p, 'f, F: Fold> Part<'p, 'f, F> {
    fn new(whole: &'p Whole<'f, F>, range: Range<usize>, least: usize) -> Self {
        Self {
            whole,
            first: range.start,
            last: range.end,
            next: AtomicUsize::new(range.start),
            end: AtomicUsize::new(range.end),
            least: AtomicUsize::new(least),
            seen_at: Cell::new(usize::MAX),
            given: UnsafeCell::new(Vec::new()),
        }
    }

    /// Runs what no thief takes, and merges all results.
    fn run(&self, stack: &Stack<'_>) -> F::Sum {
        let cleanup = Cleanup { part: self, stack };
        let mut sum = stack.with_source(self, || self.run_steps(stack));
        // The range given away last is next to what was run here.
        while let Some(given) = self.last_given(stack) {
            match given.end(stack) {
                Ok(next) => sum = self.whole.fold.merge(sum, next),
                Err(payload) => {
                    unwind::quietly(|| drop(sum));
                    panic::resume_unwind(payload)
                }
            }
        }
        core::mem::forget(cleanup);
        sum
    }

    fn run_steps(&self, stack: &Stack<'_>) -> F::Sum {
        let mut sum = self.whole.fold.empty(self.first);
        // ORDERING: only the owner writes it.
        let mut pace = Pace::new(self.least.load(Ordering::Relaxed));
        let mut help = Help::default();
        loop {
            // ORDERING: only the owner writes it.
            let from = self.next.load(Ordering::Relaxed);
            // ORDERING: a guess; each step checks it again.
            let end = self.end.load(Ordering::Relaxed);
            if from >= end || self.whole.is_over(from) {
                break;
            }
            let row = pace.row(end - from);
            self.tell(stack, end - from - row.step, pace.least());
            if help.is_due(&pace, end - from) {
                help.ask(stack.hub(), &pace);
            }
            sum = self.run_row(stack, sum, from..end, row, &mut pace);
        }
        sum
    }

    /// Tells thieves how few items are too few for them, and whether this range is worth a visit
    /// now. `note_left` keeps only a class, so 1 stands for little and the maximum for much.
    #[inline]
    fn tell(&self, stack: &Stack<'_>, left: usize, least: usize) {
        // ORDERING: a hint.
        self.least.store(least, Ordering::Relaxed);
        stack.line().note_left(if left < least { 1 } else { usize::MAX });
    }

    /// Takes and runs some steps one after another, until a thief comes.
    #[inline(always)]
    fn run_row(
        &self,
        stack: &Stack<'_>,
        mut sum: F::Sum,
        Range { start, end }: Range<usize>,
        row: Row,
        pace: &mut Pace,
    ) -> F::Sum {
        let mut from = start;
        for _ in 0..row.steps {
            let to = from + row.step;
            // ORDERING: release, as in a pop of the line.
            self.next.store(to, Ordering::Release);
            light_fence();
            // ORDERING: if no thief is here, this thread sees what earlier thieves did.
            let is_alone = !stack.line().is_asked() && self.end.load(Ordering::Relaxed) == end;
            if !is_alone || self.whole.is_over(from) {
                pace.ran(from - start);
                return self.step_before_others(stack, sum, (from..to, end), pace);
            }
            // SAFETY: `next` only grows, and thieves take only what lies at or after `end`.
            sum = unsafe { self.whole.fold.block(sum, from, to) };
            from = to;
        }
        pace.ran(from - start);
        sum
    }

    /// Runs one step when a thief is here or was here and may have taken some of these items, when
    /// a worker has to be called, or when the loop has to stop.
    #[cold]
    #[inline(never)]
    fn step_before_others(
        &self,
        stack: &Stack<'_>,
        sum: F::Sum,
        (Range { start: from, end: to }, end_before): (Range<usize>, usize),
        pace: &mut Pace,
    ) -> F::Sum {
        let has_thief = stack.line().is_asked() && stack.attend().has_thief;
        if self.whole.is_over(from) {
            return sum;
        }
        // ORDERING: no thief is here, and this thread sees what earlier thieves did.
        let end = self.end.load(Ordering::Relaxed);
        if has_thief || end != end_before {
            pace.begin_anew();
        } else {
            pace.ran(to - from);
        }
        if to > end {
            // ORDERING: as in `run_row`.
            self.next.store(end, Ordering::Release);
        }
        let to = to.min(end);
        if from >= to {
            return sum;
        }
        // SAFETY: `next` only grows, and thieves take only what lies at or after `end`.
        unsafe { self.whole.fold.block(sum, from, to) }
    }

    fn last_given(&self, stack: &Stack<'_>) -> Option<Given<'p, 'f, F>> {
        // ORDERING: the source is off the line. So what thieves did before is seen, and no more
        // thieves come.
        if self.end.load(Ordering::Relaxed) == self.last {
            return None;
        }
        stack.line().alone(|| {
            // SAFETY: the line's lock is held.
            unsafe { &mut *self.given.get() }.pop()
        })
    }
}

impl<F: Fold> Source for Part<'_, '_, F> {
    /// Gives away the second half of what is left.
    unsafe fn give(&self, maker: &Maker<'_>) -> Option<Arc<Offer>> {
        // ORDERING: acquire, partner of the owner's release.
        let next = self.next.load(Ordering::Acquire);
        // ORDERING: only thieves write it, under the lock.
        let end = self.end.load(Ordering::Relaxed);
        if next >= end || self.whole.is_over(next) {
            return None;
        }
        // ORDERING: a hint.
        let least = self.least.load(Ordering::Relaxed);
        let is_little = end - next < least;
        // Give anyway if the owner has not moved since the last thief: it is stuck in one item, so
        // what was measured does not hold.
        if is_little && self.seen_at.replace(next) != next {
            return None;
        }
        let middle = next + (end - next) / 2;
        let sum = UnsafeCell::new(None);
        let seed = Seed { whole: self.whole, range: middle..end, least, sum };
        let seed = NonNull::from(Box::leak(Box::new(seed)));
        // SAFETY: `end` or `Cleanup` waits for the offer's end before the seed is gone, and before
        // the frame that holds the whole is gone.
        let work = unsafe { Work::new(seed.cast(), Seed::<F>::run) };
        let offer = maker.offer(work);
        // ORDERING: the owner reads it after it has seen that the thief is gone.
        self.end.store(middle, Ordering::Relaxed);
        // SAFETY: the line's lock is held.
        unsafe { &mut *self.given.get() }.push(Given { seed, offer: Arc::clone(&offer) });
        Some(offer)
    }
}

impl<F> Whole<'_, F> {
    /// Returns `true` if nothing needs to be done from this number on.
    #[inline(always)]
    pub(super) fn is_over(&self, from: usize) -> bool
    where
        F: Fold,
    {
        // ORDERING: a hint; the panic itself comes with the offer's end.
        self.stop.load(Ordering::Relaxed) || self.fold.is_over(from)
    }

    pub(super) fn stop(&self) {
        // ORDERING: as above.
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl<F: Fold> Seed<'_, '_, F> {
    /// # Safety
    /// - `seed` is a `Seed<F>` whose offer the calling thread has taken.
    unsafe fn run(seed: NonNull<()>) {
        // SAFETY: the caller promises that `seed` is a `Seed<F>` whose offer it has taken; the seed
        // stays until the offer is done.
        let seed = unsafe { seed.cast::<Self>().as_ref() };
        let run = || {
            let here = |stack: &Stack<'_>| {
                Part::new(seed.whole, seed.range.clone(), seed.least).run(stack)
            };
            match fork_join::with_current(here) {
                Ok(sum) => sum,
                Err(_) => unreachable!("a thread that takes offers has a stack"),
            }
        };
        let sum = unwind::catch(run);
        if sum.is_err() {
            seed.whole.stop();
        }
        // SAFETY: only the thread that took the offer writes it, and no thread reads it before the
        // offer is done.
        unsafe { *seed.sum.get() = Some(sum) };
    }
}

impl<F: Fold> Given<'_, '_, F> {
    /// Waits for the thief to finish, and returns the result.
    fn end(self, stack: &Stack<'_>) -> Result<F::Sum, Payload> {
        stack.wait_for(&self.offer);
        // SAFETY: it comes from a box. Its offer is done, so no other thread reaches it.
        let seed = unsafe { Box::from_raw(self.seed.as_ptr()) };
        seed.sum.into_inner().expect("a run leaves its sum")
    }
}

/// On a panic, waits for what was given away before the frame unwinds.
struct Cleanup<'c, 'p, 'f, 's, 'h, F: Fold> {
    part: &'c Part<'p, 'f, F>,
    stack: &'s Stack<'h>,
}

impl<F: Fold> Drop for Cleanup<'_, '_, '_, '_, '_, F> {
    #[cold]
    fn drop(&mut self) {
        self.part.whole.stop();
        while let Some(given) = self.part.last_given(self.stack) {
            // Its result is dropped, even if that is a payload: the first panic is already on its
            // way.
            match given.end(self.stack) {
                Ok(sum) => {
                    unwind::quietly(|| drop(sum));
                }
                Err(payload) => unwind::drop_payload(payload),
            }
        }
    }
}
