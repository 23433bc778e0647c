//! The workers themselves: their names, where they run, and what the pool reports about them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self, ThreadId};

use corepool::metrics::WorkerState;
use corepool::{
    BuildError, Dispatch, Pinning, PoolBuilder, TaskContext, WorkerId, WorkerInfo, WorkerPool,
};

use crate::held::{hold_all, hold_named};
use crate::support::{PATIENCE, until, within};

/// Runs a closure once on every worker, all at the same time.
fn on_each<T: Send + 'static>(
    pool: &WorkerPool,
    look: impl Fn(WorkerId) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let workers = pool.workers().len();
    let (all, look) = (Arc::new(Barrier::new(workers)), Arc::new(look));
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let (all, look) = (Arc::clone(&all), Arc::clone(&look));
            pool.spawn_with(move |cx: &TaskContext| {
                // No worker takes a second task before each has one.
                all.wait();
                let worker = cx.worker().expect("a worker runs it");
                (worker, look(worker))
            })
        })
        .collect();
    let mut seen: Vec<_> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
    seen.sort_by_key(|(worker, _)| *worker);
    assert!(seen.iter().map(|(worker, _)| worker.index()).eq(0..workers), "each once");
    seen.into_iter().map(|(_, seen)| seen).collect()
}

/// The cores that a thread may run on. Zero means the calling thread; the process's number means
/// its first thread.
#[cfg(target_os = "linux")]
fn mask_of(thread: libc::pid_t) -> Vec<usize> {
    // SAFETY: a set of cores is plain bits, and all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let size = std::mem::size_of_val(&set);
    // SAFETY: the set is ours and has the size that is passed.
    let failed = unsafe { libc::sched_getaffinity(thread, size, &raw mut set) };
    assert_eq!(failed, 0);
    let limit = usize::try_from(libc::CPU_SETSIZE).unwrap();
    // SAFETY: the numbers are below the size of a set.
    (0..limit).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect()
}

#[cfg(target_os = "linux")]
fn own_mask() -> Vec<usize> {
    mask_of(0)
}

#[cfg(target_os = "linux")]
fn process_mask() -> Vec<usize> {
    mask_of(libc::pid_t::try_from(std::process::id()).unwrap())
}

#[test]
fn workers_are_numbered_and_named() {
    within(PATIENCE, || {
        let pool = WorkerPool::builder()
            .workers(3)
            .thread_name(|id| format!("image {id}"))
            .build()
            .unwrap();
        let names = on_each(&pool, |_| thread::current().name().map(str::to_owned));
        let wanted = ["image 0", "image 1", "image 2"];
        assert_eq!(names, wanted.map(|name| Some(name.to_owned())));
        for (index, worker) in pool.workers().into_iter().enumerate() {
            assert_eq!((worker.id.index(), worker.generation), (index, 0));
            assert_eq!(worker.thread_name, wanted[index]);
        }
        let plain = WorkerPool::with_workers(2).unwrap();
        assert_eq!(plain.workers()[1].thread_name, "corepool-1");
    });
}

