//! Fork-join's contestants: a module each, with the same workloads written the contestant's own
//! way.

#![forbid(unsafe_code)]

#[macro_use]
mod workloads;

mod chili_crate;
mod ours;
mod plain;
mod rayon_join;

use super::interleave::Contestant;
use super::rival::{self, Role};
pub(crate) use workloads::{LEAF, Tree, multiply_leaf};

/// A pool that runs. All methods but two let it work where it works best: on a worker, if it has
/// a way to get there. Dropping it ends its threads.
pub(crate) trait ForkJoin {
    /// The Fibonacci number by two calls a number, without a cutoff.
    fn fib(&self, n: u64) -> u64;

    /// The same, called the way a thread that is no worker would.
    fn fib_from_outside(&self, n: u64) -> u64;

    fn sum(&self, tree: &Tree) -> u64;

    fn sort(&self, numbers: &mut [u64]);

    /// Adds the product of two matrices to the first; `workloads` says how they lie.
    fn multiply(&self, product: &mut [f64], left: &[f64], right: &[f64]);

    /// From outside: a scope with one closure for each place, which adds one to it.
    fn scope(&self, places: &mut [u64]);
}

/// A pool one can start, with so many threads that work.
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
