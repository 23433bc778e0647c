//! The ways to take events: at once, with a time limit, blocking, async, and by the channel.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use corepool::events::{Events, NextEvent};
use corepool::{PoolEvent, WorkerPool};

use super::{throw, unpinned};
use crate::support::{PATIENCE, until, within};

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn waker() -> (Arc<Self>, Waker) {
        let count = Arc::<Self>::default();
        (Arc::clone(&count), Waker::from(count))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A pool of one worker, and a listener that has heard all there is to hear.
fn quiet() -> (WorkerPool, Events) {
    let pool = unpinned(1).build().unwrap();
    pool.spawn(|| ()).join().unwrap();
    let mut events = pool.events();
    assert!(matches!(events.try_next(), Some(PoolEvent::WorkerOnline { .. })));
    assert_eq!(events.try_next(), None);
    (pool, events)
}

fn poll(next: &mut NextEvent<'_>, waker: &Waker) -> Poll<Option<PoolEvent>> {
    Pin::new(next).poll(&mut Context::from_waker(waker))
}

fn tell_something(pool: &WorkerPool) {
    pool.spawn(|| throw("something")).join().unwrap_err();
}

fn is_panic(event: &PoolEvent) -> bool {
    matches!(event, PoolEvent::TaskPanicked { .. })
}

#[test]
fn a_look_tells_nothing_yet_from_the_end() {
    within(PATIENCE, || {
        let (pool, mut events) = quiet();
        assert!(events.try_next().is_none() && !events.has_ended());
        tell_something(&pool);
        assert!(events.try_next().is_some_and(|event| is_panic(&event)));
        drop(pool);
        assert!(!events.has_ended(), "the last events are still there");
        let told: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
        assert!(told.contains(&PoolEvent::Closed));
        assert!(events.has_ended());
        assert!(events.next().is_none() && events.next_timeout(Duration::MAX).is_none());
        assert!(pollster::block_on(events.next_async()).is_none());
    });
}

#[test]
fn a_time_limit_ends_the_wait_and_loses_nothing() {
    within(PATIENCE, || {
        let (pool, mut events) = quiet();
        for limit in [Duration::ZERO, Duration::from_millis(2)] {
            assert!(events.next_timeout(limit).is_none() && !events.has_ended());
        }
        tell_something(&pool);
        assert!(events.next_timeout(Duration::ZERO).is_some_and(|event| is_panic(&event)));
        let teller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            pool.close();
            pool
        });
        assert_eq!(events.next_timeout(PATIENCE), Some(PoolEvent::Closed));
        drop(teller.join().unwrap());
    });
}

#[test]
fn a_thread_that_iterates_hears_all_up_to_the_end_of_the_pool() {
    within(PATIENCE, || {
        let (pool, events) = quiet();
        let listener = thread::spawn(move || events.filter(is_panic).count());
        for round in 0..50 {
            if round % 10 == 0 {
                // The listener is asleep now and then.
                thread::sleep(Duration::from_millis(1));
            }
            tell_something(&pool);
        }
        drop(pool);
        assert_eq!(listener.join().unwrap(), 50);
    });
}

#[test]
fn async_code_hears_all_up_to_the_end_of_the_pool() {
    within(PATIENCE, || {
        let (pool, mut events) = quiet();
        let listener = thread::spawn(move || {
            pollster::block_on(async {
                let mut count = 0;
                while let Some(event) = events.next_async().await {
                    count += usize::from(is_panic(&event));
                }
                count
            })
        });
        for round in 0..50 {
            if round % 10 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            tell_something(&pool);
        }
        drop(pool);
        assert_eq!(listener.join().unwrap(), 50);
    });
}

#[test]
fn an_event_wakes_the_last_waker_once() {
    within(PATIENCE, || {
        let (pool, mut events) = quiet();
        let ((first, first_waker), (last, last_waker)) = (Count::waker(), Count::waker());
        let mut next = events.next_async();
        assert!(poll(&mut next, &first_waker).is_pending());
        assert!(poll(&mut next, &last_waker).is_pending());
        assert_eq!(Arc::strong_count(&first), 2, "the replaced waker is dropped");
        tell_something(&pool);
        tell_something(&pool);
        assert_eq!((first.get(), last.get()), (0, 1));
        assert!(
            matches!(poll(&mut next, &last_waker), Poll::Ready(Some(event)) if is_panic(&event))
        );
        assert!(poll(&mut next, &last_waker).is_ready(), "the second one");
        assert!(poll(&mut next, &last_waker).is_pending());
        drop(next);
        assert_eq!(Arc::strong_count(&last), 2, "a dropped future drops its waker");
        tell_something(&pool);
        assert_eq!(last.get(), 1);
    });
}

