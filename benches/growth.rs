//! Costs that must not grow: they were once proportional to the number of workers or of waiting
//! tasks.
//!
//! ```text
//! cargo bench --bench growth                     all rows: about half a minute
//! cargo bench --bench growth -- --quick poll     smaller ones, and of these one row
//! ```
//!
//! Each row is measured in pools of 2, 64 and 192 workers. Waiting tasks keep all workers busy, so
//! only the calls themselves are measured, however few cores there are. The figures in a row should
//! be about equal, except for the metrics, which have a line for each worker. The longest cancel is
//! only meaningful on a quiet machine; elsewhere it shows how long the thread lost its core.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use corepool::{Pinning, TaskHandle, WhenFull, WorkerPool};

const WORKERS: [usize; 3] = [2, 64, 192];

/// A name, what is measured, and the function that measures it. `many` is the size of the largest
/// run.
struct Row {
    name: &'static str,
    of: &'static str,
    measure: fn(&Busy, usize) -> Duration,
    many: usize,
    bounded: bool,
}

const ROWS: [Row; 7] = [
    Row {
        name: "line",
        of: "a future that leaves the line for room",
        measure: leave_line,
        many: 160_000,
        bounded: true,
    },
    Row {
        name: "cancel",
        of: "a cancel of a queued task, newest first",
        measure: cancel_all,
        many: 1_000_000,
        bounded: false,
    },
    Row {
        name: "longest",
        of: "the longest of those cancels",
        measure: longest_cancel,
        many: 1_000_000,
        bounded: false,
    },
    Row {
        name: "dead",
        of: "a spawn and a cancel, again and again",
        measure: spawn_and_cancel,
        many: 200_000,
        bounded: false,
    },
    Row {
        name: "oldest",
        of: "a spawn that displaces the oldest task",
        measure: displace,
        many: 50_000,
        bounded: true,
    },
    Row {
        name: "metrics",
        of: "a reading of the metrics",
        measure: read_metrics,
        many: 200,
        bounded: false,
    },
    Row {
        name: "poll",
        of: "a poll of a pending handle",
        measure: poll_pending,
        many: 500_000,
        bounded: false,
    },
];

/// A pool whose workers are all blocked in tasks.
struct Busy {
    pool: WorkerPool,
    tasks: Vec<TaskHandle<()>>,
    gates: Vec<mpsc::Sender<()>>,
}

impl Busy {
    fn new(workers: usize, bounded: bool) -> Self {
        let builder = WorkerPool::builder().workers(workers).pinning(Pinning::None);
        let builder = if bounded {
            builder.queue_capacity(1_000).when_full(WhenFull::DropOldest)
        } else {
            builder
        };
        let pool = builder.build().expect("the system gives that many threads");
        let (mut tasks, mut gates) = (Vec::new(), Vec::new());
        for _ in 0..workers {
            let (gate, is_open) = mpsc::channel::<()>();
            let (begins, has_begun) = mpsc::channel();
            tasks.push(pool.spawn(move || {
                begins.send(()).expect("the bench waits for this");
                let _dropped = is_open.recv();
            }));
            has_begun.recv().expect("a worker is free");
            gates.push(gate);
        }
        Self { pool, tasks, gates }
    }

    fn end(self) {
        drop(self.gates);
        self.tasks.into_iter().for_each(|task| task.join().expect("it only waits"));
        self.pool.shutdown();
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let quick = arguments.iter().any(|word| word == "--quick" || word == "--test");
    let wanted: Vec<_> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    println!("{:<8} {:<45}{:>12}{:>12}{:>12}", "", "workers", WORKERS[0], WORKERS[1], WORKERS[2]);
    for row in &ROWS {
        if !wanted.is_empty() && !wanted.iter().any(|name| *name == row.name) {
            continue;
        }
        let many = if quick { (row.many / 100).max(10) } else { row.many };
        print!("{:<8} {:<45}", row.name, row.of);
        for workers in WORKERS {
            let busy = Busy::new(workers, row.bounded);
            let each = (row.measure)(&busy, many);
            print!("{:>12}", format!("{each:.1?}"));
            busy.end();
        }
        println!();
    }
}

fn shared(time: Duration, many: usize) -> Duration {
    Duration::from_nanos((time.as_nanos() / many as u128) as u64)
}

fn timed(many: usize, act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    shared(start.elapsed(), many)
}

fn leave_line(busy: &Busy, many: usize) -> Duration {
    let filled: Vec<_> = std::iter::from_fn(|| busy.pool.try_spawn(|| ()).ok()).collect();
    let mut context = Context::from_waker(Waker::noop());
    let mut line: Vec<_> = (0..many)
        .map(|_| {
            let mut waits = Box::pin(busy.pool.reserve());
            assert!(waits.as_mut().poll(&mut context).is_pending(), "there is no room");
            waits
        })
        .collect();
    let each = timed(many, || while line.pop().is_some() {});
    drop(filled);
    each
}

fn queued(busy: &Busy, many: usize) -> Vec<TaskHandle<()>> {
    (0..many).map(|_| busy.pool.spawn(|| ())).collect()
}

fn cancel_all(busy: &Busy, many: usize) -> Duration {
    let handles = queued(busy, many);
    timed(many, || handles.into_iter().rev().for_each(|handle| assert!(handle.cancel())))
}

fn longest_cancel(busy: &Busy, many: usize) -> Duration {
    let mut longest = Duration::ZERO;
    for handle in queued(busy, many).into_iter().rev() {
        let start = Instant::now();
        assert!(handle.cancel());
        longest = longest.max(start.elapsed());
    }
    longest
}

fn spawn_and_cancel(busy: &Busy, many: usize) -> Duration {
    timed(many, || {
        for _ in 0..many {
            assert!(busy.pool.spawn(|| ()).cancel());
        }
    })
}

fn displace(busy: &Busy, many: usize) -> Duration {
    let filled: Vec<_> = std::iter::from_fn(|| busy.pool.try_spawn(|| ()).ok()).collect();
    let each = timed(many, || (0..many).for_each(|_| busy.pool.spawn(|| ()).detach()));
    assert!(filled.into_iter().all(|task| task.is_finished()) || many < 1_000);
    each
}

fn read_metrics(busy: &Busy, many: usize) -> Duration {
    timed(many, || (0..many).for_each(|_| drop(black_box(busy.pool.metrics()))))
}

fn poll_pending(busy: &Busy, many: usize) -> Duration {
    let mut handle = pin!(busy.pool.spawn(|| ()));
    let mut context = Context::from_waker(Waker::noop());
    let each = timed(many, || {
        for _ in 0..many {
            assert!(matches!(handle.as_mut().poll(&mut context), Poll::Pending));
        }
    });
    handle.cancel();
    each
}
