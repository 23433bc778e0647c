//! Shared memory under load: cells that threads, tasks and futures wait on, counters, and
//! worker-local values.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use corepool::shared::{self, Counter, WaitResult};
use corepool::{SharedArray, WorkerLocal};
use fastrand::Rng;

use super::storm::{Storm, some};
use crate::support::until;

/// Tasks count up a cell; this thread sleeps until they are done, in one way or another.
pub(super) fn relay(storm: &Storm, random: &mut Rng) {
    let cells = SharedArray::<AtomicU32>::new(random.usize(1..40));
    let cell = random.usize(..cells.len());
    let tickets = storm.book.tickets(some(random).min(2_000));
    let mut open = Vec::new();
    for ticket in tickets {
        let (theirs, id) = (cells.clone(), ticket.id());
        let task = storm.pool.spawn(move || {
            ticket.run();
            theirs[cell].fetch_add(1, Ordering::SeqCst);
            shared::notify(&theirs[cell], if id % 2 == 0 { 1 } else { usize::MAX });
            None
        });
        open.push((id, task));
        if random.u8(..8) == 0 {
            let seen = cells[cell].load(Ordering::SeqCst);
            let time = Duration::from_nanos(random.u64(..100_000));
            match shared::wait(&cells[cell], seen, time) {
                WaitResult::NotEqual => assert_ne!(cells[cell].load(Ordering::SeqCst), seen),
                WaitResult::Ok | WaitResult::TimedOut => {}
            }
        }
        if random.u8(..8) == 0 {
            let seen = cells[cell].load(Ordering::SeqCst);
            // A future that is dropped while it waits passes its turn on.
            let waiting = pin!(shared::wait_async(&cells[cell], seen));
            let _turn = waiting.poll(&mut Context::from_waker(Waker::noop()));
        }
    }
    let mut ran = 0;
    for (id, task) in open {
        let result = task.join();
        ran += u32::from(result.is_ok());
        storm.book.saw(id, result);
    }
    assert_eq!(cells[cell].load(Ordering::SeqCst), ran, "each task that ran counted once");
}

/// One worker's count. It is added to the sum when it is dropped, on any thread.
struct Own {
    count: u64,
    sum: Arc<AtomicU64>,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.sum.fetch_add(self.count, Ordering::SeqCst);
    }
}

/// Counts with a counter and with worker-local counts. Both results must agree although workers end
/// meanwhile.
pub(super) fn locals(storm: &Storm, random: &mut Rng) {
    let sum = Arc::new(AtomicU64::new(0));
    let sums = Arc::clone(&sum);
    let own = WorkerLocal::new(move || Own { count: 0, sum: Arc::clone(&sums) });
    let counter = Counter::new();
    let width = some(random) as u64;
    storm.pool.for_each(0..width, |_| {
        counter.increment();
        own.with(|own| own.count += 1);
    });
    assert_eq!(counter.sum(), width);
    if random.bool() {
        drop(own.drain());
    }
    drop(own);
    // A worker that is just ending may be about to drop its count.
    until(|| Arc::strong_count(&sum) == 1);
    assert_eq!(sum.load(Ordering::SeqCst), width);
    storm.book.closures.fetch_add(width, Ordering::Relaxed);
}
