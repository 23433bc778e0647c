//! `CancelToken`: the interface for users.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::deadline;
use super::node::Node;
use super::reason::CancelReason;
use crate::base::clock;
use crate::base::error::Cancelled;

/// Tells running code to stop. A cancelled token stays cancelled.
///
/// Clones are the same token. Give one to the code that should stop, and keep one to stop it. A
/// check costs a relaxed load, so it is cheap enough for an inner loop. Code can also
/// [await](Self::cancelled) the cancel or [block](Self::wait) until it.
///
/// A [child](Self::child) is cancelled with its parent, and can be cancelled alone: for example,
/// one token for the server and a child for each request. A token may have its own deadline and
/// inherits its parent's; the earlier one cancels it. Dropping a token cancels nothing, even if it
/// is the last clone. A deadline that nothing observes any more is called off.
///
/// A token without a deadline starts no thread. All deadlines of the process share one thread,
/// `corepool-timer`, which ends when it has nothing to do. It marks tokens as cancelled at their
/// time. Wakers are then woken, and closures of expired tasks dropped, on threads called
/// `corepool-errand`. There is one such thread, unless user code blocks it.
///
/// A child made by `fork` has copies of its parent's tokens. The deadlines of these copies do not
/// fire in the child; those of tokens that the child makes do.
///
/// ```
/// use corepool::cancel::{CancelToken, Cancelled};
///
/// fn search(token: &CancelToken) -> Result<u64, Cancelled> {
///     let mut number = 0;
///     loop {
///         token.check()?;
///         number += 1;
///         if number == u64::MAX {
///             return Ok(number);
///         }
///     }
/// }
///
/// let token = CancelToken::new();
/// let search = std::thread::spawn({
///     let token = token.child();
///     move || search(&token)
/// });
/// token.cancel();
/// assert!(search.join().unwrap().is_err());
/// ```
#[derive(Clone)]
pub struct CancelToken {
    node: Arc<Node>,
}

impl CancelToken {
    /// Makes a token that is cancelled only by a call.
    ///
    /// ```
    /// let token = corepool::CancelToken::new();
    /// assert!(!token.is_cancelled());
    /// token.clone().cancel();
    /// assert!(token.is_cancelled());
    /// ```
    #[must_use = "a token that nobody has stops nobody"]
    pub fn new() -> Self {
        Self { node: Node::root() }
    }

    /// Makes a token that is cancelled at the deadline, or earlier by a call. If the deadline has
    /// passed, it is cancelled at once.
    ///
    /// ```
    /// use corepool::CancelToken;
    /// use std::time::Instant;
    /// assert!(CancelToken::with_deadline(Instant::now()).is_cancelled());
    /// ```
    #[must_use = "a token that nobody has stops nobody"]
    pub fn with_deadline(deadline: Instant) -> Self {
        Self::new().until(deadline)
    }

    /// Like [`with_deadline`](Self::with_deadline), with the deadline `timeout` from now.
    ///
    /// ```
    /// use corepool::cancel::{CancelReason, CancelToken};
    /// use std::time::Duration;
    /// let token = CancelToken::with_timeout(Duration::from_millis(1));
    /// assert_eq!(token.wait(), CancelReason::DeadlinePassed);
    /// ```
    #[must_use = "a token that nobody has stops nobody"]
    pub fn with_timeout(timeout: Duration) -> Self {
        Self::with_deadline(clock::after(timeout))
    }

    /// Makes a token that is cancelled together with this one, or alone. A child of a cancelled
    /// token is cancelled from the start, for the same reason.
    ///
    /// A child keeps alive the state through which its ancestors reach it. When the child's last
    /// clone is dropped, it no longer counts as the parent's child. Children may have children, to
    /// any depth.
    ///
    /// ```
    /// use corepool::CancelToken;
    /// let server = CancelToken::new();
    /// let (one, other) = (server.child(), server.child());
    /// one.cancel();
    /// assert!(!server.is_cancelled() && !other.is_cancelled());
    /// server.cancel();
    /// assert!(other.is_cancelled() && server.child().is_cancelled());
    /// ```
    #[must_use = "a token that nobody has stops nobody"]
    pub fn child(&self) -> Self {
        Self { node: Node::child_of(&self.node) }
    }

