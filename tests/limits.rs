//! Where the system says no: threads refused, cores refused, masks narrowed. Each in a child process.
#![cfg(target_os = "linux")]

mod child;

#[path = "limits/cores.rs"]
mod cores;
#[path = "limits/threads.rs"]
mod threads;
