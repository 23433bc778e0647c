//! The pool by a clock that stands still, jumps and runs slowly. Each in a child process.
//!
//! This binary has a `clock_gettime` of its own: the linker gives it to the standard library in
//! place of the C library's, so the crate needs no seam, and whatever asks for the time in these
//! processes is told the same wrong one.
#![cfg(target_os = "linux")]

mod child;

#[path = "clock/hands.rs"]
mod hands;
#[path = "clock/still.rs"]
mod still;
#[path = "clock/jumps.rs"]
mod jumps;
#[path = "clock/the_end.rs"]
mod the_end;
#[path = "clock/slow.rs"]
mod slow;
#[path = "clock/namespace.rs"]
mod namespace;
