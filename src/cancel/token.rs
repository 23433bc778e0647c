//! The token itself: what its users call.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::deadline;
use super::node::Node;
use super::reason::CancelReason;
use crate::clock;
use crate::error::Cancelled;

/// Says "stop" to running code, once and for good.
///
/// Clones are the same token. Give one to the code that shall stop and keep one to stop it with.
/// Asking costs a relaxed load, so it may be done in an inner loop; who would rather wait can
/// [await](Self::cancelled) the end or [block](Self::wait) until it.
///
/// A [child](Self::child) ends with its parent, and can be ended alone: one token for the server, a
/// child for each request. A token may have a deadline, its own or its parent's; whichever comes
/// first ends it. Dropping tokens, the last one too, cancels nothing; a deadline that nobody is
/// left to hear of is called off.
///
/// No thread is started for a token without a deadline. All deadlines of the process share one
/// thread, `corepool-timer`, which ends when it has nothing to do; it marks tokens as cancelled at
/// their time. Wakers of those who wait, and closures of tasks that come too late, are woken and
/// dropped on threads called `corepool-errand`: one, unless the user's code holds it up. A child
/// made by `fork` has copies of its parent's tokens, whose deadlines do not ring there; those it
/// makes itself do.
///
/// ```
/// use corepool::{CancelToken, Cancelled};
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
    /// Makes a token that ends when somebody cancels it.
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

    /// Makes a token that ends at that time, if nobody cancels it before. With a deadline in the
    /// past it is cancelled at once.
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

    /// As [`with_deadline`](Self::with_deadline), so long from now.
    ///
    /// ```
    /// use corepool::{CancelReason, CancelToken};
    /// use std::time::Duration;
    /// let token = CancelToken::with_timeout(Duration::from_millis(1));
    /// assert_eq!(token.wait(), CancelReason::DeadlinePassed);
    /// ```
    #[must_use = "a token that nobody has stops nobody"]
    pub fn with_timeout(timeout: Duration) -> Self {
        Self::with_deadline(clock::after(timeout))
    }

    /// Makes a token that ends with this one, or alone. Of a cancelled token it is born cancelled,
    /// for the same reason.
    ///
    /// A child keeps what its parent needs to reach it, but does not count as the parent's child
    /// any longer when its last clone is dropped. Children may have children, to any depth.
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

    /// Makes a [child](Self::child) that ends at that time, if neither it nor its parent ends
    /// before.
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

    /// As [`child_with_deadline`](Self::child_with_deadline), so long from now.
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

    /// Cancels this token and all that descend from it, never its parent. Again does nothing.
    ///
    /// First all of them are marked, then those who wait are woken; wakers run in the calling
    /// thread, and if one panics the others are woken all the same. It waits for nobody.
    ///
    /// ```
    /// use corepool::{CancelReason, CancelToken};
    /// let token = CancelToken::new();
    /// token.cancel();
    /// assert_eq!(token.reason(), Some(CancelReason::Asked));
    /// ```
    pub fn cancel(&self) {
        self.node.end(&CancelReason::Asked);
    }

    /// As [`cancel`](Self::cancel), and says why. The first reason stays.
    ///
    /// ```
    /// let token = corepool::CancelToken::new();
    /// token.cancel_because(format!("disk {} is full", 2));
    /// assert_eq!(token.child().reason().unwrap().to_string(), "disk 2 is full");
    /// ```
    pub fn cancel_because(&self, reason: impl Into<Arc<str>>) {
        self.node.end(&CancelReason::Because(reason.into()));
    }

    /// As [`cancel`](Self::cancel), for a reason of ours.
    pub(crate) fn end(&self, reason: &CancelReason) {
        self.node.end(reason);
    }

    /// Tells whether the token is cancelled.
    ///
    /// Costs one relaxed load: ask as often as you like. Being relaxed it is a sign to stop and no
    /// more: what the canceller did before is sure to be seen only after [`reason`](Self::reason),
    /// or one of the waits, has given the reason.
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

    /// Returns early with `?` from code that was told to stop. Costs as little as
    /// [`is_cancelled`](Self::is_cancelled).
    ///
    /// # Errors
    /// [`Cancelled`] if the token is cancelled.
    ///
    /// ```
    /// use corepool::{CancelToken, Cancelled};
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

    /// Says why the token was cancelled; `None` if it was not.
    ///
    /// ```
    /// use corepool::{CancelReason, CancelToken};
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

// A token changes at once or not at all, and user code that it calls is caught: a panic finds
// nothing half done.
impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}
