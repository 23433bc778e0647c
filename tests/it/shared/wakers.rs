//! Wakers are user code: they are replaced, they panic, and they call back into the table.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Wake, Waker};

use corepool::SharedArray;
use corepool::shared::{self, WaitResult};

use super::{Alarm, poll};

const OK: Poll<WaitResult> = Poll::Ready(WaitResult::Ok);

#[test]
fn the_last_polls_waker_is_woken_and_no_other() {
    let cell = AtomicU32::new(0);
    let (first, last) = (Alarm::new(), Alarm::new());
    let mut wait = shared::wait_async(&cell, 0);
    assert!(poll(&mut wait, &Waker::from(Arc::clone(&first))).is_pending());
    assert!(poll(&mut wait, &Waker::from(Arc::clone(&last))).is_pending());
    assert_eq!(Arc::strong_count(&first), 1);
    assert_eq!(shared::notify(&cell, 1), 1);
    assert_eq!((first.wakes(), last.wakes()), (0, 1));
    assert_eq!(poll(&mut wait, Waker::noop()), OK);
}

/// Panics when it is woken.
struct Trap(AtomicU32);

impl Wake for Trap {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a waker panicked on purpose");
    }
}

#[test]
fn a_waker_that_panics_takes_no_wake_from_the_others() {
    let cell = AtomicU32::new(0);
    let trap = Arc::new(Trap(AtomicU32::new(0)));
    let alarms = [Alarm::new(), Alarm::new()];
    let wakers = [
        Waker::from(Arc::clone(&alarms[0])),
        Waker::from(Arc::clone(&trap)),
        Waker::from(Arc::clone(&alarms[1])),
    ];
    let mut waits: Vec<_> = wakers.iter().map(|_| shared::wait_async(&cell, 0)).collect();
    for (wait, waker) in waits.iter_mut().zip(&wakers) {
        assert!(poll(wait, waker).is_pending());
    }
    assert_eq!(shared::notify(&cell, usize::MAX), 3);
    assert_eq!(trap.0.load(Ordering::SeqCst), 1);
    assert!(alarms.iter().all(|alarm| alarm.wakes() == 1));
    assert!(waits.iter_mut().all(|wait| poll(wait, Waker::noop()) == OK));
}

struct DropTrap;

impl Wake for DropTrap {
    fn wake(self: Arc<Self>) {}
}

impl Drop for DropTrap {
    fn drop(&mut self) {
        panic!("a waker's drop panicked on purpose");
    }
}

#[test]
fn a_waker_whose_drop_panics_does_no_harm() {
    let cell = AtomicU32::new(0);
    // The table holds the only reference to each waker, so each is dropped there.
    let trapped = || {
        let mut wait = shared::wait_async(&cell, 0);
        assert!(poll(&mut wait, &Waker::from(Arc::new(DropTrap))).is_pending());
        wait
    };
    let mut replaced = trapped();
    assert!(poll(&mut replaced, Waker::noop()).is_pending());
    drop(trapped());
    let mut woken = trapped();
    assert_eq!(shared::notify(&cell, usize::MAX), 2);
    assert_eq!(poll(&mut replaced, Waker::noop()), OK);
    assert_eq!(poll(&mut woken, Waker::noop()), OK);
}

/// Notifies the same cell again when it is woken.
struct Chain {
    cells: OnceLock<SharedArray<AtomicU32>>,
    woken: AtomicU32,
}

impl Wake for Chain {
    fn wake(self: Arc<Self>) {
        let cells = self.cells.get().expect("set before the first wake");
        self.woken.store(1, Ordering::SeqCst);
        shared::notify(&cells[0], 1);
    }
}

#[test]
fn a_waker_may_notify() {
    let cells = SharedArray::<AtomicU32>::new(1);
    let links: Vec<_> = (0..10)
        .map(|_| {
            let cells = OnceLock::from(cells.clone());
            Arc::new(Chain { cells, woken: AtomicU32::new(0) })
        })
        .collect();
    let mut waits: Vec<_> = links.iter().map(|_| shared::wait_async(&cells[0], 0)).collect();
    for (wait, link) in waits.iter_mut().zip(&links) {
        assert!(poll(wait, &Waker::from(Arc::clone(link))).is_pending());
    }
    assert_eq!(shared::notify(&cells[0], 1), 1);
    assert!(links.iter().all(|link| link.woken.load(Ordering::SeqCst) == 1));
    assert!(waits.iter_mut().all(|wait| poll(wait, Waker::noop()) == OK));
}
