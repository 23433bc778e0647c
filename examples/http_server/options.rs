//! What the server was asked to be on its command line.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use crate::server::pooled::{NICEST, PoolOptions};

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Pool,
    Inline,
    SpawnBlocking,
}

/// The words of the command line, understood.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) way: Way,
    pub(crate) pool: PoolOptions,
    /// How long the end may take.
    pub(crate) drain: Duration,
}

impl Options {
    /// # Errors
    /// One line about the first mistake.
    pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Self {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            way: Way::Pool,
            pool: PoolOptions::default(),
            drain: Duration::from_secs(10),
        };
        let mut words = words.map(|word| word.to_string_lossy().into_owned());
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--host" => options.host = value()?,
                "--port" => options.port = number(&word, &value()?, 0, u16::MAX)?,
                "--workers" => options.pool.workers = Some(number(&word, &value()?, 1, 1_024)?),
                "--queue" => options.pool.queue = number(&word, &value()?, 0, 1_000_000)?,
                "--deadline" => options.pool.deadline = milliseconds(&word, &value()?)?,
                "--nice" => options.pool.niceness = number(&word, &value()?, 0, NICEST)?,
                "--drain" => options.drain = milliseconds(&word, &value()?)?,
                "--inline" => options.go(Way::Inline)?,
                "--spawn-blocking" => options.go(Way::SpawnBlocking)?,
                _ => return Err(format!("what is {word:?}? see the top of main.rs")),
            }
        }
        Ok(options)
    }

    fn go(&mut self, way: Way) -> Result<(), String> {
        if self.way != Way::Pool {
            return Err("--inline and --spawn-blocking: one of them, and once".to_owned());
        }
        self.way = way;
        Ok(())
    }
}

fn milliseconds(name: &str, word: &str) -> Result<Duration, String> {
    number(name, word, 1, 3_600_000).map(Duration::from_millis)
}

fn number<N>(name: &str, word: &str, least: N, most: N) -> Result<N, String>
where
    N: FromStr + PartialOrd + std::fmt::Display,
{
    let number = word.parse().ok().filter(|number| (&least..=&most).contains(&number));
    number.ok_or_else(|| format!("{name} wants a number from {least} to {most}, not {word:?}"))
}
