//! An unbounded first-in first-out queue: a push is two exchanges, and a pop runs under a small
//! lock.
//!
//! The links are inside the items, so pushing allocates nothing. `README.md` beside this file
//! describes the protocol and why it is right. [`Queue`] knows nothing of tasks, and its models use
//! integers.

mod front;
mod link;
mod sweep;
#[cfg(all(test, corepool_loom))]
pub(crate) mod models;

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};

use crossbeam_utils::CachePadded;

use crate::base::counter_start;
use crate::base::sync::{AtomicPtr, AtomicUsize, Ordering};
use front::FrontLock;

pub(crate) use link::{Link, Linked};
pub(crate) use sweep::Cursor;

// ORDERING: SeqCst, because `looks_empty` may be the last look of a sleeper, so this takes part in
// that handshake. It also makes the previous pusher's item visible as memory to write to.
ordering!(APPEND = SeqCst,
    planted "append_unreleased": Acquire, planted "append_unacquired": Release);
// ORDERING: SeqCst, as every change of `last`. Release and acquire would be enough in the language:
// the next thread that exchanges `last` sees the stub's empty link. But until its issue 5104 was
// fixed in June 2026, Miri let a look see this change even though a pusher's SeqCst change had come
// after it.
ordering!(PUT_STUB = SeqCst, planted "put_stub_unreleased": Acquire);

/// What a pop found.
#[derive(Debug)]
pub(crate) enum Pop<T> {
    /// The oldest item.
    Item(T),
    /// The queue was empty.
    Empty,
    /// A pusher is between its two exchanges. It will link its item, and then look for a sleeper.
    Gap,
}

impl<T> Pop<T> {
    fn item(self) -> Option<T> {
        match self {
            Self::Item(item) => Some(item),
            Self::Empty | Self::Gap => None,
        }
    }
}

/// Many threads push. The thread that holds the front's lock pops.
pub(crate) struct Queue<T: Linked> {
    back: CachePadded<Back>,
    front: CachePadded<FrontLock<Front>>,
    /// It is in the list when the list would be empty otherwise. Boxed, because its address must
    /// not change.
    stub: NonNull<Link>,
    items: PhantomData<T>,
}

/// The part that pushers change. Each field has its own cache line: when many threads push, one
/// line can travel while the other is changed.
struct Back {
    last: AtomicPtr<Link>,
    pushed: CachePadded<AtomicUsize>,
}

/// The part that poppers change, on one cache line.
struct Front {
    first: NonNull<Link>,
    taken: usize,
    /// How many steps of sweeps have run; see `sweep.rs`.
    sweeps: usize,
}

// SAFETY: the raw pointers are links of items that the queue owns, and items may move between
// threads because `T: Send`. `first` is reached only under the front's lock.
unsafe impl<T: Linked + Send> Send for Queue<T> {}
// SAFETY: as for `Send`. Sharing the queue gives other threads items by value, never by reference.
unsafe impl<T: Linked + Send> Sync for Queue<T> {}

impl<T: Linked> Queue<T> {
    pub(crate) fn new() -> Self {
        let stub = NonNull::from(Box::leak(Box::new(Link::new())));
        Self {
            back: CachePadded::new(Back {
                last: AtomicPtr::new(stub.as_ptr()),
                pushed: CachePadded::new(AtomicUsize::new(counter_start::WORD)),
            }),
            front: CachePadded::new(FrontLock::new(Front {
                first: stub,
                taken: counter_start::WORD,
                sweeps: 0,
            })),
            stub,
            items: PhantomData,
        }
    }

    /// Appends one item. Never waits. Every look that comes after this call in the single order of
    /// `SeqCst` accesses sees the item.
    #[inline]
    pub(crate) fn push(&self, item: T) {
        let link = item.into_link();
        // ORDERING: a statistic.
        self.back.pushed.fetch_add(1, Ordering::Relaxed);
        self.append(link, link);
    }

