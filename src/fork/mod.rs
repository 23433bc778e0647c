//! Fork-join on the lines of the threads that call it: a call costs next to nothing, and what it
//! has left to be run is within reach of every idle worker.
//!
//! `README.md` beside this file says how, and why it is sound and lock-safe.

mod job;
mod stack;
mod visit;
mod wait;

pub(crate) use job::join;
pub(crate) use stack::{
    Kind, Stack, current_hub, current_line, current_line_of, enter, with_current, with_stack_of,
};
pub(crate) use visit::{is_visitor, visit, visits};
