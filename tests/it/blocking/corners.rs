//! Corner cases of lending a core to a spare worker (a stand-in for a worker that waits): on close,
//! after a spare worker's thread ends, and when all spare workers are taken. Each of these once
//! failed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use corepool::{Dispatch, TaskContext, WorkerPool, blocking};

use crate::support::{PATIENCE, thread_number, until, until_asleep, within};

fn pool(workers: usize, spares: usize, dispatch: Dispatch) -> Arc<WorkerPool> {
    let builder = WorkerPool::builder().workers(workers).spare_workers(spares).dispatch(dispatch);
    Arc::new(builder.build().unwrap())
}

#[test]
fn a_workers_own_task_is_done_for_it_though_the_pool_is_closed() {
    within(PATIENCE, || {
        let pool = pool(1, 4, Dispatch::FreeWorker);
        let (inner, (sender, receiver)) = (Arc::clone(&pool), mpsc::channel());
        let waits = pool.spawn(move || {
            inner.task().on_worker(0).spawn(move || sender.send(1).unwrap()).detach();
            inner.close();
            blocking(|| receiver.recv().unwrap())
        });
        assert_eq!(waits.join().unwrap(), 1);
    });
}

#[test]
fn a_task_that_was_dealt_to_it_too() {
    within(PATIENCE, || {
        let pool = pool(1, 4, Dispatch::RoundRobin);
        let (inner, (sender, receiver)) = (Arc::clone(&pool), mpsc::channel());
        let waits = pool.spawn(move || {
            inner.spawn(move || sender.send(1).unwrap()).detach();
            inner.close();
            blocking(|| receiver.recv().unwrap())
        });
        assert_eq!(waits.join().unwrap(), 1);
    });
}

#[test]
fn the_end_of_the_spare_workers_thread_leaves_no_own_task_behind() {
    within(PATIENCE, || {
        for dispatch in [Dispatch::FreeWorker, Dispatch::RoundRobin] {
            let pool = pool(1, 4, dispatch);
            let (inner, (sender, receiver)) = (Arc::clone(&pool), mpsc::channel());
            let waits = pool.spawn(move || {
                let ends = |cx: &TaskContext| cx.end_worker();
                inner.task().on_worker(0).spawn_with::<_, ()>(ends).detach();
                inner.task().on_worker(0).spawn(move || sender.send(1).unwrap()).detach();
                blocking(|| receiver.recv().unwrap())
            });
            assert_eq!(waits.join().unwrap(), 1);
        }
    });
}

#[test]
fn a_spare_worker_that_is_free_again_goes_to_who_waits_for_one() {
    within(PATIENCE, || {
        let pool = pool(2, 1, Dispatch::FreeWorker);
        let (go, first_waits) = mpsc::channel::<()>();
        let (go_on, spare_waits) = mpsc::channel::<()>();
        let (inside, is_inside) = mpsc::channel::<()>();
        let first = pool.task().on_worker(0);
        let first = first.spawn(move || blocking(|| first_waits.recv().unwrap()));
        let holds_spare = pool.task().on_worker(0).spawn(move || {
            inside.send(()).unwrap();
            spare_waits.recv().unwrap();
        });
        is_inside.recv().unwrap();
        let (inner, (sender, receiver)) = (Arc::clone(&pool), mpsc::channel());
        let (lends, is_lending) = mpsc::channel();
        let second = pool.task().on_worker(1).spawn(move || {
            inner.task().on_worker(1).spawn(move || sender.send(1).unwrap()).detach();
            blocking(|| {
                lends.send(()).unwrap();
                receiver.recv().unwrap()
            })
        });
        is_lending.recv().unwrap();
        go.send(()).unwrap();
        go_on.send(()).unwrap();
        first.join().unwrap();
        holds_spare.join().unwrap();
        assert_eq!(second.join().unwrap(), 1);
    });
}

#[test]
fn a_relieved_spare_worker_that_waits_itself_is_hired_again() {
    within(PATIENCE, || {
        let pool = pool(1, 3, Dispatch::FreeWorker);
        let (go, first_waits) = mpsc::channel::<()>();
        let (go_spare, spare_waits) = mpsc::channel::<()>();
        let (inside, is_inside) = mpsc::channel::<()>();
        let (inner, (sender, receiver)) = (Arc::clone(&pool), mpsc::channel());
        let first = pool.spawn(move || {
            blocking(|| first_waits.recv().unwrap());
            inner.task().on_worker(0).spawn(move || sender.send(1).unwrap()).detach();
            blocking(|| receiver.recv().unwrap())
        });
        // This runs on the spare worker, which then waits too.
        let on_spare = pool.spawn(move || {
            blocking(|| {
                inside.send(()).unwrap();
                spare_waits.recv().unwrap();
            });
        });
        is_inside.recv().unwrap();
        go.send(()).unwrap();
        assert_eq!(first.join().unwrap(), 1);
        go_spare.send(()).unwrap();
        on_spare.join().unwrap();
    });
}