    /// Like [`push`](Self::push), for a queue into which only the calling thread ever pushes. It
    /// counts without an exchange.
    #[inline]
    pub(crate) fn push_alone(&self, item: T) {
        let link = item.into_link();
        self.append_alone(link, link, 1);
    }

    /// Takes the oldest item.
    #[inline]
    pub(crate) fn pop(&self) -> Pop<T> {
        self.take(&mut self.front.lock())
    }

    /// Takes the oldest item if it is `wanted`, which the caller knows to be alive. A worker does
    /// this for a task that it is about to run itself.
    #[inline]
    pub(crate) fn pop_if(&self, wanted: NonNull<Link>) -> Option<T> {
        let mut front = self.front.lock();
        self.skip_stub(&mut front);
        mutant!("pop_if_other" => return self.take(&mut front).item());
        if front.first != wanted {
            return None;
        }
        self.take(&mut front).item()
    }

    /// Takes the oldest item for the caller, and moves up to `limit - 1` of those behind it to
    /// `home`.
    ///
    /// It takes at most half of the waiting items, rounded up, and leaves the rest to other
    /// poppers. Only the owner of `home` pushes into `home`, and the caller is that owner.
    #[inline]
    pub(crate) fn pop_batch(&self, limit: usize, home: &Self) -> (Pop<T>, usize) {
        self.steal_batch(limit, usize::MAX, home)
    }

    /// Like [`pop_batch`](Self::pop_batch), but a batch that moves `long` or more items is
    /// reversed: the caller gets the youngest item, and the oldest is the last in `home`.
    #[inline]
    pub(crate) fn steal_batch(&self, limit: usize, long: usize, home: &Self) -> (Pop<T>, usize) {
        self.take_batch(2, limit, long, home)
    }

    /// Like [`pop_batch`](Self::pop_batch), but moves all waiting items up to the limit, except the
    /// last.
    #[inline]
    pub(crate) fn clear_batch(&self, limit: usize, home: &Self) -> (Pop<T>, usize) {
        self.take_batch(1, limit, usize::MAX, home)
    }

    fn take_batch(
        &self,
        divisor: usize,
        limit: usize,
        long: usize,
        home: &Self,
    ) -> (Pop<T>, usize) {
        let mut front = self.front.lock();
        let oldest = match self.take(&mut front) {
            Pop::Item(item) => item,
            nothing => return (nothing, 0),
        };
        let more = (self.waiting(&front) / divisor).min(limit - 1);
        let Some((head, tail, count)) = self.take_chain(&mut front, more) else {
            return (Pop::Item(oldest), 0);
        };
        drop(front);
        if count < long {
            home.append_alone(head, tail, count);
            return (Pop::Item(oldest), count);
        }
        let oldest = oldest.into_link();
        let rest = turn_round(oldest, head, tail);
        home.append_alone(rest, oldest, count);
        // SAFETY: `tail` came from `into_link`, has left the list with its chain, and is in no
        // other list.
        (Pop::Item(unsafe { T::from_link(tail) }), count)
    }

    /// Whether a chain must not begin here.
    fn is_stub(&self, head: NonNull<Link>) -> bool {
        mutant!("stub_in_chain" => return false);
        head == self.stub
    }

    /// Whether no pushed item is left and no pusher is in the gap.
    pub(crate) fn is_empty(&self) -> bool {
        if !self.looks_empty() {
            return false;
        }
        let front = self.front.lock();
        self.is_empty_locked(&front)
    }

    /// Whether the queue is empty, as far as one load without the lock can tell. A queue with an
    /// item, or with a pusher in the gap, never looks empty.
    #[inline]
    pub(crate) fn looks_empty(&self) -> bool {
        self.back.last.load(Ordering::SeqCst) == self.stub.as_ptr()
    }

    /// Whether a pop would find an item now. This is the last look of a worker that goes to sleep.
    ///
    /// A pusher in the gap counts as no item. It has not finished its push, and when it has, it
    /// looks for a sleeper itself.
    pub(crate) fn has_item(&self) -> bool {
        if self.looks_empty() {
            return false;
        }
        let front = self.front.lock();
        if !link_at(front.first).next().is_null() {
            return true;
        }
        mutant!("has_item_but_the_last" => return false);
        front.first != self.stub && self.back.last.load(Ordering::SeqCst) == front.first.as_ptr()
    }

