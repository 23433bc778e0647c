//! The example `compress` from outside: the built binary with real pipes, files and signals,
//! checked against gzip.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

#[path = "compress/program.rs"]
mod program;
#[path = "compress/place.rs"]
mod place;
#[path = "compress/streams.rs"]
mod streams;
#[path = "compress/files.rs"]
mod files;
#[path = "compress/trees.rs"]
mod trees;
#[path = "compress/damage.rs"]
mod damage;
#[path = "compress/failures.rs"]
mod failures;
#[path = "compress/signals.rs"]
mod signals;
#[path = "compress/terminal.rs"]
mod terminal;
