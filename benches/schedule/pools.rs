//! The two pools, and the operations that the rows need from them.

#![forbid(unsafe_code)]

use std::ops::Range;
use std::sync::mpsc;

use corepool::WorkerPool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A running pool. Unless noted, each method may be called from its workers and from any other
/// thread.
pub(crate) trait Pool: Sync + Sized {
    /// Starts the pool. Returns when each of its threads has run something.
    fn start(workers: usize) -> Self;

    fn on_worker<R: Send>(&self, op: impl FnOnce() -> R + Send) -> R;

    fn join<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B);

    fn each(&self, items: Range<usize>, item: impl Fn(usize) + Send + Sync);

    /// A scope whose body spawns this many closures of one type.
    fn scope(&self, closures: usize, closure: impl Fn(usize) + Send + Sync);

    /// A scope whose body is a loop. Each item of the loop spawns a closure into the scope.
    fn scope_fed_by_a_loop(&self, closures: usize, closure: impl Fn(usize) + Send + Sync);

    /// Spawns `task`, then joins two closures: one that waits for the task, and `beside`. For
    /// workers only.
    fn join_a_task(&self, task: fn(), beside: fn());

    /// Computes a Fibonacci number with a join at every node. For workers only.
    fn fib(n: u64) -> u64;
}

pub(crate) struct Ours(WorkerPool);

impl Pool for Ours {
    fn start(workers: usize) -> Self {
        let pool = WorkerPool::with_workers(workers).expect("a pool");
        pool.broadcast(|_| ()).for_each(drop);
        Self(pool)
    }

    fn on_worker<R: Send>(&self, op: impl FnOnce() -> R + Send) -> R {
        self.0.install(op)
    }

    fn join<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        self.0.join(a, b)
    }

    fn each(&self, items: Range<usize>, item: impl Fn(usize) + Send + Sync) {
        self.0.for_each(items, item);
    }

    fn scope(&self, closures: usize, closure: impl Fn(usize) + Send + Sync) {
        let closure = &closure;
        self.0.scope(|scope| {
            for at in 0..closures {
                scope.spawn(move || closure(at));
            }
        });
    }

    fn scope_fed_by_a_loop(&self, closures: usize, closure: impl Fn(usize) + Send + Sync) {
        let closure = &closure;
        self.0.scope(|scope| {
            self.0.for_each(0..closures, |at| {
                scope.spawn(move || closure(at));
            });
        });
    }

    fn join_a_task(&self, task: fn(), beside: fn()) {
        let task = self.0.spawn(task);
        self.0.join(|| task.join().expect("the task returns"), beside);
    }

    fn fib(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (a, b) = corepool::join(|| Self::fib(n - 1), || Self::fib(n - 2));
        a + b
    }
}

pub(crate) struct Rayon(ThreadPool);

impl Pool for Rayon {
    fn start(workers: usize) -> Self {
        let pool = ThreadPoolBuilder::new().num_threads(workers).build().expect("a pool");
        pool.broadcast(|_| ());
        Self(pool)
    }

    fn on_worker<R: Send>(&self, op: impl FnOnce() -> R + Send) -> R {
        self.0.install(op)
    }

    fn join<A: Send, B: Send>(
        &self,
        a: impl FnOnce() -> A + Send,
        b: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        self.0.join(a, b)
    }

    fn each(&self, items: Range<usize>, item: impl Fn(usize) + Send + Sync) {
        self.0.install(|| items.into_par_iter().for_each(item));
    }

    fn scope(&self, closures: usize, closure: impl Fn(usize) + Send + Sync) {
        let closure = &closure;
        self.0.scope(|scope| {
            for at in 0..closures {
                scope.spawn(move |_| closure(at));
            }
        });
    }

    fn scope_fed_by_a_loop(&self, closures: usize, closure: impl Fn(usize) + Send + Sync) {
        let closure = &closure;
        self.0.scope(|scope| {
            (0..closures).into_par_iter().for_each(|at| scope.spawn(move |_| closure(at)));
        });
    }

    /// rayon has no handle to wait for, so its users need a channel.
    fn join_a_task(&self, task: fn(), beside: fn()) {
        let (done, is_done) = mpsc::channel();
        self.0.spawn(move || {
            task();
            done.send(()).expect("the join below waits for this");
        });
        self.0.join(move || is_done.recv().expect("the task returns"), beside);
    }

    fn fib(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (a, b) = rayon::join(|| Self::fib(n - 1), || Self::fib(n - 2));
        a + b
    }
}
