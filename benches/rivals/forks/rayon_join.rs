//! rayon: `join` inside `install`, and `scope`.

#![forbid(unsafe_code)]

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{ForkJoin, LEAF, Tree, multiply_leaf, workloads};

struct Rayon(ThreadPool);

pub(crate) fn start(threads: usize) -> Box<dyn ForkJoin> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    Box::new(Rayon(pool.expect("a pool of a few threads")))
}

workloads!([], rayon::join);

impl ForkJoin for Rayon {
    fn fib(&self, n: u64) -> u64 {
        self.0.install(|| fib(n))
    }

    /// `ThreadPool::join` would do the same: it installs.
    fn fib_from_outside(&self, n: u64) -> u64 {
        self.fib(n)
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
                scope.spawn(|_| *place += 1);
            }
        });
    }
}
