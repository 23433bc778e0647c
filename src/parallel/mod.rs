//! Fork-join on borrowed data: the types behind [`join`](fn@crate::join),
//! [`scope`](fn@crate::scope) and the loops.
//!
//! ```
//! use corepool::parallel::Scope;
//! fn add_all<'scope>(s: &'scope Scope<'scope, '_>, numbers: &'scope mut [u32]) {
//!     for number in numbers {
//!         s.spawn(move || *number += 1);
//!     }
//! }
//! let mut numbers = [1, 2, 3];
//! corepool::scope(|s| add_all(s, &mut numbers));
//! assert_eq!(numbers, [2, 3, 4]);
//! ```

pub(crate) mod join;
pub(crate) mod scope;
pub(crate) mod loops;

pub use join::JoinContext;
pub use loops::{Chunks, ChunksMut, Indexed, Items};
pub use scope::{Scope, ScopedHandle};
