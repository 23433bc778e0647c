//! Shared memory: the array, waiting on its cells as with JavaScript's `Atomics`, and the counter.

mod array;
mod counter;
mod dropped;
mod futures;
mod stress;
mod wakers;
mod waiting;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Counts its wakes, and unparks the thread that made it.
struct Alarm {
    wakes: AtomicUsize,
    owner: Thread,
}

impl Alarm {
    fn new() -> Arc<Self> {
        Arc::new(Self { wakes: AtomicUsize::new(0), owner: thread::current() })
    }

    fn wakes(&self) -> usize {
        self.wakes.load(Ordering::SeqCst)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        self.owner.unpark();
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls without asking to be woken.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll(future, Waker::noop())
}

/// A minimal executor for many futures: it polls all of them whenever one has been woken. Returns
/// the results in the order in which the futures ended.
fn run_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let alarm = Alarm::new();
    let waker = Waker::from(Arc::clone(&alarm));
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results = Vec::new();
    while !futures.is_empty() {
        let before = alarm.wakes();
        futures.retain_mut(|future| match poll(future, &waker) {
            Poll::Ready(result) => {
                results.push(result);
                false
            }
            Poll::Pending => true,
        });
        while !futures.is_empty() && alarm.wakes() == before {
            thread::park();
        }
    }
    results
}
