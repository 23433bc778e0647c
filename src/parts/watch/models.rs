//! Models of a watch: tasks settle while a thread waits for them or gives up.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::task::Waker;

use loom::thread;

use super::Watch;
use crate::base::sync::{AtomicBool, Ordering, UnsafeCell, explore};
use crate::parts::parker::Parker;

/// What each task did before it settled.
type Done = Arc<[UnsafeCell<()>]>;

fn done(tasks: usize) -> Done {
    (0..tasks).map(|_| UnsafeCell::new(())).collect()
}

/// A task that settles on a thread of its own.
fn settle(watch: &Watch, done: &Done, number: usize) -> thread::JoinHandle<()> {
    let (waker, done) = (watch.waker(number), Arc::clone(done));
    thread::spawn(move || {
        done[number].with_mut(|_| ());
        waker.wake();
    })
}

/// The same steps as `Promise::wait`, for this many tasks. Each task is seen once.
fn wait(watch: &Watch, done: &Done, tasks: usize) {
    let parker = Arc::new(Parker::new());
    let waker = Waker::from(Arc::clone(&parker));
    let mut seen = vec![false; tasks];
    let mut left = tasks;
    loop {
        watch.take(|number| {
            done[number].with_mut(|_| ());
            assert!(!std::mem::replace(&mut seen[number], true), "a task settles once");
            left -= 1;
        });
        if left == 0 {
            return;
        }
        if !watch.wait(&waker) {
            parker.park();
        }
    }
}

#[test]
fn who_waits_sees_each_of_two_tasks_settle() {
    explore(|| {
        let (watch, done) = (Watch::new(2), done(2));
        let tasks = [settle(&watch, &done, 0), settle(&watch, &done, 1)];
        wait(&watch, &done, 2);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// The last of the three owners frees the memory.
#[test]
fn who_waits_leaves_while_tasks_settle() {
    explore(|| {
        let (watch, done) = (Watch::new(2), done(2));
        let tasks = [settle(&watch, &done, 0), settle(&watch, &done, 1)];
        drop(watch);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// A waker that is woken twice puts its slot on the list only once at a time.
#[test]
fn a_task_that_wakes_twice_is_on_the_list_once() {
    explore(|| {
        let watch = Watch::new(1);
        let wakers = [watch.waker(0), watch.waker(0)];
        let threads = wakers.map(|waker| thread::spawn(move || waker.wake()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut times = 0;
        watch.take(|_| times += 1);
        assert_eq!(times, 1);
    });
}

/// The second task's slot is in a block that was added later.
fn grown() -> Watch {
    let mut watch = Watch::new(1);
    watch.grow(2);
    watch
}

#[test]
fn who_waits_sees_tasks_of_two_blocks_settle() {
    explore(|| {
        let (watch, done) = (grown(), done(2));
        let tasks = [settle(&watch, &done, 0), settle(&watch, &done, 1)];
        wait(&watch, &done, 2);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// The later block's last owner also frees the first block, if that has no other owner.
#[test]
fn who_waits_leaves_while_a_task_of_the_later_block_settles() {
    explore(|| {
        let (watch, done) = (grown(), done(2));
        let tasks = [settle(&watch, &done, 0), settle(&watch, &done, 1)];
        drop(watch);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// A waker of the previous task is woken late, when the slot already belongs to another task.
#[test]
fn a_late_waker_does_not_hide_the_next_task_of_its_slot() {
    explore(|| {
        let watch = Watch::new(1);
        let settled = Arc::new(AtomicBool::new(false));
        let late = watch.waker(0);
        let late = thread::spawn(move || late.wake());
        let (waker, settling) = (watch.waker(0), Arc::clone(&settled));
        let task = thread::spawn(move || {
            settling.store(true, Ordering::Release);
            waker.wake();
        });
        let parker = Arc::new(Parker::new());
        let waker = Waker::from(Arc::clone(&parker));
        loop {
            let mut seen = false;
            watch.take(|_| seen |= settled.load(Ordering::Acquire));
            if seen {
                break;
            }
            if !watch.wait(&waker) {
                parker.park();
            }
        }
        for thread in [late, task] {
            thread.join().unwrap();
        }
    });
}
