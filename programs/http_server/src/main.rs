//! A server that stays responsive: computation runs on a pool, and the runtime's only thread just
//! waits for events.
//!
//! ```text
//! cargo run --release --bin http_server -- [OPTION]...
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
//! While `--queue` requests wait (default 64), further requests get 503 with Retry-After at once. A
//! request that has no answer after `--deadline` (5000 ms) gets 504. If a client goes away, its
//! work is cancelled. SIGTERM and Ctrl-C end the server when every accepted request is answered, or
//! after `--drain` (10000 ms) at the latest. In that case the server prints what was left.
//!
//! The workers have the highest niceness. Whenever the runtime's thread wakes, a worker gives up
//! its core at once. With `--nice 0` they are like all other threads; the bench
//! `responsiveness` shows what that costs `/health`.
//!
//! For comparison, `--inline` and `--spawn-blocking` do the same work in the usual ways: on the
//! runtime's thread, and on tokio's blocking threads. These ways have no bound and no deadline, and
//! cannot stop running work.
#![forbid(unsafe_code)]

mod options;

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use http_server::ending::{Ending, Left};
use http_server::pooled::Pooled;
use http_server::runner::{Inline, Runner, SpawnBlocking};
use options::{Options, USAGE, Wanted, Way};

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
    // A reader that closes the pipe early has read enough, so ignore a write error.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn run(options: Options) -> Result<Left, Box<dyn Error>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let left = runtime.block_on(listen(options));
    // Do not wait for a blocking thread that still computes after the limit: the process ends.
    runtime.shutdown_background();
    left
}

/// Serves until a signal arrives, then ends gracefully.
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
    // Before the address is printed, because its reader may send a signal at once.
    let mut signals = Signals::new()?;
    println!("listening on http://{} ({})", listener.local_addr()?, runner.name());
    let mut connections = http_server::serve(listener, runner, signals.next()).await;
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

    /// Waits for the next signal of either kind.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
