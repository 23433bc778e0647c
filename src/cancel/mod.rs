//! Stopping running code: a token that code can check, wait for, or await.
//!
//! ```
//! use corepool::cancel::{CancelReason, CancelToken, Cancelled};
//! let request = CancelToken::new();
//! let part = request.child();
//! assert_eq!(part.check(), Ok(()));
//! request.cancel();
//! assert_eq!(part.check(), Err(Cancelled));
//! assert_eq!(part.reason(), Some(CancelReason::Asked));
//! ```

// `node.rs` holds the state that a token's clones share, and how a cancel spreads. `guests.rs`
// holds the table of guests: whatever is told of a node's end. Guests are a token's children,
// wakers (`wait.rs`) and listeners (`listener.rs`). `deadline.rs` is the alarm. Unsafe code is
// only in `listener.rs`, and in the tests and models that act as a listener.

mod deadline;
mod guests;
mod listener;
mod node;
mod reason;
mod token;
mod wait;

#[cfg(all(test, corepool_loom))]
mod models;
#[cfg(all(test, not(corepool_loom)))]
mod tests;

pub use crate::base::error::Cancelled;
pub(crate) use listener::{Listener, Registration};
pub use reason::CancelReason;
pub use token::CancelToken;
pub use wait::UntilCancelled;