#[test]
fn a_worker_knows_its_pool_from_others() {
    within(PATIENCE, || {
        let one = Arc::new(WorkerPool::with_workers(1).unwrap());
        let two = WorkerPool::with_workers(1).unwrap();
        assert!(!one.is_current());
        let asks = Arc::clone(&one);
        assert!(one.spawn(move || asks.is_current()).join().unwrap());
        let asks = Arc::clone(&one);
        assert!(!two.spawn(move || asks.is_current()).join().unwrap());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_said_of_cores_is_what_the_kernel_does() {
    within(PATIENCE, || {
        for workers in [1, 2, 5] {
            let pool = WorkerPool::with_workers(workers).unwrap();
            let masks = on_each(&pool, |_| own_mask());
            let all_are_pinned = pool.metrics().let_loose == 0;
            for (worker, mask) in pool.workers().into_iter().zip(masks) {
                match worker.core {
                    _ if !all_are_pinned => assert!(mask.len() == 1 || mask == process_mask()),
                    Some(core) => assert_eq!(mask, [core]),
                    // Where a quota is smaller than the mask no worker is pinned.
                    None => assert_eq!(mask, process_mask()),
                }
            }
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn unpinned_workers_have_all_cores() {
    within(PATIENCE, || {
        let pinned = WorkerPool::builder()
            .workers(1)
            .pinning(Pinning::Cores(vec![process_mask()[0]]))
            .build()
            .unwrap();
        let unpinned = || WorkerPool::builder().workers(2).pinning(Pinning::None).build().unwrap();
        // The second pool is made on a pinned thread, whose mask new threads inherit.
        for pool in [unpinned(), pinned.spawn(unpinned).join().unwrap()] {
            assert!(pool.workers().iter().all(|worker| worker.core.is_none()));
            assert!(on_each(&pool, |_| own_mask()).into_iter().all(|mask| mask == process_mask()));
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn named_cores_are_dealt_in_turn() {
    within(PATIENCE, || {
        let all = process_mask();
        let last = all[all.len() - 1];
        let cases = [
            (vec![all[0]], 3, vec![all[0]; 3]),
            (vec![last, last], 2, vec![last; 2]),
            (vec![last, all[0]], 3, vec![last, all[0], last]),
            (vec![last, all[0]], 1, vec![last]),
        ];
        for (named, workers, wanted) in cases {
            let pool = WorkerPool::builder()
                .workers(workers)
                .pinning(Pinning::Cores(named))
                .build()
                .unwrap();
            let masks = on_each(&pool, |_| own_mask());
            if pool.metrics().let_loose > 0 {
                // The workers that are still pinned have one of the named cores.
                let are_named = masks.iter().flatten().all(|core| [all[0], last].contains(core));
                assert!(are_named, "{masks:?}");
                continue;
            }
            let said = pool.workers().into_iter().map(|worker| worker.core.unwrap());
            assert!(said.eq(wanted.iter().copied()), "{wanted:?}");
            assert!(masks.into_iter().eq(wanted.into_iter().map(|core| vec![core])));
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_core_that_is_not_allowed_is_refused_with_those_that_are() {
    let all = process_mask();
    for foreign in [4000, usize::MAX] {
        let named = Pinning::Cores(vec![all[0], foreign]);
        let error = WorkerPool::builder().workers(1).pinning(named).build().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&foreign.to_string()), "{text}");
        assert!(text.contains(&format!("{all:?}")), "{text}");
        let BuildError::CoreNotAllowed { core, allowed } = error else { panic!("{text}") };
        assert_eq!((core, allowed), (foreign, all.clone()));
    }
    let none = WorkerPool::builder().pinning(Pinning::Cores(vec![])).build().unwrap_err();
    assert!(matches!(none, BuildError::NoCores));
    assert!(none.to_string().contains("at least one core"), "{none}");
}

#[test]
fn more_workers_than_cores_all_work() {
    within(PATIENCE, || {
        for workers in [16, 64] {
            for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
                let pool =
                    WorkerPool::builder().workers(workers).dispatch(dispatch).build().unwrap();
                on_each(&pool, |_| ());
                let ran = Arc::new(AtomicUsize::new(0));
                let tasks: Vec<_> = (0..20_000)
                    .map(|_| {
                        let ran = Arc::clone(&ran);
                        pool.spawn(move || ran.fetch_add(1, Ordering::Relaxed))
                    })
                    .collect();
                assert!(tasks.into_iter().all(|task| task.join().is_ok()));
                assert_eq!(ran.load(Ordering::Relaxed), 20_000);
            }
        }
    });
}

/// What the hooks of a pool saw, and on which thread.
type Seen = Arc<Mutex<Vec<(&'static str, WorkerId, u64, ThreadId)>>>;

fn hooked(workers: usize) -> (PoolBuilder, Seen) {
    let seen = Seen::default();
    let note = |what: &'static str| {
        let seen = Arc::clone(&seen);
        move |worker: &WorkerInfo| {
            let thread = thread::current();
            assert_eq!(thread.name(), Some(worker.thread_name.as_str()));
            seen.lock().unwrap().push((what, worker.id, worker.generation, thread.id()));
        }
    };
    let builder = WorkerPool::builder()
        .workers(workers)
        .on_worker_start(note("start"))
        .on_worker_exit(note("exit"));
    (builder, seen)
}

#[test]
fn hooks_run_once_on_each_worker_thread() {
    within(PATIENCE, || {
        let (builder, seen) = hooked(4);
        let pool = builder.build().unwrap();
        assert_eq!(seen.lock().unwrap().len(), 4, "build waits for the start hooks");
        let threads = on_each(&pool, |_| thread::current().id());
        drop(pool);
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 8);
        for what in ["start", "exit"] {
            let hook = |&&(hook, ..): &&(&str, WorkerId, u64, ThreadId)| hook == what;
            let by_worker: HashMap<_, _> = seen
                .iter()
                .filter(hook)
                .map(|&(_, worker, generation, thread)| (worker, (generation, thread)))
                .collect();
            for (index, &thread) in threads.iter().enumerate() {
                assert_eq!(by_worker[&WorkerId::from(index)], (0, thread), "{what}");
            }
        }
    });
}

#[test]
fn a_replacement_has_the_same_number_and_the_next_generation() {
    within(PATIENCE, || {
        let (builder, seen) = hooked(2);
        let pool = builder.build().unwrap();
        let before = pool.workers();
        let ended = pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() });
        assert!(ended.join().is_err());
        until(|| {
            let workers = pool.workers();
            workers.iter().any(|worker| worker.generation == 1)
                && workers.iter().all(|worker| worker.state != WorkerState::Starting)
        });
        on_each(&pool, |_| ());
        let after = pool.workers();
        let replaced = after.iter().position(|worker| worker.generation == 1).unwrap();
        assert_eq!(after[1 - replaced].generation, 0);
        assert_eq!(after[replaced].id, before[replaced].id);
        let is_loose = pool.metrics().let_loose > 0;
        assert!(after[replaced].core == before[replaced].core || is_loose);
        assert_eq!(after[replaced].thread_name, before[replaced].thread_name);
        drop(pool);
        let seen = seen.lock().unwrap();
        let of_replaced =
            |&&(_, worker, ..): &&(&str, WorkerId, u64, ThreadId)| worker.index() == replaced;
        let told: Vec<_> = seen
            .iter()
            .filter(of_replaced)
            .map(|&(what, _, generation, _)| (what, generation))
            .collect();
        assert_eq!(told, [("start", 0), ("exit", 0), ("start", 1), ("exit", 1)]);
        let threads: Vec<_> = seen.iter().filter(of_replaced).map(|seen| seen.3).collect();
        assert!(threads[0] == threads[1] && threads[2] == threads[3]);
        assert_ne!(threads[0], threads[2], "the new one is a thread of its own");
    });
}

#[test]
fn tasks_run_are_counted_over_all_generations() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        for _ in 0..10 {
            pool.spawn(|| ()).join().unwrap();
        }
        let ended = pool.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() });
        assert!(ended.join().is_err());
        pool.spawn(|| ()).join().unwrap();
        let worker = pool.workers().remove(0);
        assert_eq!((worker.generation, worker.tasks_run), (1, 12));
    });
}

#[test]
fn a_worker_shows_what_it_does() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        until(|| pool.workers().iter().all(|worker| worker.state == WorkerState::Parked));
        assert!(pool.workers().iter().all(|worker| worker.running.is_none()));
        let named = hold_named(&pool, "thumbnail 17");
        let runs = |worker: &WorkerInfo| worker.running.as_deref() == Some("thumbnail 17");
        let workers = pool.workers();
        let busy: Vec<_> = workers.iter().filter(|worker| runs(worker)).collect();
        assert_eq!(busy.len(), 1);
        assert_eq!(busy[0].state, WorkerState::Active);
        let idle = workers.iter().find(|worker| !runs(worker)).unwrap();
        assert!(matches!(idle.state, WorkerState::Parked | WorkerState::Idle), "{idle:?}");
        named.release();
        until(|| pool.workers().iter().all(|worker| worker.state == WorkerState::Parked));
        assert!(pool.workers().iter().all(|worker| worker.running.is_none()));
        pool.shutdown();
        assert!(pool.workers().iter().all(|worker| worker.state == WorkerState::Exited));
    });
}

#[test]
fn a_nameless_task_is_shown_by_its_type() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let asks = Arc::clone(&pool);
        let shown = pool.spawn(move || asks.workers().remove(0).running).join().unwrap().unwrap();
        assert!(shown.contains("workers::a_nameless_task_is_shown_by_its_type"), "{shown}");
    });
}

