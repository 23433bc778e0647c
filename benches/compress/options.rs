//! The command line options.
#![forbid(unsafe_code)]

use std::env;
use std::process;

pub(crate) struct Options {
    /// Only check once, with small data, that all results are right.
    pub(crate) test: bool,
    pub(crate) rounds: usize,
    /// The size of each corpus.
    pub(crate) bytes: usize,
    rows: Vec<String>,
}

impl Options {
    /// `cargo bench` passes `--bench`. Without it, as in `cargo test --benches`, the bench runs as
    /// a test.
    pub(crate) fn read() -> Self {
        let mut options = Self { test: false, rounds: 7, bytes: 64 << 20, rows: Vec::new() };
        let mut is_bench = false;
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--bench" => is_bench = true,
                "--test" => options.test = true,
                "--quick" => (options.rounds, options.bytes) = (3, 16 << 20),
                "--rounds" => options.rounds = number(words.next()),
                "--size" => options.bytes = number(words.next()) << 20,
                flag if flag.starts_with('-') => eprintln!("{flag} means nothing here"),
                row => options.rows.push(row.to_owned()),
            }
        }
        if options.test || !is_bench {
            (options.test, options.rounds, options.bytes) = (true, 1, 1 << 20);
        }
        options
    }

    pub(crate) fn wants(&self, row: &str) -> bool {
        self.test || self.rows.is_empty() || self.rows.iter().any(|part| row.contains(part))
    }
}

fn number(word: Option<String>) -> usize {
    word.and_then(|word| word.parse().ok()).filter(|number| *number > 0).unwrap_or_else(|| {
        eprintln!("a number is missing");
        process::exit(2)
    })
}
