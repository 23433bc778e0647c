//! The server's command line options.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use http_server::pooled::{NICEST, PoolOptions};

pub(crate) const USAGE: &str = "\
usage: http_server [OPTION]...

Serves work for the processor over HTTP, computed on a pool: GET /fib/N, POST /compress and
POST /hash. GET /health and GET /metrics answer at once, however busy the pool is. SIGTERM and
Ctrl-C end it when what it accepted is answered.

  --host ADDRESS    where to listen, by default 127.0.0.1
  --port N          by default 8080; 0 for any free port, which the first line printed names
  --workers N       1 to 1024, by default one for each core that may be used
  --queue N         requests that may wait for a worker, 0 to 1000000, by default 64; the rest
                    get 503 at once
  --deadline MS     how long a request may take, 1 to 3600000, by default 5000; then it gets 504
  --drain MS        how long the end may take, 1 to 3600000, by default 10000
  --nice N          the niceness of the workers, 0 to 19, by default 19
  --inline          no pool, for comparison: compute on the runtime's thread
  --spawn-blocking  no pool, for comparison: compute on tokio's blocking threads
  -h, --help        this text
  -V, --version     the version

Status: 0 everything accepted was answered, 1 something was left at the end, 2 it could not begin.
";

/// Which threads compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Pool,
    Inline,
    SpawnBlocking,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Wanted {
    Help,
    Version,
    Serve(Options),
}

/// How to serve.
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
    /// Parses the command line.
    ///
    /// # Errors
    /// One line about the first mistake.
    pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Wanted, String> {
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
                "-h" | "--help" => return Ok(Wanted::Help),
                "-V" | "--version" => return Ok(Wanted::Version),
                _ if word.starts_with('-') => return Err(format!("unknown option {word}")),
                _ => return Err(format!("{word:?} is no option, and it takes nothing else")),
            }
        }
        Ok(Wanted::Serve(options))
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