#[test]
fn a_task_run_in_place_does_not_hide_the_one_that_waits() {
    within(PATIENCE, || {
        let pool = Arc::new(WorkerPool::with_workers(1).unwrap());
        let asks = Arc::clone(&pool);
        let outer = pool.task().name("outer").spawn(move || {
            let inside = Arc::clone(&asks);
            let inner = asks.task().name("inner").spawn(move || inside.workers().remove(0).running);
            let during = inner.join().unwrap();
            let info = asks.workers().remove(0);
            (during, info.running, info.state)
        });
        let (during, after, state) = outer.join().unwrap();
        assert!(during.is_some(), "the worker runs something");
        assert_eq!((after.as_deref(), state), (Some("outer"), WorkerState::Active));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn busy_time_is_the_time_of_the_thread() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(2).unwrap();
        let held = hold_all(&pool);
        let before: Vec<_> = pool.workers().iter().map(|worker| worker.busy_time).collect();
        assert!(before.iter().all(Option::is_some), "Linux tells");
        held.into_iter().for_each(crate::held::Held::release);
        let works = pool.spawn_with(|cx: &TaskContext| {
            let mut steps = 0_u64;
            (0..20_000_000_u64).for_each(|n| steps = std::hint::black_box(steps + n));
            cx.worker().unwrap()
        });
        let worked = works.join().unwrap().index();
        assert!(pool.workers()[worked].busy_time > before[worked]);
    });
}

