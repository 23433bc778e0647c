//! The program from outside: the built program, real sockets, real signals.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod client;
mod program;

mod answers;
mod ending;
mod overload;
mod refusals;
