//! Computes the same Fibonacci number many times, first one after another, then on a pool. Then
//! computes it once, with every call a join.
//!
//! Shows what the pool gains on this machine, and how the work is spread over the workers:
//!
//! ```text
//! cargo run --release --example fibonacci [N] [TASKS] [WORKERS]
//! ```

use std::fmt::Display;
use std::hint::black_box;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use corepool::{BuildError, TaskError, TaskHandle, WorkerInfo, WorkerPool};

const USAGE: &str = "\
usage: fibonacci [N] [TASKS] [WORKERS]

Computes fib(N), TASKS times: one after another, and then on a pool of WORKERS, a task each. Then
once: in plain calls, and with every call a fork-join call that may spread over the pool.

  N        0 to 50, by default 34; each step up takes 1.6 times as long
  TASKS    1 to 1000000, by default 64
  WORKERS  by default one for each core that this process may use
";
/// With this example's slow algorithm, fib(50) takes about a minute.
const LARGEST_N: u64 = 50;
const MOST_TASKS: u64 = 1_000_000;

/// What to compute, and where.
struct Job {
    n: u64,
    tasks: u64,
    /// `None` for one worker per core.
    workers: Option<usize>,
}

/// What the command line asks for.
enum Request {
    Help,
    Run(Job),
}

/// Why the program ends early, as one line for stderr.
enum Failure {
    /// The input is wrong: exit status 2.
    Usage(String),
    /// The input is fine, but something else failed: exit status 1.
    Other(String),
}

fn main() -> ExitCode {
    let (line, status) = match run() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(line)) => (line, 2),
        Err(Failure::Other(line)) => (line, 1),
    };
    eprintln!("fibonacci: {line}");
    ExitCode::from(status)
}

fn run() -> Result<(), Failure> {
    let words: Vec<_> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into()).collect();
    let job = match parse(&words)? {
        Request::Help => return show(|out| out.write_all(USAGE.as_bytes())),
        Request::Run(job) => job,
    };
    // Build the pool first, so that an impossible worker count is reported before the long part.
    let pool = build(job.workers)?;
    let workers = pool.worker_count();
    show(|out| writeln!(out, "fib({}), {} times, workers: {workers}\n", job.n, job.tasks))?;
    let (expected, sequential) = timed(|| one_after_another(&job));
    show(|out| writeln!(out, "one after another {}", short(sequential)))?;
    let (results, pooled) = timed(|| on_pool(&pool, &job));
    let results = results.map_err(other)?;
    if results != expected {
        return Err(Failure::Other("the pool's results differ from those computed before".into()));
    }
    let speed_up = sequential.as_secs_f64() / pooled.as_secs_f64();
    show(|out| {
        writeln!(out, "on the pool       {}", short(pooled))?;
        writeln!(out, "speed-up          {speed_up:>12.2}\n")?;
        write_workers(out, &pool.workers())
    })?;
    split_one(&pool, job.n, expected[0])
}

/// Computes one number with a split at every call. The program sets no depth at which to stop.
fn split_one(pool: &WorkerPool, n: u64, expected: u64) -> Result<(), Failure> {
    let plain = least_of_five(|| compute(n)).1;
    let (result, joined) = least_of_five(|| pool.install(|| fork_join(black_box(n))));
    if result != expected {
        return Err(Failure::Other("fork-join's result differs from that computed before".into()));
    }
    let speed_up = plain.as_secs_f64() / joined.as_secs_f64();
    show(|out| {
        writeln!(out, "\nonce, plain calls {}", short(plain))?;
        writeln!(out, "every call a join {}", short(joined))?;
        writeln!(out, "speed-up          {speed_up:>12.2}")?;
        writeln!(
            out,
            "\nA call here is one addition: this shows what a join costs, not what it gains."
        )
    })
}

fn parse(words: &[String]) -> Result<Request, Failure> {
    if words.iter().any(|word| word == "-h" || word == "--help") {
        return Ok(Request::Help);
    }
    let number = |at: usize, name: &str, least: u64, most: u64| {
        let Some(word) = words.get(at) else { return Ok(None) };
        match word.parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Failure::Usage(format!(
                "{name} must be a number from {least} to {most}, not {word:?} (try --help)"
            ))),
        }
    };
    let n = number(0, "N", 0, LARGEST_N)?.unwrap_or(34);
    let tasks = number(1, "TASKS", 1, MOST_TASKS)?.unwrap_or(64);
    // The pool decides how many workers are too many.
    let workers = number(2, "WORKERS", 1, u64::from(u32::MAX))?.map(|workers| workers as usize);
    match words.get(3) {
        Some(word) => {
            Err(Failure::Usage(format!("{word:?} is one argument too many (try --help)")))
        }
        None => Ok(Request::Run(Job { n, tasks, workers })),
    }
}

fn build(workers: Option<usize>) -> Result<WorkerPool, Failure> {
    let pool = match workers {
        Some(workers) => WorkerPool::with_workers(workers),
        None => WorkerPool::new(),
    };
    pool.map_err(|error| match error {
        BuildError::WorkerCount { .. } => Failure::Usage(format!("{error} (try --help)")),
        _ => other(error),
    })
}

/// Deliberately slow: pure work for a core.
fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

/// The same, but runs both halves of every call in parallel if a worker is free.
fn fork_join(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = corepool::join(|| fork_join(n - 1), || fork_join(n - 2));
    a + b
}

/// `black_box` keeps the compiler from computing the result only once.
fn compute(n: u64) -> u64 {
    fibonacci(black_box(n))
}

fn one_after_another(job: &Job) -> Vec<u64> {
    (0..job.tasks).map(|_| compute(job.n)).collect()
}

fn on_pool(pool: &WorkerPool, job: &Job) -> Result<Vec<u64>, TaskError> {
    let n = job.n;
    let handles: Vec<_> = (0..job.tasks).map(|_| pool.spawn(move || compute(n))).collect();
    handles.into_iter().map(TaskHandle::join).collect()
}

fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// Returns the fastest of five runs, because one run says little on a busy machine.
fn least_of_five<R>(work: impl Fn() -> R) -> (R, Duration) {
    let first = timed(&work);
    (1..5).map(|_| timed(&work)).fold(first, |best, run| if run.1 < best.1 { run } else { best })
}

fn write_workers(out: &mut dyn Write, workers: &[WorkerInfo]) -> io::Result<()> {
    writeln!(out, "worker   core      tasks         busy")?;
    for WorkerInfo { id, core, tasks_run, busy_time, .. } in workers {
        let core = core.map_or("any".into(), |core| core.to_string());
        let busy = busy_time.map_or("?".into(), short);
        writeln!(out, "{:<6} {core:>6} {tasks_run:>10} {busy:>12}", id.index())?;
    }
    Ok(())
}

fn short(time: Duration) -> String {
    format!("{time:>12.1?}")
}

/// Writes to stdout. A write error, such as a closed pipe, is returned and does not panic.
fn show(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    write(&mut io::stdout().lock()).map_err(other)
}

fn other(why: impl Display) -> Failure {
    Failure::Other(why.to_string())
}
