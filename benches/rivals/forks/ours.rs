//! `corepool`: `join` inside `install`, and from outside as a guest (a thread that is not a worker,
//! but takes part).

#![forbid(unsafe_code)]

use corepool::WorkerPool;

use super::{ForkJoin, LEAF, Tree, multiply_leaf, workloads};

struct Ours(WorkerPool);

pub(crate) fn start(threads: usize) -> Box<dyn ForkJoin> {
    Box::new(Ours(WorkerPool::with_workers(threads).expect("a pool of a few workers")))
}

workloads!([], corepool::join);

impl ForkJoin for Ours {
    fn fib(&self, n: u64) -> u64 {
        self.0.install(|| fib(n))
    }

    /// The pool is named once. Below that, the free function finds it.
    fn fib_from_outside(&self, n: u64) -> u64 {
        let (a, b) = self.0.join(|| fib(n - 1), || fib(n - 2));
        a + b
    }

    fn sum(&self, tree: &Tree) -> u64 {
        self.0.install(|| sum(tree))
    }

    fn sort(&self, numbers: &mut [u64]) {
        self.0.install(|| sort(numbers));
    }

    fn multiply(&self, product: &mut [f64], left: &[f64], right: &[f64]) {
        self.0.install(|| multiply(product, left, right));
    }

    fn scope(&self, places: &mut [u64]) {
        self.0.scope(|scope| {
            for place in places {
                scope.spawn(|| *place += 1);
            }
        });
    }
}
