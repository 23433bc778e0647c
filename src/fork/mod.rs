//! Fork-join on the stacks of the threads that call it: a call costs next to nothing until somebody is
//! hungry, and then the oldest piece, which is the biggest, is offered.
//!
//! `README.md` beside this file has the modes, the beat, and the argument why it is sound and lock-safe.

mod beat;
pub(crate) mod estimate;
mod job;
mod pace;
mod stack;
mod visit;
mod wait;

pub(crate) use beat::is_worth_a_wake;
pub(crate) use job::join;
pub(crate) use pace::Pace;
pub(crate) use stack::{
    Kind, Maker, Source, Stack, enter, has_stack, is_plain, is_plain_on, is_poked, look,
    with_current, with_stack_of,
};
pub(crate) use visit::{is_visitor, visit, visits};
