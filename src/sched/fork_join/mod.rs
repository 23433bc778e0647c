//! Fork-join on the calling thread's line, where every idle worker can take what is left to run.
//!
//! A line is a thread's row of fork-join jobs. A call that is not disturbed costs next to nothing.
//! `README.md` in this directory says how it works, and why it is sound and safe with locks.

mod job;
mod stack;
mod visit;
mod wait;

pub(crate) use job::join;
pub(crate) use stack::{
    Kind, Stack, current_hub, current_line, current_line_of, enter, with_current, with_stack_of,
};
pub(crate) use visit::{is_visitor, visit, visits};
