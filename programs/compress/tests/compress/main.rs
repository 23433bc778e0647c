//! The program from outside: the built binary with real pipes, files and signals, checked
//! against gzip.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod program;
mod place;
mod streams;
mod files;
mod trees;
mod damage;
mod failures;
mod signals;
mod terminal;
