//! One listener's side of a pool's events: taken one by one, waited for, or awaited.
//!
//! Events come through a channel. Beside it lies one slot for the waker of a thread or an async
//! task that waits. The teller puts the event into the channel and then empties the slot; the
//! waiter fills the slot and then looks into the channel again. The slot has a lock, so one of the
//! two comes first: either the teller finds the waker, or the waiter's second look finds the event.
//! The end of the pool is told in the same way: the channel's sending half goes first, then the
//! slot is emptied.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::iter::FusedIterator;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::PoolEvent;
use crate::base::clock;
use crate::base::sync::real::Mutex;
use crate::base::unwind;
use crate::parts::parker;

/// A pool's events, one after another, from [`WorkerPool::events`](crate::WorkerPool::events).
///
/// As an [`Iterator`] it **blocks** until the next event, and ends with the pool: when the pool has
/// been dropped and its last thread has ended. That is after [`Closed`](PoolEvent::Closed), because
/// the events of ending workers come in between. So drop the pool before you join a thread that
/// listens. In async code, use [`next_async`](Self::next_async), on any runtime or none.
///
/// **Dropping** it ends the listening. The pool forgets the listener at the next event; until then
/// it keeps about half a kilobyte for it.
///
/// ```
/// use corepool::events::Events;
/// use corepool::{PoolEvent, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// let events: Events = pool.events();
/// drop(pool);
/// let told: Vec<PoolEvent> = events.collect();
/// assert!(told.contains(&PoolEvent::Closed));
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[must_use = "nobody listens unless its events are taken"]
pub struct Events {
    receiver: Receiver<PoolEvent>,
    waiter: Arc<Waiter>,
    /// Set when the channel was found empty and closed.
    has_ended: bool,
}

impl Events {
    /// Takes an event if one is there. Returns `None` if there is none yet, or if the pool has
    /// ended; [`has_ended`](Self::has_ended) tells which. Never blocks.
    ///
    /// ```
    /// use corepool::{PoolEvent, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let mut events = pool.events();
    /// assert!(matches!(events.try_next(), Some(PoolEvent::WorkerOnline { .. })));
    /// assert!(events.try_next().is_none() && !events.has_ended());
    /// drop(pool);
    /// while events.try_next().is_some() {}
    /// assert!(events.has_ended());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn try_next(&mut self) -> Option<PoolEvent> {
        match self.look() {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    /// Like the iterator's `next`, but gives up after `timeout`. **Blocks** until then.
    ///
    /// Returns `None` if no event came in time, or at once if the pool has ended;
    /// [`has_ended`](Self::has_ended) tells which.
    ///
    /// ```
    /// use corepool::{PoolEvent, WorkerPool};
    /// use std::time::Duration;
    /// let pool = WorkerPool::with_workers(1)?;
    /// let mut events = pool.events();
    /// let minute = Duration::from_secs(60);
    /// assert!(matches!(events.next_timeout(minute), Some(PoolEvent::WorkerOnline { .. })));
    /// assert!(events.next_timeout(Duration::from_millis(1)).is_none());
    /// pool.close();
    /// assert_eq!(events.next_timeout(minute), Some(PoolEvent::Closed));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<PoolEvent> {
        match self.look() {
            Poll::Ready(event) => event,
            Poll::Pending if timeout.is_zero() => None,
            Poll::Pending => self.wait(Some(clock::after(timeout))),
        }
    }

