//! Tests with a queue in which a pusher stands between the two steps of its push.
#![forbid(unsafe_code)]

use super::pop_patiently;

/// The pusher stands between its two steps, and has no core except that of the waiting thread.
#[test]
fn a_thread_that_goes_before_all_others_gets_what_is_half_pushed() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::{thread, time::Duration};

    use crate::base::id::PoolId;
    use crate::os::{affinity, heritage};
    use crate::parts::{metrics, queue::Queue};
    use crate::task::{TaskContext, make};

    let Some(&core) = affinity::usable().cores.first() else { return };
    let queue = Arc::new(Queue::new());
    let (waits, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let pusher = thread::spawn({
        let (queue, waits, ends) = (Arc::clone(&queue), Arc::clone(&waits), Arc::clone(&ends));
        move || {
            affinity::pin_current_thread(core, &[]);
            let task = || make::<(), _, ()>(PoolId::next(), None, |_: &TaskContext| ());
            let (queued, held) = task();
            let publish = queue.push_halfway(queued);
            ends.store(true, Ordering::SeqCst);
            while !waits.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            publish();
            held
        }
    });
    while !ends.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    let took = thread::spawn(move || {
        affinity::pin_current_thread(core, &[]);
        let goes_before = heritage::go_before_others();
        waits.store(true, Ordering::SeqCst);
        let task = pop_patiently(&queue);
        assert!(task.is_some());
        goes_before.then(|| metrics::of_thread().busy()).flatten()
    });
    let took = took.join().unwrap();
    drop(pusher.join().unwrap());
    // A thread that only yields keeps the core until the kernel steps in, after 0.95 s if at all.
    assert!(took.is_none_or(|took| took < Duration::from_millis(400)), "{took:?}");
}