#[test]
fn nobody_counts_on_a_spare_worker_that_is_still_in_its_start_hook() {
    within(PATIENCE, || {
        let (in_hook, let_go) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (entered, leaves) = (Arc::clone(&in_hook), Arc::clone(&let_go));
        let pool = WorkerPool::builder()
            .workers(2)
            .spare_workers(1)
            .on_worker_start(move |worker| {
                if worker.id.index() == 2 {
                    entered.store(true, Ordering::SeqCst);
                    until(|| leaves.load(Ordering::SeqCst));
                }
            })
            .build()
            .unwrap();
        let (go, waits) = mpsc::channel::<()>();
        let first = pool.task().on_worker(0).spawn(move || blocking(|| waits.recv().unwrap()));
        let (go_second, second_waits) = mpsc::channel::<()>();
        let second = pool.task().on_worker(1).spawn(move || second_waits.recv().unwrap());
        until(|| pool.workers().iter().all(|worker| worker.running.is_some()));
        // No worker is free, so this task goes to the spare worker.
        pool.spawn(|| ()).detach();
        until(|| in_hook.load(Ordering::SeqCst));
        go_second.send(()).unwrap();
        second.join().unwrap();
        // The other worker is free now, so it runs each of these.
        for _ in 0..20 {
            let (sender, receiver) = mpsc::channel();
            pool.spawn(move || sender.send(()).unwrap()).detach();
            receiver.recv().unwrap();
            thread::sleep(Duration::from_micros(500));
        }
        let_go.store(true, Ordering::SeqCst);
        go.send(()).unwrap();
        first.join().unwrap();
    });
}

#[test]
fn a_spare_worker_is_named_when_it_is_needed_and_by_default_if_that_fails() {
    within(PATIENCE, || {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let pool = WorkerPool::builder()
            .workers(1)
            .thread_name(move |id| {
                counted.fetch_add(1, Ordering::SeqCst);
                match id.index() {
                    0 => "the only one".to_owned(),
                    _ => std::panic::resume_unwind(Box::new("no name for that one")),
                }
            })
            .build()
            .unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 1, "only the workers are named at first");
        let (sender, receiver) = mpsc::channel();
        let waits = pool.spawn(move || blocking(|| receiver.recv().unwrap()));
        let name = pool.spawn(|| thread::current().name().map(str::to_owned));
        assert_eq!(name.join().unwrap().as_deref(), Some("corepool-1"));
        sender.send(()).unwrap();
        waits.join().unwrap();
    });
}

/// The waiting thread starts the spare worker, so it also calls the closure that names it.
#[test]
#[cfg(target_os = "linux")]
fn a_name_that_is_waited_for_takes_no_wake_up_away() {
    within(PATIENCE, || {
        let other = pool(1, 0, Dispatch::FreeWorker);
        let (go, gate) = mpsc::channel::<()>();
        let (names, go) = (Arc::clone(&other), Mutex::new(go));
        let name = move |id: corepool::WorkerId| {
            if id.index() > 0 {
                let (starting, started) = mpsc::channel();
                let (over, end) = mpsc::channel::<()>();
                let task = names.spawn(move || {
                    starting.send(()).unwrap();
                    end.recv().unwrap_err();
                });
                // This ends the task that the waiting task joins. `task` starts only after that
                // task's worker has woken the waiter.
                go.lock().unwrap().send(()).unwrap();
                started.recv().unwrap();
                let me = thread_number();
                let ends = thread::spawn(move || {
                    until_asleep(me);
                    drop(over);
                });
                task.join().unwrap();
                ends.join().unwrap();
            }
            format!("name-{id}")
        };
        let pool = WorkerPool::builder().workers(1).thread_name(name).build().unwrap();
        let (starting, started) = mpsc::channel();
        let awaited = other.spawn(move || {
            starting.send(()).unwrap();
            gate.recv().unwrap();
        });
        started.recv().unwrap();
        let (queued, wait) = mpsc::channel::<()>();
        let waits = pool.spawn(move || {
            wait.recv().unwrap();
            awaited.join().unwrap();
        });
        let waiting = pool.spawn(|| ());
        queued.send(()).unwrap();
        waits.join().unwrap();
        waiting.join().unwrap();
    });
}
