//! The fork-join contestants, one module each, with the same workloads written in each contestant's
//! own way.

#![forbid(unsafe_code)]

#[macro_use]
mod workloads;

mod chili_crate;
mod ours;
mod plain;
mod rayon_join;

use crate::support::interleave::Contestant;
use crate::support::rival::{self, Role};
pub(crate) use workloads::{LEAF, Tree, multiply_leaf};

/// A running pool. All methods except two run where the pool works best: on a worker, if there is a
/// way to get there. Dropping the pool ends its threads.
pub(crate) trait ForkJoin {
    /// The Fibonacci number with two calls per number, without a cutoff.
    fn fib(&self, n: u64) -> u64;

    /// The same, called as a thread that is not a worker would call it.
    fn fib_from_outside(&self, n: u64) -> u64;

    fn sum(&self, tree: &Tree) -> u64;

    fn sort(&self, numbers: &mut [u64]);

    /// Adds the product of two matrices to the first. `workloads` describes their layout.
    fn multiply(&self, product: &mut [f64], left: &[f64], right: &[f64]);

    /// From outside: a scope with one closure for each place. The closure adds one to its place.
    fn scope(&self, places: &mut [u64]);
}

/// A pool that can be started with a given number of working threads.
pub(crate) struct Forker {
    name: &'static str,
    role: Role,
    pub(crate) has_scope: bool,
    start: fn(usize) -> Box<dyn ForkJoin>,
}

impl Forker {
    /// Measures this pool while no other is alive.
    pub(crate) fn alone<R>(&self, threads: usize, measure: impl FnOnce(&dyn ForkJoin) -> R) -> R {
        let start = || {
            let pool = (self.start)(threads);
            assert_eq!(pool.fib(16), 987, "the warm-up of {}", self.name);
            pool
        };
        rival::alone(start, |pool| measure(pool.as_ref()))
    }
}

impl Contestant for Forker {
    fn name(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.role
    }
}

/// All contestants.
pub(crate) fn all() -> Vec<Forker> {
    let entry = |name, role, has_scope, start| Forker { name, role, has_scope, start };
    vec![
        entry("plain", Role::Baseline, true, plain::start),
        entry("corepool", Role::Ours, true, ours::start),
        entry("rayon", Role::Pool, true, rayon_join::start),
        entry("chili", Role::Pool, false, chili_crate::start),
    ]
}