    /// Makes a [child](Self::child) that is cancelled at the deadline, unless it or its parent is
    /// cancelled earlier.
    ///
    /// ```
    /// use corepool::CancelToken;
    /// use std::time::{Duration, Instant};
    /// let request = CancelToken::with_timeout(Duration::from_secs(60));
    /// let step = request.child_with_deadline(Instant::now());
    /// assert!(step.is_cancelled() && !request.is_cancelled());
    /// ```
    #[must_use = "a token that nobody has stops nobody"]
    pub fn child_with_deadline(&self, deadline: Instant) -> Self {
        self.child().until(deadline)
    }

    /// Like [`child_with_deadline`](Self::child_with_deadline), with the deadline `timeout` from
    /// now.
    ///
    /// ```
    /// use corepool::CancelToken;
    /// use std::time::Duration;
    /// let request = CancelToken::new();
    /// let step = request.child_with_timeout(Duration::from_millis(1));
    /// step.wait();
    /// assert!(!request.is_cancelled());
    /// ```
    #[must_use = "a token that nobody has stops nobody"]
    pub fn child_with_timeout(&self, timeout: Duration) -> Self {
        self.child_with_deadline(clock::after(timeout))
    }

    /// Cancels this token and all its descendants, but not its parent. A second call does nothing.
    ///
    /// First all these tokens are marked as cancelled, then the waiters are woken. Wakers run on
    /// the calling thread. If one panics, the others are still woken. The call does not wait for
    /// any thread.
    ///
    /// ```
    /// use corepool::cancel::{CancelReason, CancelToken};
    /// let token = CancelToken::new();
    /// token.cancel();
    /// assert_eq!(token.reason(), Some(CancelReason::Asked));
    /// ```
    pub fn cancel(&self) {
        self.node.end(&CancelReason::Asked);
    }

    /// Like [`cancel`](Self::cancel), with a reason. The first reason stays.
    ///
    /// ```
    /// let token = corepool::CancelToken::new();
    /// token.cancel_because(format!("disk {} is full", 2));
    /// assert_eq!(token.child().reason().unwrap().to_string(), "disk 2 is full");
    /// ```
    pub fn cancel_because(&self, reason: impl Into<Arc<str>>) {
        self.node.end(&CancelReason::Because(reason.into()));
    }

    /// Like [`cancel`](Self::cancel), with a reason from inside the crate.
    pub(crate) fn end(&self, reason: &CancelReason) {
        self.node.end(reason);
    }

    /// Returns `true` if the token is cancelled.
    ///
    /// Costs one relaxed load, so it can be called as often as needed. Because the load is relaxed,
    /// it only says that the code should stop. To also see what the canceller did before, get the
    /// reason from [`reason`](Self::reason) or from one of the waits.
    ///
    /// ```
    /// let token = corepool::CancelToken::new();
    /// assert!(!token.is_cancelled());
    /// ```
    #[must_use]
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_over()
    }

    /// Returns an error if the token is cancelled, so that `?` leaves the code that should stop.
    /// Costs as little as [`is_cancelled`](Self::is_cancelled).
    ///
    /// # Errors
    /// [`Cancelled`] if the token is cancelled.
    ///
    /// ```
    /// use corepool::cancel::{CancelToken, Cancelled};
    /// fn sum(numbers: &[u64], token: &CancelToken) -> Result<u64, Cancelled> {
    ///     numbers.iter().map(|number| token.check().map(|()| number)).sum()
    /// }
    /// let token = CancelToken::new();
    /// assert_eq!(sum(&[1, 2, 3], &token), Ok(6));
    /// token.cancel();
    /// assert!(sum(&[1, 2, 3], &token).is_err());
    /// ```
    #[inline]
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled::new()) } else { Ok(()) }
    }

    /// Returns why the token was cancelled, or `None` if it is not cancelled.
    ///
    /// ```
    /// use corepool::cancel::{CancelReason, CancelToken};
    /// let token = CancelToken::new();
    /// assert_eq!(token.reason(), None);
    /// token.cancel();
    /// assert_eq!(token.reason(), Some(CancelReason::Asked));
    /// ```
    #[must_use]
    pub fn reason(&self) -> Option<CancelReason> {
        self.node.reason()
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    fn until(self, deadline: Instant) -> Self {
        deadline::end_at(&self.node, deadline);
        self
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("reason", &self.reason()).finish_non_exhaustive()
    }
}

// A token changes completely or not at all, and panics of user code that it calls are caught. So a
// panic finds nothing half done.
impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}
