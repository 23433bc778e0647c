//! A parallel gzip: compresses blocks in parallel on a pool, and writes an ordinary gzip file.
//!
//! ```text
//! cargo run --release --bin compress -- [OPTION]... [FILE|DIR]...
//! ```
//!
//! `--help` explains the options. The calling thread assigns the blocks and writes them in order,
//! and a task compresses each block; `pack.rs` is the core of this. A file of one block or less is
//! processed as a whole in one task, so that many small files keep all workers busy too.
#![forbid(unsafe_code)]

mod arguments;
mod blocks;
mod deflater;
mod draft;
mod failure;
mod format;
mod inputs;
mod interrupt;
mod job;
mod names;
mod pack;
mod pipeline;
mod progress;
mod quick;
mod run;
mod unpack;

use std::io::{self, Write};
use std::process;

use arguments::Wanted;
use failure::{Failure, Gravity};

fn main() {
    let status = match arguments::read(std::env::args_os().skip(1)) {
        Ok(Wanted::Help) => show(arguments::USAGE),
        Ok(Wanted::Version) => show(concat!("compress ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Wanted::Run(settings, inputs)) => run::run(settings, inputs),
        Err(line) => {
            Failure::error(format!("{line} (try --help)")).print();
            Gravity::Error as i32
        }
    };
    // Exit instead of returning: a task that still waits for a silent stdin, after its output has
    // failed, would hold up the pool's shutdown.
    process::exit(status)
}

fn show(text: &str) -> i32 {
    // A reader that closes the pipe early has read enough, so ignore a write error.
    let _ = io::stdout().write_all(text.as_bytes());
    0
}