    /// Asks a question about the oldest item, which stays.
    pub(crate) fn peek<R>(&self, question: impl FnOnce(&T) -> R) -> Option<R> {
        let mut front = self.front.lock();
        self.skip_stub(&mut front);
        (front.first != self.stub).then(|| self.ask(front.first, question))
    }

    /// Takes the oldest item if the answer is yes. It asks and takes under one lock, because an
    /// address alone does not distinguish an item from a later one in the same place.
    pub(crate) fn pop_when(&self, question: impl FnOnce(&T) -> bool) -> Option<T> {
        let mut front = self.front.lock();
        self.skip_stub(&mut front);
        if front.first == self.stub || !self.ask(front.first, question) {
            return None;
        }
        mutant!("pop_when_unlocked" => { drop(front); front = self.front.lock(); });
        self.take(&mut front).item()
    }

    /// How many items wait. Exact if no thread pushes or pops at the moment.
    pub(crate) fn len(&self) -> usize {
        // Most queues of a large pool are empty, and this is called for all of them.
        if self.looks_empty() {
            return 0;
        }
        let front = self.front.lock();
        self.waiting(&front)
    }

    /// How many items were ever pushed, including those moved in from other queues.
    pub(crate) fn pushed(&self) -> usize {
        self.count().wrapping_sub(counter_start::WORD)
    }

    fn count(&self) -> usize {
        // ORDERING: a statistic; it has no partner.
        self.back.pushed.load(Ordering::Relaxed)
    }

    /// Asks a question about an item that stays in the list. The caller holds the front's lock.
    fn ask<R>(&self, at: NonNull<Link>, question: impl FnOnce(&T) -> R) -> R {
        // SAFETY: `at` is the link of an item, and the lock keeps other threads from taking it. The
        // item is not dropped here, so it still belongs to the list.
        let item = ManuallyDrop::new(unsafe { T::from_link(at) });
        question(&item)
    }

    fn waiting(&self, front: &Front) -> usize {
        // A pusher counts before it links, so `taken` exceeds the count that this thread sees by at
        // most a pusher's gap. The clamp keeps a torn reading from looking like 2^64 items.
        let waiting = self.count().wrapping_sub(front.taken);
        if waiting > usize::MAX / 2 { 0 } else { waiting }
    }

    fn is_empty_locked(&self, front: &Front) -> bool {
        front.first == self.stub
            && link_at(front.first).next().is_null()
            && self.back.last.load(Ordering::SeqCst) == self.stub.as_ptr()
    }

    /// Appends the chain `head ..= tail`, which is already linked inside.
    #[inline]
    fn append(&self, head: NonNull<Link>, tail: NonNull<Link>) {
        link_at(tail).set_next(ptr::null_mut());
        let before = self.back.last.swap(tail.as_ptr(), APPEND);
        // `before` cannot have been freed: an item leaves the queue only when it has a successor or
        // is still the last one, and neither is true until the next line.
        let before = NonNull::new(before).expect("the list is never without a last link");
        link_at(before).publish(head.as_ptr());
    }

    /// The first half of a [`push`](Self::push). The closure is the other half. The gap is between
    /// them.
    #[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
    pub(crate) fn push_halfway(&self, item: T) -> impl FnOnce() {
        let link = item.into_link();
        let before = self.back.last.swap(link.as_ptr(), Ordering::SeqCst);
        let before = NonNull::new(before).expect("the list is never without a last link");
        move || link_at(before).publish(link.as_ptr())
    }

    fn append_alone(&self, head: NonNull<Link>, tail: NonNull<Link>, count: usize) {
        // ORDERING: a statistic with one writer, so nothing is lost between the load and the store.
        let pushed = self.back.pushed.load(Ordering::Relaxed);
        self.back.pushed.store(pushed.wrapping_add(count), Ordering::Relaxed);
        self.append(head, tail);
    }

