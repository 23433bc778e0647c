//! Scopes that stay open for a long time. `tests/allocations.rs` counts what they cost in memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corepool::{Scope, WorkerPool};

use super::{everywhere, work};
use crate::support::{PATIENCE, within};

/// The number of light closures in a chain. Under chaos each takes much longer.
const LIGHT: usize = if cfg!(any(corepool_chaos, corepool_tsan)) { 10_000 } else { 30_000 };

/// Each closure spawns the next one, so there are never more than one or two.
fn chain<'scope, 'env>(
    s: &'scope Scope<'scope, 'env>,
    left: usize,
    time: Duration,
    runs: &'scope AtomicUsize,
) {
    runs.fetch_add(1, Ordering::Relaxed);
    if left > 0 {
        s.spawn(move || chain(s, left - 1, time, runs));
    }
    work(time);
}

#[test]
fn a_long_chain_of_light_closures_needs_no_stack() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let runs = AtomicUsize::new(0);
            pool.scope(|s| chain(s, LIGHT, Duration::ZERO, &runs));
            assert_eq!(runs.into_inner(), LIGHT + 1);
        });
    });
}

/// Case 35. While one link runs, another thread takes the next one and then waits for the link
/// after it.
#[test]
fn a_long_chain_of_heavy_closures_needs_no_stack() {
    within(PATIENCE * 3, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let runs = AtomicUsize::new(0);
        pool.scope(|s| chain(s, 50_000, Duration::from_micros(20), &runs));
        assert_eq!(runs.into_inner(), 50_001);
    });
}

#[test]
fn a_scope_takes_closures_in_rounds() {
    within(PATIENCE, || {
        everywhere(|pool| {
            let sum = pool.scope(|s| {
                let mut sum = 0;
                for round in 0..300_u64 {
                    let handles: Vec<_> =
                        (0..round).map(|number| s.spawn(move || number)).collect();
                    // Some stay on the list behind those that have run.
                    for handle in handles.into_iter().skip(1) {
                        sum += handle.join().unwrap();
                    }
                }
                sum
            });
            assert_eq!(sum, (0..300).map(|n: u64| n * n.saturating_sub(1) / 2).sum());
        });
    });
}
