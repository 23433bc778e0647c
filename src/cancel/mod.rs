//! Cancelling running code: a token that says "stop" to all who look at it, wait for it or
//! registered with it.
//!
//! `node.rs` holds what a token's clones share, and how the end spreads; `guests.rs` the table of
//! those who hear of it. `wait.rs` and `listener.rs` are the two kinds of guests beside a token's
//! children, `deadline.rs` is the alarm. There is unsafe code in `listener.rs` alone, and in the
//! tests and models that play a listener's part.

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

pub(crate) use listener::{Listener, Registration};
pub use reason::CancelReason;
pub use token::CancelToken;
pub use wait::UntilCancelled;
