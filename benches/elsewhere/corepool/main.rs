//! corepool's side of the comparison with other languages; `benches/elsewhere/run.sh` runs it.
//!
//! ```text
//! elsewhere WAY JOB WORKERS    one warm-up, one measured run: prints nanoseconds and the result
//! elsewhere --test             checks that every way gives the results of the plain calls
//! ```
//!
//! WAY is `plain`, `loops` (the form to write first) or `scopes`. The other languages have the same
//! jobs, in the same words, beside this folder.

#![forbid(unsafe_code)]

mod jobs;
mod loops;
mod plain;
mod scopes;

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use corepool::WorkerPool;

const JOBS: [&str; 5] = ["fib", "queens", "tree", "sort", "loop"];

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--test"] => test(),
        [way, job, workers] => {
            let pool = pool(workers.parse().expect("WORKERS is a number"));
            // The first run warms up.
            run(&pool, way, job);
            let (nanoseconds, result) = run(&pool, way, job);
            println!("{nanoseconds} {result}");
        }
        // `cargo bench` runs every bench, with options that are meant for the others.
        ref other if other.first().is_none_or(|word| word.starts_with("--")) => {
            println!("benches/elsewhere/run.sh runs this one");
        }
        _ => {
            eprintln!("usage: elsewhere WAY JOB WORKERS");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn pool(workers: usize) -> WorkerPool {
    WorkerPool::with_workers(workers).expect("a pool of a few workers")
}

/// Runs a job once: how many nanoseconds it took, and its result.
fn run(pool: &WorkerPool, way: &str, job: &str) -> (u128, u64) {
    if job == "sort" {
        return run_sort(pool, way);
    }
    let function = match (way, job) {
        ("plain", "fib") => plain::fib,
        ("plain", "queens") => plain::queens,
        ("plain", "tree") => plain::tree,
        ("plain", "loop") => plain::uneven_loop,
        ("loops", "fib") => loops::fib,
        ("loops", "queens") => loops::queens,
        ("loops", "tree") => loops::tree,
        ("loops", "loop") => loops::uneven_loop,
        ("scopes", "queens") => scopes::queens,
        ("scopes", "tree") => scopes::tree,
        _ => panic!("no job {job:?} by way of {way:?}"),
    };
    // On a worker, so that as many threads compute as the pool has workers.
    measure(|| pool.install(function))
}

/// Filling the numbers and checking their order are not measured.
fn run_sort(pool: &WorkerPool, way: &str) -> (u128, u64) {
    let mut numbers = jobs::numbers();
    let sort = match way {
        "plain" => plain::sort,
        "loops" => loops::sort,
        _ => panic!("no job \"sort\" by way of {way:?}"),
    };
    let (nanoseconds, ()) = measure(|| pool.install(|| sort(&mut numbers)));
    (nanoseconds, jobs::digest(&numbers))
}

fn measure<R>(job: impl FnOnce() -> R) -> (u128, R) {
    let start = Instant::now();
    let result = job();
    (start.elapsed().as_nanos(), result)
}

fn test() {
    let pool = pool(2);
    for job in JOBS {
        let (_, expected) = run(&pool, "plain", job);
        assert_eq!(run(&pool, "loops", job).1, expected, "{job} by loops and joins");
        if matches!(job, "queens" | "tree") {
            assert_eq!(run(&pool, "scopes", job).1, expected, "{job} by scopes");
        }
        println!("{job}: every result is right");
    }
}
