//! The loop under all of them: block by block through a range of numbers, whose rest can be split.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::panic;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::items::sealed::Numbered;
use crate::clock;
use crate::fork::{self, Maker, Pace, Source, Stack, estimate};
use crate::hub::Hub;
use crate::offer::{Offer, Work};
use crate::unwind::{self, Payload};

/// What is done with the numbers of a range, and what comes of it.
pub(super) trait Fold: Sync {
    /// What a run of neighbouring numbers comes to.
    type Sum: Send;

    /// Of no numbers; the first would be this one.
    fn empty(&self, first: usize) -> Self::Sum;

    /// Adds the numbers from `from` to below `to`, which come next.
    ///
    /// # Safety
    /// - No number is added twice in one fold.
    unsafe fn block(&self, sum: Self::Sum, from: usize, to: usize) -> Self::Sum;

    /// Of two neighbours.
    fn merge(&self, left: Self::Sum, right: Self::Sum) -> Self::Sum;
}

/// Nothing but the calls.
pub(super) struct Each<'f, I, F> {
    pub(super) items: &'f I,
    pub(super) function: &'f F,
}

impl<I, F> Fold for Each<'_, I, F>
where
    I: Numbered,
    F: Fn(I::Item) + Sync,
{
    type Sum = ();

    fn empty(&self, _first: usize) {}

    unsafe fn block(&self, _sum: (), from: usize, to: usize) {
        // SAFETY: each number comes once, and all are below the length that the fold was given.
        unsafe { self.items.part(from, to) }.for_each(self.function);
    }

    fn merge(&self, _left: (), _right: ()) {}
}

/// One value for each item, brought together.
pub(super) struct Reduce<'f, I, M, R> {
    pub(super) items: &'f I,
    pub(super) map: &'f M,
    pub(super) reduce: &'f R,
}

impl<I, M, R, T> Fold for Reduce<'_, I, M, R>
where
    I: Numbered,
    M: Fn(I::Item) -> T + Sync,
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

/// Folds the numbers from 0 to below `len`.
pub(super) fn fold<F: Fold>(hub: &Arc<Hub>, len: usize, fold: &F) -> F::Sum {
    if len == 0 {
        return fold.empty(0);
    }
    fork::with_stack_of(hub, |stack| {
        let key = Seed::<F>::run as unsafe fn(NonNull<()>) as usize;
        let thousand = estimate::known(key);
        let whole = Whole {
            fold,
            stop: AtomicBool::new(false),
            block: AtomicUsize::new(Pace::guess(thousand)),
        };
        fork::look();
        let part = Part::new(&whole, 0, len);
        let delay = hub.help.delay();
        let is_heavy = thousand.is_none_or(|thousand| is_heavy(thousand, len, delay));
        let start = clock::now();
        let sum = part.run(stack, start, is_heavy && len > 1);
        part.learn(key, start);
        sum
    })
}

/// So many times a block it is asked whether a hungry thread was here.
const STEPS: usize = 24;

/// Whether a loop takes so long that somebody woken for it would come early enough.
fn is_heavy(thousand: Duration, len: usize, delay: Duration) -> bool {
    let nanos = thousand.as_nanos() * len as u128 / 1_000;
    let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    fork::is_worth_a_wake(time, delay)
}

/// What the parts of one fold share.
struct Whole<'f, F> {
    fold: &'f F,
    /// A part has panicked: the others need not go on.
    stop: AtomicBool,
    /// How many items a block should have, as far as anybody knows.
    block: AtomicUsize,
}

/// A range on the stack of the thread that runs it. What is left can be given away by halves.
struct Part<'p, 'f, F: Fold> {
    whole: &'p Whole<'f, F>,
    first: usize,
    /// The first number that no block has had.
    next: Cell<usize>,
    end: Cell<usize>,
    block: Cell<usize>,
    given: RefCell<Vec<Given<'p, 'f, F>>>,
    /// How many items this thread ran.
    ran: Cell<usize>,
    /// When the blocks were done.
    done: Cell<Option<Instant>>,
}

/// A range that was split off.
struct Seed<'p, 'f, F: Fold> {
    whole: &'p Whole<'f, F>,
    from: usize,
    to: usize,
    sum: UnsafeCell<Option<Result<F::Sum, Payload>>>,
}

struct Given<'p, 'f, F: Fold> {
    /// From a box. Not one itself: whoever took the offer reaches the seed as well.
    seed: NonNull<Seed<'p, 'f, F>>,
    offer: Arc<Offer>,
}

impl<'p, 'f, F: Fold> Part<'p, 'f, F> {
    fn new(whole: &'p Whole<'f, F>, from: usize, to: usize) -> Self {
        // ORDERING: a hint.
        let block = whole.block.load(Ordering::Relaxed);
        Self {
            whole,
            first: from,
            next: Cell::new(from),
            end: Cell::new(to),
            block: Cell::new(block),
            given: RefCell::new(Vec::new()),
            ran: Cell::new(0),
            done: Cell::new(None),
        }
    }

