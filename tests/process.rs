//! The process around a pool: how it exits, aborts, forks and handles signals, and what it needs.
//! Each test runs in a child process.
#![cfg(target_os = "linux")]

mod child;

#[path = "process/exit.rs"]
mod exit;
#[path = "process/fork.rs"]
mod fork;
#[path = "process/heritage.rs"]
mod heritage;
#[path = "process/signals.rs"]
mod signals;
#[path = "process/death.rs"]
mod death;
#[path = "process/imports.rs"]
mod imports;
#[path = "process/memory.rs"]
mod memory;
#[path = "process/forgotten.rs"]
mod forgotten;
#[path = "process/lenders.rs"]
mod lenders;
#[expect(dead_code, reason = "what only other tests use")]
#[path = "it/support.rs"]
mod support;
