//! The command line options. With `--test`, or without the `--bench` that `cargo bench` adds, the
//! bench only checks the answers.
#![forbid(unsafe_code)]

use std::env;
use std::process;
use std::time::Duration;

use crate::ways::{EXCHANGED, USUAL, Way};

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) test: bool,
    pub(crate) rounds: usize,
    pub(crate) ways: Vec<Way>,
    /// How long a server is measured without other load, and with it, in each round.
    pub(crate) unloaded: Duration,
    pub(crate) loaded: Duration,
}

impl Options {
    /// Reads the command line. A mistake in it ends the process with one clear line.
    pub(crate) fn read() -> Self {
        Self::parse(env::args().skip(1)).unwrap_or_else(|complaint| {
            eprintln!("{complaint}");
            process::exit(2)
        })
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut measure, mut test) = (false, false);
        let (mut rounds, mut ways) = (10, USUAL.to_vec());
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--bench" => measure = true,
                "--test" => test = true,
                "--rounds" => {
                    let value = value()?;
                    rounds = value.parse().map_err(|_| format!("{value:?} is not a number"))?;
                }
                "--ways" => ways = value()?.split(',').map(named).collect::<Result<_, _>>()?,
                // `cargo bench NAME` and the test harness's own flags arrive here too.
                other => eprintln!("{other} means nothing here"),
            }
        }
        let test = test || !measure;
        let long =
            |full| if test { Duration::from_millis(50) } else { Duration::from_millis(full) };
        let rounds = if test { 1 } else { rounds };
        Ok(Self { test, rounds, ways, unloaded: long(1_000), loaded: long(3_000) })
    }
}

fn named(name: &str) -> Result<Way, String> {
    let all = || USUAL.into_iter().chain(EXCHANGED);
    let names: Vec<_> = all().map(|way| way.name).collect();
    let found = all().find(|way| way.name == name);
    found.ok_or_else(|| format!("{name:?} is none of {}", names.join(", ")))
}
