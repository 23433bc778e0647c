//! Futures that are dropped while they wait: no notification is lost, and none reaches a waiter
//! that it was not meant for.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Poll, Waker};

use corepool::shared::{self, WaitResult};

use super::{Alarm, poll, poll_once};

const OK: Poll<WaitResult> = Poll::Ready(WaitResult::Ok);

#[test]
fn who_is_dropped_leaves_the_line() {
    let cell = AtomicU32::new(0);
    let mut waits: Vec<_> = (0..5).map(|_| shared::wait_async(&cell, 0)).collect();
    assert!(waits.iter_mut().all(|wait| poll_once(wait).is_pending()));
    drop(waits.remove(2));
    drop(waits.remove(0));
    assert_eq!(shared::notify(&cell, 10), 3);
    assert!(waits.iter_mut().all(|wait| poll_once(wait) == OK));
}

#[test]
fn a_waker_is_dropped_with_its_wait() {
    let cell = AtomicU32::new(0);
    let alarm = Alarm::new();
    let mut wait = shared::wait_async(&cell, 0);
    assert!(poll(&mut wait, &Waker::from(Arc::clone(&alarm))).is_pending());
    assert_eq!(Arc::strong_count(&alarm), 2);
    drop(wait);
    assert_eq!(Arc::strong_count(&alarm), 1);
    assert_eq!(alarm.wakes(), 0);
}

#[test]
fn a_notification_that_was_not_seen_goes_to_the_next_in_line() {
    let cell = AtomicU32::new(0);
    let alarms: Vec<_> = (0..4).map(|_| Alarm::new()).collect();
    let mut waits: Vec<_> = (0..4).map(|_| shared::wait_async(&cell, 0)).collect();
    for (wait, alarm) in waits.iter_mut().zip(&alarms) {
        assert!(poll(wait, &Waker::from(Arc::clone(alarm))).is_pending());
    }
    let wakes = || alarms.iter().map(|alarm| alarm.wakes()).collect::<Vec<_>>();
    assert_eq!(shared::notify(&cell, 1), 1);
    assert_eq!(wakes(), [1, 0, 0, 0]);
    drop(waits.remove(0));
    assert_eq!(wakes(), [1, 1, 0, 0]);
    // The notification moves on again.
    drop(waits.remove(0));
    assert_eq!(wakes(), [1, 1, 1, 0]);
    assert_eq!(poll_once(&mut waits[0]), OK);
    // A notification that a poll has seen is used up.
    drop(waits.remove(0));
    assert_eq!(wakes(), [1, 1, 1, 0]);
    assert!(poll_once(&mut waits[0]).is_pending());
}

#[cfg(target_os = "linux")]
#[test]
fn it_goes_to_a_thread_as_well() {
    use crate::support::{PATIENCE, thread_number, until_asleep, within};
    within(PATIENCE, || {
        let cell = AtomicU32::new(0);
        let mut wait = shared::wait_async(&cell, 0);
        assert!(poll_once(&mut wait).is_pending());
        std::thread::scope(|threads| {
            let (started, starts) = std::sync::mpsc::channel();
            let cell = &cell;
            let thread = threads.spawn(move || {
                started.send(thread_number()).unwrap();
                shared::wait(cell, 0, None)
            });
            until_asleep(starts.recv().unwrap());
            assert_eq!(shared::notify(cell, 1), 1);
            drop(wait);
            assert_eq!(thread.join().unwrap(), WaitResult::Ok);
        });
    });
}

#[test]
fn several_that_were_not_seen_go_to_several() {
    let cell = AtomicU32::new(0);
    let mut waits: Vec<_> = (0..6).map(|_| shared::wait_async(&cell, 0)).collect();
    assert!(waits.iter_mut().all(|wait| poll_once(wait).is_pending()));
    assert_eq!(shared::notify(&cell, 2), 2);
    waits.drain(..2).for_each(drop);
    assert_eq!(poll_once(&mut waits[0]), OK);
    assert_eq!(poll_once(&mut waits[1]), OK);
    assert!(poll_once(&mut waits[2]).is_pending());
    assert!(poll_once(&mut waits[3]).is_pending());
}

#[test]
fn who_came_after_the_notify_gets_nothing_of_it() {
    let cell = AtomicU32::new(0);
    let alarm = Alarm::new();
    let mut early = shared::wait_async(&cell, 0);
    let mut late = shared::wait_async(&cell, 0);
    assert!(poll_once(&mut early).is_pending());
    assert_eq!(shared::notify(&cell, usize::MAX), 1);
    assert!(poll(&mut late, &Waker::from(Arc::clone(&alarm))).is_pending());
    drop(early);
    assert_eq!(alarm.wakes(), 0);
    assert!(poll_once(&mut late).is_pending());
    assert_eq!(shared::notify(&cell, 1), 1);
    assert_eq!(poll_once(&mut late), OK);
}

#[test]
fn it_does_not_go_to_another_cell() {
    let cells = corepool::SharedArray::<AtomicU32>::new(200);
    let mut waits: Vec<_> = cells.iter().map(|cell| shared::wait_async(cell, 0)).collect();
    assert!(waits.iter_mut().all(|wait| poll_once(wait).is_pending()));
    assert_eq!(shared::notify(&cells[0], 1), 1);
    drop(waits.remove(0));
    assert!(waits.iter_mut().all(|wait| poll_once(wait).is_pending()));
}

#[test]
fn what_was_never_polled_or_is_ready_is_dropped_without_a_trace() {
    let (cell, other) = (AtomicU32::new(0), AtomicU32::new(1));
    let mut wait = shared::wait_async(&cell, 0);
    assert!(poll_once(&mut wait).is_pending());
    drop(shared::wait_async(&cell, 0));
    let mut ready = shared::wait_async(&other, 0);
    assert!(poll_once(&mut ready).is_ready());
    drop(ready);
    assert!(poll_once(&mut wait).is_pending());
    assert_eq!(shared::notify(&cell, 10), 1);
}
