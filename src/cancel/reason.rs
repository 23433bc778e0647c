//! The reason why a token was cancelled.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

/// Why a [`CancelToken`](super::CancelToken) was cancelled. The first reason stays.
///
/// ```
/// use corepool::cancel::{CancelReason, CancelToken};
/// let token = CancelToken::new();
/// token.cancel_because("the client has gone");
/// token.cancel();
/// let reason = token.reason().unwrap();
/// assert_eq!(reason, CancelReason::Because("the client has gone".into()));
/// assert_eq!(reason.to_string(), "the client has gone");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelReason {
    /// [`cancel`](super::CancelToken::cancel) was called.
    Asked,
    /// [`cancel_because`](super::CancelToken::cancel_because) was called, with this text.
    Because(Arc<str>),
    /// The deadline of the token or of one of its ancestors passed.
    DeadlinePassed,
    /// All tasks of the pool were [cancelled](crate::WorkerPool::cancel_all).
    PoolCancelled,
    /// The pool is shutting down, and the [time for running
    /// tasks](crate::WorkerPool::shutdown_stopping) is over.
    ShuttingDown,
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("somebody asked for it"),
            Self::Because(reason) => f.write_str(reason),
            Self::DeadlinePassed => f.write_str("the deadline has passed"),
            Self::PoolCancelled => f.write_str("all tasks of the pool were cancelled"),
            Self::ShuttingDown => f.write_str("the pool is shutting down"),
        }
    }
}
