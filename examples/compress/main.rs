//! A parallel gzip: blocks are compressed side by side on a pool, and what comes out is an ordinary
//! gzip file.
//!
//! ```text
//! cargo run --release --example compress -- [OPTION]... [FILE|DIR]...
//! ```
//!
//! `--help` says the rest. One block is read, compressed in a task, and written in its turn;
//! `pack.rs` is the heart of it. A file that is one block or less is done as a whole in one task,
//! so that many small files keep all workers busy too.
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
    // Not by returning: a task that still waits for a silent stdin, after its output failed, would
    // hold the pool's shutdown.
    process::exit(status)
}

fn show(text: &str) -> i32 {
    // Who closes the pipe early has read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    0
}
