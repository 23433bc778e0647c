//! The pool on a clock that stands still, jumps or runs slowly. Each test runs in a child process.
//!
//! This binary defines its own `clock_gettime`. The linker gives it to the standard library in
//! place of the C library's, so the crate needs no seam. Everything that asks for the time in these
//! processes gets the same wrong answer.
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
