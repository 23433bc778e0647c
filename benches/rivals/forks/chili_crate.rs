//! chili: a scope is passed down through the halves. The calling thread is one of the working
//! threads.

#![forbid(unsafe_code)]

use std::num::NonZero;

use chili::{Config, Scope, ThreadPool};

use super::{ForkJoin, LEAF, Tree, multiply_leaf, workloads};

struct Chili(ThreadPool);

pub(crate) fn start(threads: usize) -> Box<dyn ForkJoin> {
    let config = Config { thread_count: NonZero::new(threads), ..Config::default() };
    Box::new(Chili(ThreadPool::with_config(config)))
}

workloads!([at: &mut Scope<'_>], at.join);

impl ForkJoin for Chili {
    fn fib(&self, n: u64) -> u64 {
        fib(&mut self.0.scope(), n)
    }

    fn fib_from_outside(&self, n: u64) -> u64 {
        self.fib(n)
    }

    fn sum(&self, tree: &Tree) -> u64 {
        sum(&mut self.0.scope(), tree)
    }

    fn sort(&self, numbers: &mut [u64]) {
        sort(&mut self.0.scope(), numbers);
    }

    fn multiply(&self, product: &mut [f64], left: &[f64], right: &[f64]) {
        multiply(&mut self.0.scope(), product, left, right);
    }

    fn scope(&self, _places: &mut [u64]) {
        unreachable!("chili only joins")
    }
}
