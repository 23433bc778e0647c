//! A server that stays responsive: what computes runs on a pool, and the runtime's one thread only
//! ever waits.
//!
//! ```text
//! cargo run --release --example http_server -- [OPTION]...
//!
//! GET  /fib/{n}      the n-th Fibonacci number, the slow way (n up to 60)
//! POST /compress     the body as gzip
//! POST /hash         the body's SHA-256 as hexadecimal digits, stretched by thousands of rounds
//! GET  /health       "ok", at once, however busy the rest is
//! GET  /metrics      what happened so far, as Prometheus reads it
//! ```
//!
//! `--help` lists the options.
//!
//! When as many requests wait as `--queue` allows (by default 64), more are told so at once: 503,
//! with Retry-After. Who has no answer after `--deadline` (5000 ms) gets 504. A client that goes
//! away takes its work with it. SIGTERM and Ctrl-C end the server when what it has accepted is
//! answered, but after `--drain` (10000 ms) at the latest; then it says what was left.
//!
//! The workers are as nice as they can be: whenever the runtime's thread wakes, one of them makes
//! room on its core at once. With `--nice 0` they are like all other threads;
//! `benches/responsiveness` shows what that costs `/health`.
//!
//! `--inline` and `--spawn-blocking` do the same work the usual ways, for comparison: on the
//! runtime's thread, and on tokio's blocking threads. These have no bound, no deadline, and cannot
//! stop what runs.
#![forbid(unsafe_code)]

mod options;
mod server;

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use options::{Options, USAGE, Wanted, Way};
use server::ending::{Ending, Left};
use server::pooled::Pooled;
use server::runner::{Inline, Runner, SpawnBlocking};

fn main() -> ExitCode {
    let options = match Options::parse(env::args_os().skip(1)) {
        Ok(Wanted::Serve(options)) => options,
        Ok(Wanted::Help) => return show(USAGE),
        Ok(Wanted::Version) => {
            return show(concat!("http_server ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        Err(line) => {
            eprintln!("http_server: {line} (try --help)");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(left) if left.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("http_server: {failure}");
            ExitCode::from(2)
        }
    }
}

fn show(text: &str) -> ExitCode {
    // Who closes the pipe early has read enough.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn run(options: Options) -> Result<Left, Box<dyn Error>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let left = runtime.block_on(listen(options));
    // A blocking thread that computes after the limit is not waited for: the process ends.
    runtime.shutdown_background();
    left
}

/// Serves until a signal comes, and ends in good order.
async fn listen(options: Options) -> Result<Left, Box<dyn Error>> {
    let place = (options.host.as_str(), options.port);
    let listener = TcpListener::bind(place)
        .await
        .map_err(|why| format!("cannot listen on {}:{}: {why}", place.0, place.1))?;
    let pooled = match options.way {
        Way::Pool => Some(Arc::new(Pooled::new(&options.pool)?)),
        Way::Inline | Way::SpawnBlocking => None,
    };
    let runner: Arc<dyn Runner> = match (&pooled, options.way) {
        (Some(pooled), _) => Arc::clone(pooled) as _,
        (None, Way::SpawnBlocking) => Arc::new(SpawnBlocking),
        (None, _) => Arc::new(Inline),
    };
    // Before the address is told: who reads it may send a signal at once.
    let mut signals = Signals::new()?;
    println!("listening on http://{} ({})", listener.local_addr()?, runner.name());
    let mut connections = server::serve(listener, runner, signals.next()).await;
    let ending = Ending { limit: options.drain, pool: pooled };
    Ok(ending.run(&mut connections, signals.next()).await)
}

/// The two signals that ask a server to end.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of them.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