    /// The classic pop of an intrusive list with a stub. The caller holds the front's lock.
    fn take(&self, front: &mut Front) -> Pop<T> {
        self.skip_stub(front);
        let first = front.first;
        if first == self.stub {
            return if self.is_empty_locked(front) { Pop::Empty } else { Pop::Gap };
        }
        let next = link_at(first).next();
        if let Some(next) = NonNull::new(next) {
            front.first = next;
            return self.taken(front, first);
        }
        if self.put_stub_behind(first) {
            front.first = self.stub;
            return self.taken(front, first);
        }
        // A pusher exchanged `last` after the load above. It may have linked already.
        match NonNull::new(link_at(first).next()) {
            Some(next) => {
                front.first = next;
                self.taken(front, first)
            }
            None => Pop::Gap,
        }
    }

    fn taken(&self, front: &mut Front, first: NonNull<Link>) -> Pop<T> {
        front.taken = front.taken.wrapping_add(1);
        // SAFETY: `first` came from `into_link` of an item and has just left the list. Only one
        // caller can take it, because the front's lock is held.
        Pop::Item(unsafe { T::from_link(first) })
    }

    /// Steps over the stub when it is in front of an item.
    #[inline]
    fn skip_stub(&self, front: &mut Front) {
        if front.first == self.stub {
            if let Some(next) = NonNull::new(link_at(self.stub).next()) {
                front.first = next;
            }
        }
    }

    /// Puts the stub in the place of the last item. Fails when a pusher came in between.
    fn put_stub_behind(&self, last: NonNull<Link>) -> bool {
        link_at(self.stub).set_next(ptr::null_mut());
        // ORDERING: relaxed on failure, because the caller then loads the link, with its own
        // ordering.
        self.back
            .last
            .compare_exchange(last.as_ptr(), self.stub.as_ptr(), PUT_STUB, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes up to `limit` linked items that have a successor, as one chain.
    fn take_chain(
        &self,
        front: &mut Front,
        limit: usize,
    ) -> Option<(NonNull<Link>, NonNull<Link>, usize)> {
        if limit == 0 {
            return None;
        }
        self.skip_stub(front);
        let head = front.first;
        // Checked once: from here on a pusher may link behind the stub at any moment, and then the
        // walk below would take the stub for an item.
        if self.is_stub(head) {
            return None;
        }
        let (mut tail, mut count) = (None, 0);
        while count < limit {
            let first = front.first;
            let Some(next) = NonNull::new(link_at(first).next()) else { break };
            front.first = next;
            tail = Some(first);
            count += 1;
        }
        front.taken = front.taken.wrapping_add(count);
        tail.map(|tail| (head, tail, count))
    }
}

impl<T: Linked> Drop for Queue<T> {
    fn drop(&mut self) {
        while let Pop::Item(item) = self.pop() {
            drop(item);
            mutant!("queue_drops_one" => break);
        }
        // SAFETY: the stub came from a box in `new`, and no pusher can be under way, because the
        // drop owns the queue.
        drop(unsafe { Box::from_raw(self.stub.as_ptr()) });
    }
}

impl<T: Linked> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The link behind a pointer of the list.
#[inline(always)]
fn link_at<'a>(link: NonNull<Link>) -> &'a Link {
    // SAFETY: links in the list are alive: an item's until it is taken, the stub's until the queue
    // is dropped, the previous last item's until its pusher linked a successor (see `append`). The
    // lifetime is that of one expression in this file; no caller keeps the reference.
    unsafe { link.as_ref() }
}

/// Reverses the chain `head .. tail`, without its tail, and puts `oldest` at its end. Returns its
/// new head.
fn turn_round(oldest: NonNull<Link>, head: NonNull<Link>, tail: NonNull<Link>) -> NonNull<Link> {
    let (mut behind, mut at) = (oldest, head);
    while at != tail {
        let next = NonNull::new(link_at(at).next()).expect("a chain is linked up to its tail");
        link_at(at).set_next(behind.as_ptr());
        (behind, at) = (at, next);
    }
    behind
}
