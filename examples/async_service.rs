//! A login service on a single async thread, which stays responsive because it stretches passwords
//! on a pool.
//!
//! ```text
//! cargo run --release --example async_service [CLIENTS] [LOGINS] [LIMIT_MS]
//! ```
//!
//! CLIENTS (1 to 1000, default 8) connect over TCP and each make LOGINS logins (1 to 100000,
//! default 50) one after another. A client that has no answer after LIMIT_MS (1 to 60000, default
//! 1000) is told that it took too long. Everything runs twice: first the runtime's thread stretches
//! the passwords itself, then it awaits the pool. A ticker shows the difference.

use std::env;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corepool::WorkerPool;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{interval, timeout};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "\
usage: async_service [CLIENTS] [LOGINS] [LIMIT_MS]

Clients log in over TCP to a service on one async thread, twice: first that thread stretches the
passwords itself, then it awaits a pool. Prints how long all took, and for how long the thread was
not to be had.

  CLIENTS   1 to 1000, by default 8
  LOGINS    of each client, one after another, 1 to 100000, by default 50
  LIMIT_MS  after which a client is told that it took too long, 1 to 60000, by default 1000
";
const PASSWORD: &str = "correct horse battery staple";
const TOO_LATE: &str = "too late";
/// How many logins may wait for a worker. Further logins wait for a place in this queue.
const QUEUE: usize = 4;

/// What the command line asks for.
enum Request {
    Help,
    Run(Load),
}

struct Load {
    clients: u64,
    logins: u64,
    limit: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = run().await.inspect_err(|failure| eprintln!("async_service: {failure}"));
    ExitCode::from(u8::from(outcome.is_err()))
}

fn request() -> Result<Request, String> {
    let words: Vec<String> =
        env::args_os().skip(1).map(|word| word.to_string_lossy().into()).collect();
    if words.iter().any(|word| word == "-h" || word == "--help") {
        return Ok(Request::Help);
    }
    let number = |at: usize, name: &str, usual: u64, most: u64| {
        let Some(word) = words.get(at) else { return Ok(usual) };
        let number = word.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| {
            format!("{name} must be a number from 1 to {most}, not {word:?} (try --help)")
        })
    };
    if let Some(surplus) = words.get(3) {
        return Err(format!("{surplus:?} is one argument too many (try --help)"));
    }
    Ok(Request::Run(Load {
        clients: number(0, "CLIENTS", 8, 1_000)?,
        logins: number(1, "LOGINS", 50, 100_000)?,
        limit: Duration::from_millis(number(2, "LIMIT_MS", 1_000, 60_000)?),
    }))
}

async fn run() -> Result<(), Failure> {
    let load = match request()? {
        Request::Help => {
            // A reader that closes the pipe early has read enough, so ignore a write error.
            let _ = io::stdout().write_all(USAGE.as_bytes());
            return Ok(());
        }
        Request::Run(load) => load,
    };
    measure("on the runtime's own thread", &load, None).await?;
    let pool = Arc::new(WorkerPool::builder().queue_capacity(QUEUE).build()?);
    measure("on a pool", &load, Some(Arc::clone(&pool))).await?;
    println!("tasks cancelled before they began: {}", pool.metrics().cancelled);
    // A shutdown blocks the thread that waits for it, so it must not run on the runtime's thread.
    let end = move || pool.shutdown_timeout(Duration::from_secs(10));
    println!("shutdown: {}", spawn_blocking(end).await?);
    Ok(())
}

/// Serves all clients, then prints how it went and for how long the runtime's thread was blocked.
async fn measure(title: &str, load: &Load, pool: Option<Arc<WorkerPool>>) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = tokio::spawn(serve(listener, pool, load.limit));
    let hash = stretch(PASSWORD);
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..load.clients {
        clients.spawn(client(address, load.logins, hash.clone()));
    }
    let (mut late, mut last, mut gap) = (0, Instant::now(), Duration::ZERO);
    let mut ticker = interval(Duration::from_millis(1));
    loop {
        tokio::select! {
            done = clients.join_next() => match done {
                Some(client) => late += client??,
                None => break,
            },
            _ = ticker.tick() => gap = gap.max(last.elapsed()),
        }
        last = Instant::now();
    }
    service.abort();
    let (logins, took) = (load.clients * load.logins, start.elapsed());
    println!("{title}: {logins} logins in {took:.1?}, {late} too late; largest gap {gap:.1?}");
    Ok(())
}

async fn serve(listener: TcpListener, pool: Option<Arc<WorkerPool>>, limit: Duration) {
    while let Ok((stream, _)) = listener.accept().await {
        let pool = pool.clone();
        tokio::spawn(async move {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(password)) = lines.next_line().await {
                let hash = timeout(limit, hash(pool.as_deref(), password)).await;
                let answer = hash.unwrap_or_else(|_elapsed| TOO_LATE.to_owned());
                if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// Hashes a password, on the pool if there is one. If the future is dropped early, it stops waiting
/// for a place in the queue, or cancels the task if the task has not started.
async fn hash(pool: Option<&WorkerPool>, password: String) -> String {
    let Some(pool) = pool else { return stretch(&password) };
    match pool.reserve().await {
        Ok(permit) => {
            let task = permit.spawn(move || stretch(&password)).cancel_on_drop();
            task.await.unwrap_or_else(|why| why.to_string())
        }
        Err(closed) => closed.to_string(),
    }
}

/// Returns how many of its logins took too long.
async fn client(address: SocketAddr, logins: u64, hash: String) -> io::Result<u64> {
    let (read, mut write) = TcpStream::connect(address).await?.into_split();
    let mut answers = BufReader::new(read).lines();
    let mut late = 0;
    for _ in 0..logins {
        write.write_all(format!("{PASSWORD}\n").as_bytes()).await?;
        let answer = answers.next_line().await?.unwrap_or_default();
        late += u64::from(answer == TOO_LATE);
        if answer != hash && answer != TOO_LATE {
            return Err(io::Error::other(format!("the service answered {answer:?}")));
        }
    }
    Ok(late)
}

/// Some milliseconds of work. It stands in for a real key derivation function such as argon2, and
/// is not secure.
fn stretch(password: &str) -> String {
    let round = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = (0..50_000).fold(1, |hash, _| password.bytes().fold(hash, round));
    format!("{hash:016x}")
}