#[test]
fn hooks_may_spawn_and_join() {
    within(PATIENCE, || {
        let (told, hears) = std::sync::mpsc::channel();
        let at_exit = told.clone();
        let pool = WorkerPool::builder()
            .workers(2)
            .on_worker_start(move |_| told.send(corepool::spawn(|| 1).join().ok()).unwrap())
            .on_worker_exit(move |_| at_exit.send(corepool::spawn(|| 2).join().ok()).unwrap())
            .build()
            .unwrap();
        pool.shutdown();
        assert!(pool.is_closed());
        drop(pool);
        let heard: Vec<_> = hears.iter().collect();
        assert_eq!(heard, [Some(1), Some(1), None, None], "at the end the pool is closed");
    });
}

#[test]
fn a_task_run_in_place_that_ends_its_worker_does_end_it() {
    within(PATIENCE, || {
        let pool = WorkerPool::with_workers(1).unwrap();
        let outer = pool.spawn(|| {
            let ends = corepool::spawn(|| 1);
            assert_eq!(ends.join().unwrap(), 1, "in place, as nobody else is there");
            thread::current().id()
        });
        let first = outer.join().unwrap();
        let inner = Arc::new(pool);
        let spawns = Arc::clone(&inner);
        let outer = inner.spawn(move || {
            let ends = spawns.spawn_with(|cx: &TaskContext| -> () { cx.end_worker() });
            ends.join().is_err()
        });
        // The waiting task goes on or is lost with its thread, but the thread is not used again.
        let _either = outer.join();
        let next = inner.spawn(|| thread::current().id()).join().unwrap();
        assert_ne!(next, first, "a task said that this thread is spoilt");
    });
}
