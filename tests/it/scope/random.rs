//! Random programs in a scope: which closures are spawned where, and what becomes of their handles.
//! A seed repeats a program.

use std::mem;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use corepool::parallel::ScopedHandle;
use corepool::{Scope, WorkerPool};
use fastrand::Rng;

use super::{SOME_TIME, WORKERS, work};
use crate::support::{Dropping, Drops, PATIENCE, within};

/// What all parts of a program share.
struct Program<'p> {
    pool: &'p WorkerPool,
    /// How many closures may still be spawned.
    left: AtomicUsize,
    spawned: AtomicUsize,
    runs: AtomicUsize,
    /// Tokens made: one for each closure, and one for its result or payload.
    made: AtomicUsize,
    drops: Drops,
    /// How many handles were forgotten. Their results and payloads are leaked if they were made
    /// afterwards.
    forgotten: AtomicUsize,
    joined_panics: AtomicUsize,
    panics: AtomicUsize,
    may_forget: bool,
}

impl Program<'_> {
    fn token(&self) -> Dropping {
        self.made.fetch_add(1, Ordering::SeqCst);
        self.drops.token()
    }

    fn take_one(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }
}

/// Runs some steps of a body or a closure.
fn steps<'scope, 'env>(
    program: &'env Program<'env>,
    s: &'scope Scope<'scope, 'env>,
    mut random: Rng,
) {
    let mut kept: Vec<ScopedHandle<'scope, Dropping>> = Vec::new();
    for _ in 0..random.usize(..12) {
        match random.u32(..12) {
            0 => work(SOME_TIME / 10),
            1 if !kept.is_empty() => join(program, kept.swap_remove(random.usize(..kept.len()))),
            2 => {
                let (a, b) = (random.fork(), random.fork());
                program.pool.join(|| steps(program, s, a), || steps(program, s, b));
            }
            3 => {
                let inside = random.fork();
                program.pool.scope(|inner| steps(program, inner, inside));
            }
            4 => {
                let seed = random.u64(..);
                let item = |number| steps(program, s, Rng::with_seed(seed ^ number));
                program.pool.for_each(0..random.u64(..5), item);
            }
            _ => {
                let Some(handle) = spawn(program, s, &mut random) else { return };
                match random.u32(..8) {
                    0 | 1 => join(program, handle),
                    2 if program.may_forget => {
                        program.forgotten.fetch_add(1, Ordering::SeqCst);
                        mem::forget(handle);
                    }
                    3 | 4 => kept.push(handle),
                    _ => drop(handle),
                }
            }
        }
    }
}

fn spawn<'scope, 'env>(
    program: &'env Program<'env>,
    s: &'scope Scope<'scope, 'env>,
    random: &mut Rng,
) -> Option<ScopedHandle<'scope, Dropping>> {
    if !program.take_one() {
        return None;
    }
    program.spawned.fetch_add(1, Ordering::SeqCst);
    let captured = program.token();
    let panics = random.u32(..40) == 0;
    let inside = random.fork();
    Some(s.spawn(move || {
        let _captured = captured;
        program.runs.fetch_add(1, Ordering::SeqCst);
        steps(program, s, inside);
        let result = program.token();
        if panics {
            program.panics.fetch_add(1, Ordering::SeqCst);
            resume_unwind(Box::new(result));
        }
        result
    }))
}

fn join(program: &Program<'_>, handle: ScopedHandle<'_, Dropping>) {
    if handle.join().is_err() {
        program.joined_panics.fetch_add(1, Ordering::SeqCst);
    }
}

fn run(pool: &WorkerPool, seed: u64, may_forget: bool) {
    let mut random = Rng::with_seed(seed);
    let program = Program {
        pool,
        left: AtomicUsize::new(random.usize(..300)),
        spawned: AtomicUsize::new(0),
        runs: AtomicUsize::new(0),
        made: AtomicUsize::new(0),
        drops: Drops::default(),
        forgotten: AtomicUsize::new(0),
        joined_panics: AtomicUsize::new(0),
        panics: AtomicUsize::new(0),
        may_forget,
    };
    let scope = || pool.scope(|s| steps(&program, s, random.fork()));
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(scope));
    let is_quiet = end.is_ok();
    drop(end);
    let count = |number: &AtomicUsize| number.load(Ordering::SeqCst);
    let spawned = count(&program.spawned);
    assert_eq!(count(&program.runs), spawned, "seed {seed}: all have run");
    let leaked = count(&program.made) - program.drops.count();
    assert!(leaked <= count(&program.forgotten), "seed {seed}: {leaked} were not dropped");
    // A panic ends the scope in which it happened. That may end the enclosing closure, and so on.
    let (panics, joined) = (count(&program.panics), count(&program.joined_panics));
    assert!(is_quiet || panics > 0, "seed {seed}: a panic from nowhere");
    assert!(!is_quiet || panics == 0 || joined > 0, "seed {seed}: nobody was told");
}

#[test]
fn random_programs_run_everything_once_and_drop_everything_once() {
    within(PATIENCE * 3, || {
        for workers in WORKERS {
            let pool = WorkerPool::with_workers(workers).unwrap();
            for seed in 0..60 {
                run(&pool, seed, false);
                pool.install(|| run(&pool, seed + 1_000, false));
            }
        }
    });
}

/// Case 61.
#[test]
fn random_programs_whose_forgotten_handle_at_worst_leaks() {
    within(PATIENCE * 3, || {
        for workers in [1, 2, 8] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            for seed in 0..40 {
                run(&pool, seed, true);
            }
        }
    });
}
