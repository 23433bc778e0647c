//! Control groups that hold some of the cores, and change while a pool lives: the pool goes on with
//! the cores that are left.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use corepool::{PoolEvent, TaskContext, WorkerPool};

use crate::child;
use crate::cores::mask;
use crate::groups::{Group, set};
use crate::skip::skip;
use crate::support::until;

const FOLDER: &str = "COREPOOL_TEST_FOLDER";

/// A list of cores in the format of the kernel.
fn list(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

/// A group that holds these cores.
fn group_of(name: &str, cores: &[usize]) -> Option<Group> {
    let group = Group::new("cpuset", name)?;
    group.set("cpuset.mems", "0");
    group.set("cpuset.cpus", &list(cores));
    Some(group)
}

/// Case 70.
#[test]
fn in_a_group_of_one_core_there_is_one_worker_and_it_is_there() {
    if child::is_child() {
        let only = mask();
        assert_eq!(only.len(), 1);
        let pool = WorkerPool::new().unwrap();
        let cores: Vec<_> = pool.workers().iter().map(|worker| worker.core).collect();
        assert_eq!(cores, [Some(only[0])]);
        assert_eq!(pool.install(mask), only);
        return;
    }
    for core in mask() {
        let Some(group) = group_of("one", &[core]) else { return };
        child::run_again(|command| group.adopt(command)).expect_success();
    }
}

/// Work that goes on while the cores change, and is counted.
struct Busy {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    driver: thread::JoinHandle<()>,
}

impl Busy {
    fn new(pool: &Arc<WorkerPool>) -> Self {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stops, counts, pool) = (Arc::clone(&stop), Arc::clone(&rounds), Arc::clone(pool));
        let driver = thread::spawn(move || {
            while !stops.load(Ordering::Relaxed) {
                let tasks: Vec<_> = (0..16_u64).map(|n| pool.spawn(move || n)).collect();
                let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
                assert_eq!(sum, 120);
                assert_eq!(pool.map_reduce(0..100_u64, |n| n, |a, b| a + b), Some(4_950));
                counts.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, rounds, driver }
    }

    /// Waits until more work has been done, counted from now.
    fn goes_on(&self) {
        let before = self.rounds.load(Ordering::Relaxed);
        while self.rounds.load(Ordering::Relaxed) < before + 50 {
            assert!(!self.driver.is_finished(), "the work has failed");
            thread::yield_now();
        }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.driver.join().unwrap();
    }
}

/// The masks of all workers' threads, according to the kernel.
fn worker_masks(pool: &WorkerPool) -> BTreeSet<Vec<usize>> {
    pool.broadcast(|_| mask()).map(Result::unwrap).collect()
}

/// Ends the threads of all workers, and waits for their successors.
fn replace_all(pool: &WorkerPool) {
    for worker in 0..pool.worker_count() {
        let before = pool.workers()[worker].generation;
        let ends = |cx: &TaskContext| -> () { cx.end_worker() };
        assert!(pool.task().on_worker(worker).spawn_with(ends).join().is_err());
        // The successor has started once it runs a task.
        pool.task().on_worker(worker).spawn(|| ()).join().unwrap();
        assert!(pool.workers()[worker].generation > before);
    }
}

/// What must hold once the group has shrunk to one core.
fn expect_only(core: usize, pool: &WorkerPool) {
    assert_eq!(worker_masks(pool), BTreeSet::from([vec![core]]), "the kernel moves them");
    // A new pool sees only the cores that are left.
    let new = WorkerPool::with_workers(2).unwrap();
    assert!(new.workers().iter().all(|worker| worker.core == Some(core)));
    assert_eq!(WorkerPool::new().unwrap().worker_count(), 1);
}

/// Case 70.
#[test]
fn a_group_that_shrinks_and_moves_while_a_pool_works() {
    if child::is_child() {
        let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
        let all = mask();
        let (first, last) = (all[0], all[all.len() - 1]);
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        let events = pool.events();
        let cores = || pool.workers().into_iter().map(|worker| worker.core).collect::<Vec<_>>();
        let at_first = cores();
        assert!(at_first.iter().all(Option::is_some));
        let busy = Busy::new(&pool);
        busy.goes_on();
        for core in [first, last, first] {
            set(&folder, "cpuset.cpus", &list(&[core]));
            busy.goes_on();
            expect_only(core, &pool);
        }
        // Where other programs occupy a core, its worker is let loose meanwhile (unpinned so that
        // it can run elsewhere), and has no core.
        let are_pinned = || pool.metrics().let_loose == 0;
        // A worker that goes to sleep finds that it is on another core, and moves.
        until(|| cores() == [Some(first); 2] || !are_pinned());
        // A new thread asks for the core of its place, and is told which core it really got.
        replace_all(&pool);
        let mut now = cores();
        now.sort_unstable();
        assert!(now == [Some(first); 2] || !are_pinned(), "{now:?}");
        let has_moved = |event: PoolEvent| match event {
            PoolEvent::WorkerMoved { from, to, .. } => (from, to) == (last, first),
            _ => false,
        };
        assert!(events.receiver().try_iter().any(has_moved), "and an event says so");
        busy.goes_on();
        // With all cores available again, new threads are on their own cores.
        set(&folder, "cpuset.cpus", &list(&all));
        replace_all(&pool);
        assert!(cores().iter().all(Option::is_some) || !are_pinned());
        busy.goes_on();
        busy.end();
        return;
    }
    let all = mask();
    if all.len() < 2 {
        return skip("there is only one core");
    }
    let Some(group) = group_of("shrinks", &[all[0], all[all.len() - 1]]) else { return };
    let ended = child::run_again(|command| {
        group.adopt(command);
        command.env(FOLDER, group.folder());
    });
    ended.expect_success();
}

/// Case 70.
#[test]
fn a_process_that_is_moved_between_groups_while_a_pool_works() {
    if child::is_child() {
        let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
        let pool = Arc::new(WorkerPool::with_workers(2).unwrap());
        let busy = Busy::new(&pool);
        busy.goes_on();
        set(&folder, "cgroup.procs", &process::id().to_string());
        busy.goes_on();
        assert_eq!(mask().len(), 1);
        expect_only(mask()[0], &pool);
        busy.end();
        return;
    }
    let all = mask();
    if all.len() < 2 {
        return skip("there is only one core");
    }
    let Some(wide) = group_of("wide", &[all[0], all[all.len() - 1]]) else { return };
    let Some(narrow) = group_of("narrow", &all[all.len() - 1..]) else { return };
    let ended = child::run_again(|command| {
        wide.adopt(command);
        command.env(FOLDER, narrow.folder());
    });
    ended.expect_success();
}
