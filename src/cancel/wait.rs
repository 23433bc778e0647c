//! Waiting for a token's cancel: as a future, or by blocking a thread.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::guests::{Guest, GuestPlace};
use super::node::Node;
use super::reason::CancelReason;
use super::token::CancelToken;
use crate::base::clock;
use crate::parts::parker;

/// The future returned by [`CancelToken::cancelled`]. It is ready, with the reason, when the token
/// is cancelled.
///
/// It owns a clone of the token, so it can be moved into a task. The last waker that it was polled
/// with is woken. It can be dropped at any time and leaves nothing with the token. It may be polled
/// after it was ready, and is then ready again.
///
/// ```
/// use corepool::cancel::{CancelReason, CancelToken, UntilCancelled};
/// let token = CancelToken::new();
/// let cancelled: UntilCancelled = token.cancelled();
/// token.cancel();
/// assert_eq!(pollster::block_on(cancelled), CancelReason::Asked);
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct UntilCancelled {
    node: Arc<Node>,
    place: Option<GuestPlace>,
}

impl CancelToken {
    /// Returns a future that is ready when the token is cancelled, on any runtime or none.
    ///
    /// Use it next to the work in the runtime's `select!`. It never blocks.
    ///
    /// ```
    /// use corepool::cancel::{CancelReason, CancelToken};
    /// use std::time::Duration;
    /// let token = CancelToken::with_timeout(Duration::from_millis(1));
    /// let reason = pollster::block_on(async { token.cancelled().await });
    /// assert_eq!(reason, CancelReason::DeadlinePassed);
    /// ```
    pub fn cancelled(&self) -> UntilCancelled {
        UntilCancelled { node: Arc::clone(self.node()), place: None }
    }

    /// Blocks the thread until the token is cancelled, and returns the reason.
    ///
    /// It blocks forever if the token is never cancelled. A worker that waits here lends its core
    /// to a spare worker, as in [`blocking`](fn@crate::blocking).
    ///
    /// ```
    /// use corepool::CancelToken;
    /// let token = CancelToken::new();
    /// let watcher = std::thread::spawn({
    ///     let token = token.clone();
    ///     move || token.wait().to_string()
    /// });
    /// token.cancel_because("the server stops");
    /// assert_eq!(watcher.join().unwrap(), "the server stops");
    /// ```
    pub fn wait(&self) -> CancelReason {
        loop {
            // Without a timeout, it returns only with a reason.
            if let Some(reason) = self.wait_until(None) {
                return reason;
            }
        }
    }

    /// Blocks the thread until the token is cancelled or the timeout is over. Returns `true` if the
    /// token is cancelled.
    ///
    /// Use it as a sleep that a cancel cuts short.
    ///
    /// ```
    /// use corepool::CancelToken;
    /// use std::time::Duration;
    /// let token = CancelToken::new();
    /// assert!(!token.wait_timeout(Duration::from_millis(1)));
    /// token.cancel();
    /// assert!(token.wait_timeout(Duration::MAX));
    /// ```
    #[must_use = "it tells a cancel from the end of the time"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Some(clock::after(timeout))).is_some()
    }

    fn wait_until(&self, end: Option<Instant>) -> Option<CancelReason> {
        parker::with_current(|parker, waker| {
            let mut cancelled = pin!(self.cancelled());
            let mut context = Context::from_waker(waker);
            loop {
                if let Poll::Ready(reason) = cancelled.as_mut().poll(&mut context) {
                    return Some(reason);
                }
                if !parker.park_lending(end) {
                    return self.reason();
                }
            }
        })
    }
}

impl Future for UntilCancelled {
    type Output = CancelReason;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<CancelReason> {
        // An early check that saves the waker. The check that counts is made under the lock.
        if let Some(reason) = self.node.reason() {
            self.place = None;
            return Poll::Ready(reason);
        }
        let guest = Guest::Waker(context.waker().clone());
        let stays = match self.place {
            Some(place) => self.node.replace(place, guest).map(|()| place),
            None => self.node.admit(guest),
        };
        match stays {
            Ok(place) => {
                self.place = Some(place);
                Poll::Pending
            }
            Err(reason) => {
                self.place = None;
                Poll::Ready(reason)
            }
        }
    }
}

impl Drop for UntilCancelled {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.node.leave(place);
        }
    }
}

impl fmt::Debug for UntilCancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilCancelled")
            .field("reason", &self.node.reason())
            .finish_non_exhaustive()
    }
}