    /// Runs what nobody takes, and brings everything together.
    fn run(&self, stack: &Stack<'_>, now: Instant, is_heavy: bool) -> F::Sum {
        let cleanup = Cleanup { part: self, stack };
        let mut sum = stack.with_source(self, None, || {
            if is_heavy {
                stack.call_for_help(None);
            }
            self.run_blocks(stack, now)
        });
        // The last that was given lies next to what was run here.
        loop {
            let last = self.given.borrow_mut().pop();
            let Some(given) = last else { break };
            match given.settle(stack) {
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

    fn run_blocks(&self, stack: &Stack<'_>, now: Instant) -> F::Sum {
        let fold = self.whole.fold;
        let mut sum = fold.empty(self.first);
        let mut pace = Pace::new(self.block.get(), now);
        while self.next.get() < self.end.get() && !self.whole.is_stopped() {
            let begin = self.next.get();
            let block_end = begin.saturating_add(pace.items());
            let step = (pace.items() / STEPS).max(1);
            // A hungry thread does not wait for the whole block: its items may be dearer than those before.
            while self.next.get() < self.end.get().min(block_end) {
                let from = self.next.get();
                let to = self.end.get().min(block_end).min(from.saturating_add(step));
                self.next.set(to);
                // SAFETY: `next` only grows, and what is given away lies behind `end`.
                sum = unsafe { fold.block(sum, from, to) };
                if fork::is_poked() {
                    break;
                }
            }
            let ran = self.next.get() - begin;
            self.ran.set(self.ran.get() + ran);
            let took = pace.learn(ran);
            self.block.set(pace.items());
            pace.share(stack, took, Some(self.end.get() - self.next.get()));
        }
        // ORDERING: a hint.
        self.whole.block.store(pace.items(), Ordering::Relaxed);
        self.done.set(Some(pace.last()));
        sum
    }

    /// Notes what a thousand items take.
    fn learn(&self, key: usize, start: Instant) {
        if let (Some(done), ran @ 1..) = (self.done.get(), self.ran.get()) {
            let nanos = done.saturating_duration_since(start).as_nanos() * 1_000 / ran as u128;
            estimate::learn(key, Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        }
    }
}

impl<F: Fold> Source for Part<'_, '_, F> {
    /// Half of what is left, unless that is less than a block's work.
    fn give(&self, maker: &Maker<'_>) -> Option<Arc<Offer>> {
        let left = self.end.get() - self.next.get();
        let keep = left / 2;
        if left == 0 || (self.block.get() > 1 && keep < self.block.get()) || self.whole.is_stopped()
        {
            return None;
        }
        let middle = self.next.get() + keep;
        let seed = Seed {
            whole: self.whole,
            from: middle,
            to: self.end.get(),
            sum: UnsafeCell::new(None),
        };
        let seed = NonNull::from(Box::leak(Box::new(seed)));
        // SAFETY: `settle` or `Cleanup` withdraws the offer or waits for its end before the seed is gone,
        // and before the frame is that the whole lies in.
        let work = unsafe { Work::new(seed.cast(), Seed::<F>::run) };
        let offer = maker.offer(work);
        self.end.set(middle);
        self.given.borrow_mut().push(Given { seed, offer: Arc::clone(&offer) });
        Some(offer)
    }
}

impl<F: Fold> Whole<'_, F> {
    fn is_stopped(&self) -> bool {
        // ORDERING: a hint; the panic itself comes with the offer's end.
        self.stop.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        // ORDERING: as above.
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl<F: Fold> Seed<'_, '_, F> {
    /// # Safety
    /// - `seed` is a `Seed<F>` whose offer the calling thread has taken.
    unsafe fn run(seed: NonNull<()>) {
        // SAFETY: the caller's promise; the seed stays until the offer is done.
        let seed = unsafe { seed.cast::<Self>().as_ref() };
        let run = || {
            let here = |stack: &Stack<'_>| {
                Part::new(seed.whole, seed.from, seed.to).run(stack, clock::now(), false)
            };
            match fork::with_current(here) {
                Ok(sum) => sum,
                Err(_) => unreachable!("a thread that takes offers has a stack"),
            }
        };
        let sum = unwind::catch(run);
        if sum.is_err() {
            seed.whole.stop();
        }
        // SAFETY: only the thread that took the offer writes, and nobody reads before the offer is done.
        unsafe { *seed.sum.get() = Some(sum) };
    }
}

impl<'p, 'f, F: Fold> Given<'p, 'f, F> {
    /// Runs it here if nobody took it, else waits for it.
    fn settle(self, stack: &Stack<'_>) -> Result<F::Sum, Payload> {
        let (seed, is_back) = self.end(stack);
        if is_back {
            let part = Part::new(seed.whole, seed.from, seed.to);
            return unwind::catch(|| part.run(stack, clock::now(), false));
        }
        seed.sum.into_inner().expect("a run leaves its sum")
    }

    /// Takes the seed back, or waits for its end. Says whether nobody had taken it.
    fn end(self, stack: &Stack<'_>) -> (Seed<'p, 'f, F>, bool) {
        let is_back = stack.take_back(&self.offer);
        // SAFETY: from a box, and nobody else reaches it any more: its offer is withdrawn or done.
        let seed = unsafe { Box::from_raw(self.seed.as_ptr()) };
        (*seed, is_back)
    }
}

/// A panic passes through: what was given away is brought to its end first.
struct Cleanup<'c, 'p, 'f, 's, 'h, F: Fold> {
    part: &'c Part<'p, 'f, F>,
    stack: &'s Stack<'h>,
}

impl<F: Fold> Drop for Cleanup<'_, '_, '_, '_, '_, F> {
    #[cold]
    fn drop(&mut self) {
        self.part.whole.stop();
        loop {
            let last = self.part.given.borrow_mut().pop();
            let Some(given) = last else { break };
            let (seed, _) = given.end(self.stack);
            // What it made is dropped, and a payload: the first panic is on its way.
            match seed.sum.into_inner() {
                Some(Ok(sum)) => {
                    unwind::quietly(|| drop(sum));
                }
                Some(Err(payload)) => unwind::drop_payload(payload),
                None => {}
            }
        }
    }
}