    /// Waits in async code for the next event, on any runtime or none. The output is `None` when
    /// the pool has ended.
    ///
    /// The future can safely be dropped at any time; no event is lost. The last waker wins.
    ///
    /// ```
    /// use corepool::{PoolEvent, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let mut events = pool.events();
    /// drop(pool);
    /// let last = pollster::block_on(async {
    ///     let mut last = None;
    ///     while let Some(event) = events.next_async().await {
    ///         last = Some(event);
    ///     }
    ///     last
    /// });
    /// assert!(matches!(last, Some(PoolEvent::WorkerExited { .. })));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn next_async(&mut self) -> NextEvent<'_> {
        NextEvent { events: self }
    }

    /// Returns `true` if one of the other calls has found that the pool has ended and no event is
    /// left. Those calls return `None` from then on.
    ///
    /// ```
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let mut events = pool.events();
    /// drop(pool);
    /// while events.try_next().is_some() {}
    /// assert!(events.has_ended());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns the receiver from which the events are taken, for the macro `select!` of the crate
    /// `crossbeam-channel`, or for a thread of its own.
    ///
    /// Each event is taken once, by the receiver, by one of its clones, or by this listener. A
    /// worker that waits on the receiver does not lend its core meanwhile.
    ///
    /// ```
    /// use corepool::{PoolEvent, WorkerPool};
    /// use crossbeam_channel::{never, select};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let events = pool.events();
    /// let requests = never::<u32>();
    /// select! {
    ///     recv(events.receiver()) -> event => {
    ///         assert!(matches!(event, Ok(PoolEvent::WorkerOnline { .. })));
    ///     }
    ///     recv(requests) -> _request => unreachable!("none ever comes"),
    /// }
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn receiver(&self) -> &Receiver<PoolEvent> {
        &self.receiver
    }

    /// Takes an event, or tells whether more will come.
    fn look(&mut self) -> Poll<Option<PoolEvent>> {
        match self.receiver.try_recv() {
            Ok(event) => Poll::Ready(Some(event)),
            Err(TryRecvError::Empty) => Poll::Pending,
            Err(TryRecvError::Disconnected) => {
                self.has_ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn poll_next(&mut self, waker: &Waker) -> Poll<Option<PoolEvent>> {
        if let Poll::Ready(event) = self.look() {
            return Poll::Ready(event);
        }
        self.waiter.put(Some(waker.clone()));
        let event = self.look();
        if event.is_ready() {
            self.waiter.put(None);
        }
        event
    }

    /// Waits for the next event, the end of the pool, or the end of the time.
    #[cold]
    fn wait(&mut self, end: Option<Instant>) -> Option<PoolEvent> {
        parker::with_current(|parker, waker| {
            loop {
                if let Poll::Ready(event) = self.poll_next(waker) {
                    return event;
                }
                if !parker.park_lending(end) {
                    self.waiter.put(None);
                    return self.try_next();
                }
            }
        })
    }
}

/// Returns the events as they happen, and **blocks** until there is one. Ends with the pool.
impl Iterator for Events {
    type Item = PoolEvent;

    fn next(&mut self) -> Option<PoolEvent> {
        match self.look() {
            Poll::Ready(event) => event,
            Poll::Pending => self.wait(None),
        }
    }
}

impl FusedIterator for Events {}

impl Drop for Events {
    fn drop(&mut self) {
        // A clone of the receiver may outlive this, and the waiter with it.
        self.waiter.put(None);
    }
}

// An event is taken whole or not at all, and no user code runs under the lock.
impl UnwindSafe for Events {}
impl RefUnwindSafe for Events {}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("waiting", &self.receiver.len())
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}

/// The future returned by [`Events::next_async`].
///
/// It can safely be dropped at any time; no event is lost, and its waker is dropped too. If it is
/// polled again after it was ready, it waits for another event.
///
/// ```
/// use corepool::events::NextEvent;
/// use corepool::{PoolEvent, WorkerPool};
/// let pool = WorkerPool::with_workers(1)?;
/// let mut events = pool.events();
/// let next: NextEvent<'_> = events.next_async();
/// assert!(matches!(pollster::block_on(next), Some(PoolEvent::WorkerOnline { .. })));
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub struct NextEvent<'events> {
    events: &'events mut Events,
}

impl Future for NextEvent<'_> {
    type Output = Option<PoolEvent>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.events.poll_next(cx.waker())
    }
}

impl Drop for NextEvent<'_> {
    fn drop(&mut self) {
        self.events.waiter.put(None);
    }
}

/// The waker of a listener that waits.
#[derive(Debug, Default)]
struct Waiter {
    waker: Mutex<Option<Waker>>,
}

impl Waiter {
    /// Replaces the waker.
    fn put(&self, waker: Option<Waker>) {
        let before = std::mem::replace(&mut *self.waker.lock(), waker);
        // Its drop is user code, so it does not happen under the lock.
        unwind::quietly(|| drop(before));
    }

    fn take(&self) -> Option<Waker> {
        self.waker.lock().take()
    }
}

/// The pool's side of one listener.
#[derive(Debug)]
pub(super) struct Listener {
    /// First, so that it is dropped first.
    sender: Sender<PoolEvent>,
    /// Dropped with the pool, or when the listener is gone.
    end: End,
}

/// Wakes a listener that waits when this is dropped.
#[derive(Debug)]
struct End(Arc<Waiter>);

/// Makes a listener and the pool's side of it.
pub(super) fn listener() -> (Listener, Events) {
    // Not `bounded`, which allocates its whole capacity at once. If the listener is dropped, that
    // memory would also stay allocated until the next event.
    let (sender, receiver) = crossbeam_channel::unbounded();
    let waiter = Arc::<Waiter>::default();
    let listener = Listener { sender, end: End(Arc::clone(&waiter)) };
    (listener, Events { receiver, waiter, has_ended: false })
}

impl Listener {
    /// How many events it has not taken.
    pub(super) fn untaken(&self) -> usize {
        self.sender.len()
    }

    /// Sends an event. Returns `false` if the listener is gone. The caller wakes
    /// [the waiter](Self::take_waiter) afterwards.
    pub(super) fn send(&self, event: PoolEvent) -> bool {
        self.sender.send(event).is_ok()
    }

    /// Takes the waker of a listener that waits. Waking is user code, so not under a lock.
    pub(super) fn take_waiter(&self) -> Option<Waker> {
        self.end.0.take()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            unwind::quietly(|| waker.wake());
        }
    }
}
