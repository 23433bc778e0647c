//! What corepool does in each row.

use crate::rows::{
    BATCH, BROADCASTS, CHEAP, FIB, HEAVY, SCOPE, SKEWED, SLEEPING, SMALL, SUBMITTERS, TASKS, TREE,
};
use crate::stage::{self, Pool, TaskHandle, corepool, work};

/// A pool that lives as long as the program.
pub fn pool(workers: usize) -> &'static Pool {
    let pool = Pool::builder().workers(workers).build().expect("a pool with that many workers");
    Box::leak(Box::new(pool))
}

pub fn fib(pool: &'static Pool) {
    pool.install(|| fib_of(FIB.0));
}

fn fib_of(n: u32) -> u64 {
    work(FIB.1);
    if n < 2 {
        return n.into();
    }
    let (a, b) = corepool::join(|| fib_of(n - 1), || fib_of(n - 2));
    a + b
}

pub fn tree(pool: &'static Pool) {
    pool.install(|| tree_of(pool, TREE.0));
}

fn tree_of(pool: &'static Pool, depth: u32) {
    if depth == 0 {
        work(TREE.1);
        return;
    }
    let right = pool.spawn(move || tree_of(pool, depth - 1));
    tree_of(pool, depth - 1);
    right.join().expect("a subtree");
}

pub fn loop_cheap(pool: &'static Pool) {
    pool.install(|| pool.for_each(0..CHEAP.0, |_| work(CHEAP.1)));
}

pub fn loop_heavy(pool: &'static Pool) {
    pool.install(|| pool.for_each(0..HEAVY.0, |_| work(HEAVY.1)));
}

pub fn loop_guest(pool: &'static Pool) {
    pool.for_each(0..HEAVY.0, |_| work(HEAVY.1));
}

pub fn loop_skewed(pool: &'static Pool) {
    let (count, short, long) = SKEWED;
    let item = |at: usize| work(if at % 100 == 0 { long } else { short });
    pool.install(|| pool.for_each(0..count, item));
}

pub fn loop_sleeping(pool: &'static Pool) {
    pool.install(|| pool.for_each(0..SLEEPING.0, |_| stage::sleep(SLEEPING.1)));
}

pub fn scope(pool: &'static Pool) {
    pool.install(|| {
        pool.scope(|scope| {
            for _ in 0..SCOPE.0 {
                scope.spawn(|| work(SCOPE.1));
            }
        });
    });
}

pub fn batch(pool: &'static Pool) {
    for result in pool.spawn_batch((0..BATCH.0).map(|_| || work(BATCH.1))) {
        result.expect("an item");
    }
}

pub fn burst_small(pool: &'static Pool) {
    join_all(spawned(pool, SMALL));
}

pub fn burst(pool: &'static Pool) {
    join_all(spawned(pool, TASKS));
}

pub fn burst_of_8(pool: &'static Pool) {
    let (count, each) = TASKS;
    let submitters: Vec<_> = (0..SUBMITTERS)
        .map(|_| stage::start(move || join_all(spawned(pool, (count / SUBMITTERS, each)))))
        .collect();
    for submitter in submitters {
        submitter.join().expect("a submitter");
    }
}

pub fn inside(pool: &'static Pool) {
    pool.install(|| join_all(spawned(pool, TASKS)));
}

pub fn inside_small(pool: &'static Pool) {
    pool.install(|| join_all(spawned(pool, SMALL)));
}

pub fn all(pool: &'static Pool) {
    corepool::promise::all(spawned(pool, TASKS)).join().expect("all of them");
}

pub fn broadcast(pool: &'static Pool) {
    for _ in 0..BROADCASTS.0 {
        for result in pool.broadcast(|_| work(BROADCASTS.1)) {
            result.expect("a worker's part");
        }
    }
}

fn spawned(pool: &'static Pool, (count, each): (usize, u64)) -> Vec<TaskHandle<()>> {
    (0..count).map(|_| pool.spawn(move || work(each))).collect()
}

fn join_all(tasks: Vec<TaskHandle<()>>) {
    for task in tasks {
        task.join().expect("a task");
    }
}