#[test]
fn the_end_of_the_pool_wakes_what_waits() {
    within(PATIENCE, || {
        let (pool, mut events) = quiet();
        pool.shutdown();
        while events.try_next().is_some() {}
        assert!(!events.has_ended(), "the pool is still there");
        let (count, waker) = Count::waker();
        let mut next = events.next_async();
        assert!(poll(&mut next, &waker).is_pending());
        drop(pool);
        until(|| count.get() == 1);
        assert_eq!(poll(&mut next, &waker), Poll::Ready(None));
    });
}

/// A waker that calls the pool, as the waker of an executor on the pool does.
struct Calls(Arc<WorkerPool>, AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        let _workers = self.0.workers();
        let _refused_or_not = self.0.try_spawn(|| ());
        drop(self.0.events());
        self.1.fetch_add(1, Ordering::SeqCst);
        throw("and then it panics");
    }
}

/// No event is told under a lock that a waker may need, whatever the event is.
#[test]
fn a_waker_may_call_the_pool_and_panic() {
    within(PATIENCE, || {
        let pool = unpinned(1).queue_capacity(0).when_full(corepool::WhenFull::Reject);
        let pool = pool.watchdog(Duration::from_millis(1)).build().unwrap();
        let pool = Arc::new(pool);
        let mut events = pool.events();
        while events.next_timeout(Duration::from_millis(20)).is_some() {}
        let calls = Arc::new(Calls(Arc::clone(&pool), AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&calls));
        let (go, wait) = mpsc::channel::<()>();
        // It is stuck, and what comes after it finds the queue full.
        let stuck = pool.spawn(move || wait.recv());
        let mut heard = Vec::new();
        while !(heard.contains(&"stuck") && heard.contains(&"full")) {
            let mut next = events.next_async();
            match poll(&mut next, &waker) {
                Poll::Ready(Some(PoolEvent::TaskStuck { .. })) => heard.push("stuck"),
                Poll::Ready(Some(PoolEvent::QueueFull)) => heard.push("full"),
                Poll::Ready(_) => {}
                Poll::Pending => {
                    let before = calls.1.load(Ordering::SeqCst);
                    let _refused = pool.spawn(|| ());
                    let _refused = pool.spawn(|| ());
                    until(|| calls.1.load(Ordering::SeqCst) > before);
                }
            }
        }
        go.send(()).unwrap();
        stuck.join().unwrap().unwrap();
    });
}

#[test]
fn a_listener_that_is_gone_is_forgotten_and_its_waker_is_not_woken() {
    within(PATIENCE, || {
        let (pool, mut events) = quiet();
        let (count, waker) = Count::waker();
        std::mem::forget({
            let mut next = events.next_async();
            assert!(poll(&mut next, &waker).is_pending());
            next
        });
        assert_eq!(Arc::strong_count(&count), 3, "a forgotten future leaves its waker");
        let clone = events.receiver().clone();
        drop(events);
        assert_eq!(Arc::strong_count(&count), 2);
        tell_something(&pool);
        assert_eq!(count.get(), 0);
        assert!(is_panic(&clone.recv().unwrap()), "a clone of the receiver goes on");
        drop(clone);
        tell_something(&pool);
        assert_eq!(pool.metrics().events_dropped, 0);
    });
}

#[test]
fn the_receiver_is_selected_with_other_channels() {
    within(PATIENCE, || {
        let (pool, mut events) = quiet();
        let (sender, requests) = crossbeam_channel::unbounded();
        sender.send(5).unwrap();
        crossbeam_channel::select! {
            recv(requests) -> request => assert_eq!(request, Ok(5)),
            recv(events.receiver()) -> _event => unreachable!("there is none"),
        }
        tell_something(&pool);
        crossbeam_channel::select! {
            recv(requests) -> _request => unreachable!("there is none"),
            recv(events.receiver()) -> event => assert!(is_panic(&event.unwrap())),
        }
        assert_eq!(events.try_next(), None, "each event is taken once");
        drop((pool, sender));
        assert!(events.last().is_some());
    });
}

/// A task that listens lends its core, so the task that makes the event runs.
#[test]
fn a_worker_that_listens_lends_its_core() {
    within(PATIENCE, || {
        let (pool, mut events) = quiet();
        let listener = pool.spawn(move || events.find(is_panic));
        let noise = pool.spawn(|| throw("noise"));
        assert!(listener.join().unwrap().is_some());
        noise.join().unwrap_err();
    });
}
