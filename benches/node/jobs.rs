//! The three jobs, each on a pool of two workers and, for comparison, in place on one thread.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

use corepool::WorkerPool;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::text::text;

/// Bytes of text per task.
const BLOCK: usize = 128 * 1024;
const LEVEL: u32 = 6;
const WORKERS: usize = 2;

/// How much there is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) tasks: u64,
    pub(crate) fib: u64,
    /// How many numbers, and how many blocks.
    pub(crate) pieces: usize,
}

/// What runs the tasks.
pub(crate) enum Runner {
    Pool(WorkerPool),
    OneThread,
}

/// A runner and its data.
pub(crate) struct Jobs {
    runner: Runner,
    size: Size,
    /// Shared by the tasks, as in Node.
    pub(crate) text: Arc<[u8]>,
}

impl Runner {
    pub(crate) fn pool() -> Self {
        Self::Pool(WorkerPool::with_workers(WORKERS).expect("a pool of two workers"))
    }

    /// Spawns all tasks before it waits for the first. Returns the results in order.
    fn run<F, T>(&self, tasks: impl Iterator<Item = F>) -> Vec<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self {
            Self::Pool(pool) => {
                let handles: Vec<_> = tasks.map(|task| pool.spawn(task)).collect();
                handles.into_iter().map(|handle| handle.join().expect("the task ran")).collect()
            }
            Self::OneThread => tasks.map(|task| task()).collect(),
        }
    }
}

impl Jobs {
    pub(crate) fn new(runner: Runner, size: Size) -> Self {
        Self { runner, size, text: text(size.pieces * BLOCK).into() }
    }

    /// Spawns all tasks, then waits for all results. Returns the tasks per second.
    pub(crate) fn empty(&self) -> f64 {
        let tasks = self.size.tasks;
        let start = Instant::now();
        let results = self.runner.run((0..tasks).map(|value| move || value));
        let took = start.elapsed();
        assert!(results.into_iter().eq(0..tasks), "an empty task answered with another value");
        tasks as f64 / took.as_secs_f64()
    }

    /// Returns how many milliseconds the numbers take.
    pub(crate) fn fib(&self) -> f64 {
        let n = self.size.fib;
        let start = Instant::now();
        let results = self.runner.run((0..self.size.pieces).map(|_| move || fib(black_box(n))));
        let took = start.elapsed();
        assert!(results.into_iter().all(|result| result == fibonacci(n)), "fib({n}) is wrong");
        took.as_secs_f64() * 1e3
    }

    /// Returns how many megabytes of text are compressed per second.
    pub(crate) fn compress(&self) -> f64 {
        let start = Instant::now();
        let blocks = self.compress_all();
        let took = start.elapsed();
        assert_eq!(blocks.len(), self.size.pieces, "each block was compressed");
        self.text.len() as f64 / 1e6 / took.as_secs_f64()
    }

    /// Returns the compressed size as a part of the text's size, after checking that the blocks
    /// hold the text.
    pub(crate) fn part_left(&self) -> f64 {
        let blocks = self.compress_all();
        let mut whole = Vec::new();
        for block in &blocks {
            GzDecoder::new(&block[..]).read_to_end(&mut whole).expect("a block can be read again");
        }
        assert!(whole == *self.text, "a block came back changed");
        blocks.iter().map(Vec::len).sum::<usize>() as f64 / self.text.len() as f64
    }

    fn compress_all(&self) -> Vec<Vec<u8>> {
        let task = |block: usize| {
            let text = Arc::clone(&self.text);
            move || compress(&text[block * BLOCK..][..BLOCK])
        };
        self.runner.run((0..self.size.pieces).map(task))
    }
}

/// Each block gets its own compressor, because Node's `gzipSync` makes one too.
fn compress(block: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(BLOCK / 2), Compression::new(LEVEL));
    encoder.write_all(block).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// Deliberately makes two calls per number: a fixed amount of computing.
fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

fn fibonacci(n: u64) -> u64 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}
