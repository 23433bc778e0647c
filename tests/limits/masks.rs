//! Which masks the pool sets: pins are the pool's own. They are not inherited, and a pool without
//! pins sets no mask.

use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use corepool::{CancelToken, Pinning, TaskContext, WorkerPool, blocking, unpinned};

use crate::child;
use crate::cores::{confine, confined, forbid, mask};
use crate::support::thread_number;

fn pool_without_pins(workers: usize) -> WorkerPool {
    WorkerPool::builder().workers(workers).pinning(Pinning::None).build().unwrap()
}

/// A pool with pins; `None` where a quota is smaller than the mask.
fn pinned_pool() -> Option<WorkerPool> {
    let named = Pinning::Cores(vec![mask()[0]]);
    let pool = WorkerPool::builder().workers(1).pinning(named).build().unwrap();
    let is_pinned = pool.workers().iter().all(|worker| worker.core.is_some());
    is_pinned.then_some(pool)
}

/// Makes the pool start each kind of thread that it has.
fn start_all_kinds(pool: &WorkerPool) {
    // A spare worker (it stands in for a worker that waits).
    let (tell, told) = mpsc::channel();
    let task = pool.spawn(move || {
        corepool::spawn(move || tell.send(()).unwrap()).detach();
        blocking(|| told.recv().unwrap());
    });
    task.join().unwrap();
    // The next thread of a worker.
    assert!(pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() }).join().is_err());
    // The timer.
    let token = CancelToken::with_timeout(Duration::from_millis(1));
    assert!(token.wait_timeout(Duration::from_secs(60)));
    pool.spawn(|| ()).join().unwrap();
}

#[test]
fn a_pool_without_pins_sets_no_mask() {
    if child::is_child() {
        // This call ends the process.
        forbid(libc::SYS_sched_setaffinity);
        let pool = pool_without_pins(1);
        start_all_kinds(&pool);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn whoever_sets_a_mask_is_found_out() {
    if child::is_child() {
        forbid(libc::SYS_sched_setaffinity);
        let _pool = pinned_pool();
        return;
    }
    let status = child::run_again(|_| {}).status.expect("it does not hang");
    assert!(!status.success(), "a pinned pool sets masks");
}

#[test]
fn a_pool_without_pins_has_the_mask_of_the_thread_that_builds_it() {
    if child::is_child() {
        let all = mask();
        for &core in &all {
            let made = thread::spawn(move || {
                confine(&[core]).unwrap();
                pool_without_pins(2)
            });
            let pool = made.join().unwrap();
            assert_eq!(pool.spawn(mask).join().unwrap(), [core]);
        }
        // A worker that builds a pool does not hand on its pin.
        let Some(outer) = pinned_pool() else { return };
        let inner = outer.spawn(|| pool_without_pins(1)).join().unwrap();
        assert_eq!(inner.spawn(mask).join().unwrap(), all);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn a_mask_that_grows_is_followed() {
    if child::is_child() {
        assert_eq!(mask().len(), 1);
        let pool = pool_without_pins(1);
        let number = pool.spawn(thread_number).join().unwrap();
        let all: Vec<_> = (0..64).collect();
        crate::cores::confine_thread(number, &all).unwrap();
        let grown = pool.spawn(mask).join().unwrap();
        // The next thread of this worker is started by the current one.
        assert!(pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() }).join().is_err());
        assert_eq!(pool.spawn(mask).join().unwrap(), grown);
        return;
    }
    let Some(&core) = mask().first() else { return };
    child::run_again(|command| confined(command, core)).expect_success();
}

/// How many cores a child process sees.
fn cores_of_a_child() -> usize {
    let said = Command::new("nproc").env_remove("OMP_NUM_THREADS").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn what_is_started_unpinned_has_all_cores() {
    if child::is_child() {
        let all = mask();
        let Some(pool) = pinned_pool() else { return };
        let look = || {
            let parallelism = thread::available_parallelism().unwrap().get();
            let of_thread = thread::spawn(mask).join().unwrap();
            (mask(), parallelism, cores_of_a_child(), of_thread)
        };
        let (inside, again, kept) = pool
            .spawn(move || {
                let (is_looking, looks) = mpsc::channel::<()>();
                let inside = unpinned(look);
                let later = unpinned(|| {
                    thread::spawn(move || {
                        looks.recv().unwrap();
                        mask()
                    })
                });
                // The new thread keeps its cores after the worker is pinned again.
                is_looking.send(()).unwrap();
                (inside, look(), later.join().unwrap())
            })
            .join()
            .unwrap();
        let one = all[..1].to_vec();
        assert_eq!(inside, (all.clone(), all.len(), all.len(), all.clone()));
        assert_eq!(again, (one.clone(), 1, 1, one.clone()), "what is said of pins is true");
        assert_eq!(kept, all);
        let panics = pool.spawn(|| unpinned(|| std::panic::resume_unwind(Box::new("no luck"))));
        let panics: Result<(), _> = panics.join();
        assert!(panics.is_err());
        assert_eq!(pool.spawn(mask).join().unwrap(), one);
        return;
    }
    child::run_again(|_| {}).expect_success();
}

#[test]
fn hooks_hand_no_pin_on() {
    if child::is_child() {
        let all = mask();
        let (tell, told) = mpsc::channel();
        let at_exit = tell.clone();
        let look = || (mask(), thread::spawn(mask).join().unwrap());
        let pool = WorkerPool::builder()
            .workers(1)
            .pinning(Pinning::Cores(vec![all[0]]))
            .on_worker_start(move |_| tell.send(look()).unwrap())
            .on_worker_exit(move |_| at_exit.send(look()).unwrap())
            .build()
            .unwrap();
        let core = pool.workers()[0].core;
        assert_eq!(pool.spawn(mask).join().unwrap().len(), core.map_or(all.len(), |_| 1));
        drop(pool);
        let seen: Vec<_> = told.iter().collect();
        assert_eq!(seen, vec![(all.clone(), all); 2]);
        return;
    }
    child::run_again(|_| {}).expect_success();
}
