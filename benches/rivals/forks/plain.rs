//! No pool: one half after the other.

#![forbid(unsafe_code)]

use super::{ForkJoin, LEAF, Tree, multiply_leaf, workloads};

struct Plain;

pub(crate) fn start(_threads: usize) -> Box<dyn ForkJoin> {
    Box::new(Plain)
}

/// Inlined, so that only plain recursion is left.
#[inline(always)]
fn both<A, B>(a: impl FnOnce() -> A, b: impl FnOnce() -> B) -> (A, B) {
    (a(), b())
}

workloads!([], both);

impl ForkJoin for Plain {
    fn fib(&self, n: u64) -> u64 {
        fib(n)
    }

    fn fib_from_outside(&self, n: u64) -> u64 {
        fib(n)
    }

    fn sum(&self, tree: &Tree) -> u64 {
        sum(tree)
    }

    fn sort(&self, numbers: &mut [u64]) {
        sort(numbers);
    }

    fn multiply(&self, product: &mut [f64], left: &[f64], right: &[f64]) {
        multiply(product, left, right);
    }

    fn scope(&self, places: &mut [u64]) {
        places.iter_mut().for_each(|place| *place += 1);
    }
}
