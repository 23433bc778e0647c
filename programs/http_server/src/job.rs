//! The work: what is computed, on whichever thread that happens.
#![forbid(unsafe_code)]

use std::io::Write;

use axum::body::Bytes;
use corepool::cancel::Cancelled;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// Larger numbers would take minutes, and no client would wait for the answer.
pub(crate) const LARGEST_FIBONACCI: u32 = 60;

/// How often `/hash` hashes. This takes as long as hashing a password.
const ROUNDS: usize = 20_000;
/// How many rounds run between two checks for cancellation.
const ROUNDS_UNCHECKED: usize = 500;
/// How many bytes are compressed between two checks: well under a millisecond of work.
const PIECE: usize = 32 << 10;
/// Below this, a whole subtree of calls takes no more than some microseconds.
const SMALL_FIBONACCI: u32 = 16;

/// One request's work. It regularly asks `check` whether the answer is still wanted.
#[derive(Clone, Debug)]
pub enum Job {
    /// This Fibonacci number, the slow way.
    Fibonacci(u32),
    /// These bytes as gzip.
    Compress(Bytes),
    /// The hash of these bytes, stretched.
    Hash(Bytes),
}

impl Job {
    /// For metrics and reports.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Fibonacci(n) => format!("fib {n}"),
            Self::Compress(body) => format!("compress {} bytes", body.len()),
            Self::Hash(_) => "hash".to_owned(),
        }
    }

    /// Computes the answer.
    ///
    /// # Errors
    /// The error that `check` returns, as soon as it returns one.
    pub fn run(self, check: impl Fn() -> Result<(), Cancelled>) -> Result<Bytes, Cancelled> {
        match self {
            Self::Fibonacci(n) => fibonacci(n, &check).map(|number| format!("{number}\n").into()),
            Self::Compress(body) => compress(&body, &check),
            Self::Hash(body) => hash(&body, &check),
        }
    }
}

fn fibonacci(n: u32, check: &impl Fn() -> Result<(), Cancelled>) -> Result<u64, Cancelled> {
    if n < SMALL_FIBONACCI {
        return Ok(plain_fibonacci(n));
    }
    check()?;
    Ok(fibonacci(n - 1, check)? + fibonacci(n - 2, check)?)
}

fn plain_fibonacci(n: u32) -> u64 {
    if n < 2 { n.into() } else { plain_fibonacci(n - 1) + plain_fibonacci(n - 2) }
}

fn compress(body: &[u8], check: &impl Fn() -> Result<(), Cancelled>) -> Result<Bytes, Cancelled> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::default());
    for piece in body.chunks(PIECE) {
        check()?;
        encoder.write_all(piece).expect("memory takes every byte");
    }
    Ok(encoder.finish().expect("memory takes every byte").into())
}

fn hash(body: &[u8], check: &impl Fn() -> Result<(), Cancelled>) -> Result<Bytes, Cancelled> {
    let mut digest = Sha256::digest(body);
    for round in 1..ROUNDS {
        if round % ROUNDS_UNCHECKED == 0 {
            check()?;
        }
        digest = Sha256::digest(digest);
    }
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{digits}\n").into())
}
