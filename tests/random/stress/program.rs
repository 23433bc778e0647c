//! One random program: a pool, some submitters, what they spawn, and what becomes of the handles.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use corepool::{
    CancelToken, Dispatch, Priority, TaskBuilder, TaskContext, TaskError, TaskHandle, WhenFull,
    WorkerPool, blocking,
};

use super::many;
use fastrand::Rng;

use crate::support::{self, Dropping, Drops};

/// The value of a task: its number, and a token that counts its drop.
pub(super) type Value = (u64, Dropping);

/// What all parts of a program share.
pub(super) struct Shared {
    /// Weak, so that a task never has to drop the pool that runs it.
    pub(super) pool: Weak<WorkerPool>,
    /// Tasks handed to the pool.
    handed_in: AtomicU64,
    /// Ends tasks that are tied to it; it is cancelled at some time or never.
    pub(super) request: CancelToken,
    /// Tokens made, one per closure; each must be dropped once.
    made: AtomicUsize,
    pub(super) workers: usize,
    drops: Drops,
    /// Workers that may still be ended. Each costs its successor some back-off.
    ends_left: AtomicUsize,
}

impl Shared {
    pub(super) fn token(&self) -> Dropping {
        self.made.fetch_add(1, Ordering::SeqCst);
        self.drops.token()
    }

    /// Counts tasks that are handed to the pool, refused ones included.
    pub(super) fn hand_in(&self, count: usize) {
        self.handed_in.fetch_add(count as u64, Ordering::SeqCst);
    }

    fn may_end(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.ends_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }
}

pub(super) fn run(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let name = format!("s{:x}-", seed & 0xfff_ffff);
    let workers = random.usize(1..=8);
    let pool = Arc::new(random_pool(&mut random, workers, name.clone()));
    let shared = Arc::new(Shared {
        pool: Arc::downgrade(&pool),
        handed_in: AtomicU64::new(0),
        request: CancelToken::new(),
        made: AtomicUsize::new(0),
        workers,
        drops: Drops::default(),
        ends_left: AtomicUsize::new(random.usize(..3)),
    });
    let closer = random.usize(..8);
    let submitters: Vec<_> = (0..random.usize(1..4))
        .map(|lane| {
            let (shared, pool, random) = (Arc::clone(&shared), Arc::clone(&pool), random.fork());
            thread::spawn(move || submit(&shared, &pool, random, lane == closer))
        })
        .collect();
    let kept: Vec<_> = submitters.into_iter().flat_map(|lane| lane.join().unwrap()).collect();
    shut_down(&pool, &mut random);
    for (id, mut task) in kept {
        let result = task.try_join().expect("after a shutdown every handle is settled");
        expect_possible(id, result);
    }
    expect_sums(&pool, &shared);
    drop(Arc::into_inner(pool).expect("nothing holds the pool any more"));
    #[cfg(target_os = "linux")]
    support::until(|| support::threads_named(&name) == 0);
    assert_eq!(shared.drops.count(), shared.made.load(Ordering::SeqCst), "dropped once each");
}

fn random_pool(random: &mut Rng, workers: usize, name: String) -> WorkerPool {
    let policies = [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest];
    let mut builder = WorkerPool::builder()
        .workers(workers)
        .thread_name(move |id| format!("{name}{id}"))
        .record_timing(random.u8(..4) == 0);
    if random.u8(..3) == 0 {
        builder = builder.dispatch(Dispatch::RoundRobin);
    }
    if random.bool() {
        builder = builder.queue_capacity(random.usize(..9)).when_full(policies[random.usize(..4)]);
    }
    builder.build().unwrap()
}

/// One thread's part. Returns the handles that it did not use up.
fn submit(
    shared: &Arc<Shared>,
    pool: &WorkerPool,
    mut random: Rng,
    closes: bool,
) -> Vec<(u64, TaskHandle<Value>)> {
    let mut open = Vec::new();
    for _ in 0..random.usize(..150) {
        match random.u8(..24) {
            0 => many::spawn(shared, pool, &mut random),
            1 if random.u8(..16) == 0 => shared.request.cancel(),
            2 => many::gather(&mut open, &mut random),
            _ => open.extend(spawn(shared, pool, &mut random)),
        }
        while open.len() > random.usize(1..20) {
            let (id, task) = open.swap_remove(random.usize(..open.len()));
            open.extend(dispose(shared, id, task, &mut random).map(|task| (id, task)));
        }
        if random.u8(..64) == 0 {
            thread::yield_now();
        }
    }
    if closes {
        pool.close();
    }
    open
}

/// Hands in a random task in a random way. Returns `None` if the closure came back or the future
/// was dropped.
fn spawn(
    shared: &Arc<Shared>,
    pool: &WorkerPool,
    random: &mut Rng,
) -> Option<(u64, TaskHandle<Value>)> {
    let id = random.u64(..);
    let body = body(shared, id, random.fork());
    // A refused task counts as handed in, whether the closure comes back or not.
    let handed_in = || shared.hand_in(1);
    let count = |task: TaskHandle<Value>| {
        handed_in();
        Some((id, task))
    };
    match random.u8(..10) {
        0 => match pool.try_spawn(move || body(None)) {
            Ok(task) => count(task),
            Err(_refused) => {
                handed_in();
                None
            }
        },
        1 => match pollster::block_on(pool.reserve()) {
            Ok(permit) => count(permit.spawn(move || body(None))),
            Err(_closed) => {
                handed_in();
                None
            }
        },
        2 => {
            let mut future = pin!(pool.reserve());
            match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(permit)) => count(permit.task().spawn(move || body(None))),
                Poll::Ready(Err(_closed)) => {
                    handed_in();
                    None
                }
                // Dropped now: it was never handed in.
                Poll::Pending => None,
            }
        }
        3 => count(pool.task().name("named").spawn_with(move |cx| body(Some(cx)))),
        4 | 5 => count(described(shared, pool, random).spawn_with(move |cx| body(Some(cx)))),
        _ => count(pool.spawn_with(move |cx| body(Some(cx)))),
    }
}

/// A task with some of the builder's options.
fn described<'pool>(
    shared: &Shared,
    pool: &'pool WorkerPool,
    random: &mut Rng,
) -> TaskBuilder<'pool> {
    let lanes = [Priority::High, Priority::Normal, Priority::Low];
    let mut task = pool.task().priority(lanes[random.usize(..3)]);
    if random.u8(..3) == 0 {
        task = task.cancel_token(&shared.request);
    }
    // Not from inside: tasks that wait for one another's workers in a circle wait forever.
    if !pool.is_current() && random.u8(..3) == 0 {
        task = task.on_worker(random.usize(..shared.workers));
    }
    match random.u8(..6) {
        0 => task.start_within(Duration::from_nanos(random.u64(..100_000))),
        1 => task.start_by(Instant::now()),
        2 => task.run_for(Duration::from_nanos(random.u64(..100_000))),
        _ => task,
    }
}

/// What a task does. It owns a token, which is returned with its value or dropped before.
pub(super) fn body(
    shared: &Arc<Shared>,
    id: u64,
    mut random: Rng,
) -> impl FnOnce(Option<&TaskContext>) -> Value + Send + 'static + use<> {
    let (shared, token) = (Arc::clone(shared), shared.token());
    move |cx| {
        match random.u8(..16) {
            0 => resume_unwind(Box::new("a task of the program panics")),
            1 if cx.is_some() && shared.may_end() => cx.unwrap().end_worker(),
            2..6 => nested(&shared, &mut random),
            6 => thread::yield_now(),
            8 => blocking(thread::yield_now),
            7 => (0..random.u16(..2_000)).for_each(|_| std::hint::spin_loop()),
            _ => {}
        }
        (id, token)
    }
}

/// Spawns tasks and disposes of them. On average a task spawns fewer than one, so that this ends.
fn nested(shared: &Arc<Shared>, random: &mut Rng) {
    let Some(pool) = shared.pool.upgrade() else { return };
    let children: Vec<_> =
        (0..random.usize(..4)).filter_map(|_| spawn(shared, &pool, random)).collect();
    for (id, task) in children {
        drop(dispose(shared, id, task, random));
    }
}

/// Uses up a handle in a random way, or returns it.
pub(super) fn dispose(
    shared: &Shared,
    id: u64,
    mut task: TaskHandle<Value>,
    random: &mut Rng,
) -> Option<TaskHandle<Value>> {
    match random.u8(..14) {
        0..3 => expect_possible(id, task.join()),
        3 => expect_possible(id, pollster::block_on(task)),
        4 => {
            let timeout = Duration::from_nanos(random.u64(..100_000));
            match task.join_timeout(timeout) {
                Some(result) => expect_possible(id, result),
                None => return Some(task),
            }
        }
        5 => match task.try_join() {
            Some(result) => expect_possible(id, result),
            None => return Some(task),
        },
        // It may come from `finally`, whose closure still runs behind the cancelled task.
        6 if task.cancel() => assert!(task.join().unwrap_err().is_cancelled()),
        7 => drop(task),
        8 => task.detach(),
        9 => drop(task.cancel_on_drop()),
        10 => {
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(result) = pin!(&mut task).poll(&mut context) {
                expect_possible(id, result);
            }
        }
        11 | 12 => return Some(many::link(shared, id, task, random)),
        _ => return Some(task),
    }
    None
}

pub(super) fn expect_possible(id: u64, result: Result<Value, TaskError>) {
    match result {
        Ok((given, _token)) => assert_eq!(given, id, "another task's value"),
        Err(TaskError::Panicked(panic)) => {
            assert_eq!(panic.message(), "a task of the program panics");
        }
        Err(TaskError::Cancelled | TaskError::Expired) => {}
        Err(TaskError::Rejected(_) | TaskError::Lost) => {}
        Err(other) => panic!("no task of the program ends like this: {other}"),
    }
}

/// Shuts down from one thread, from two at once, with a time limit, or from inside.
fn shut_down(pool: &Arc<WorkerPool>, random: &mut Rng) {
    match random.u8(..4) {
        0 => {
            let other = Arc::clone(pool);
            let other = thread::spawn(move || other.shutdown());
            pool.shutdown();
            other.join().unwrap();
        }
        1 => {
            let report = pool.shutdown_timeout(Duration::from_secs(3_600));
            assert!(report.is_clean(), "{report}");
        }
        2 => {
            let inside = Arc::downgrade(pool);
            pool.spawn(move || inside.upgrade().iter().for_each(|pool| pool.close())).detach();
        }
        _ => {}
    }
    pool.shutdown();
}

/// Asserts that every task that was handed in ended in exactly one way.
fn expect_sums(pool: &WorkerPool, shared: &Shared) {
    let metrics = pool.metrics();
    let ended = support::ended(&metrics);
    let handed_in = shared.handed_in.load(Ordering::SeqCst);
    assert_eq!(metrics.spawned, ended, "of {handed_in} handed in; no sum:\n{metrics}");
    assert_eq!((metrics.queue_depth, metrics.waiting_for_room), (0, 0));
    // The task that closes the pool from inside is one more.
    let beyond = metrics.spawned - handed_in;
    assert!(beyond <= 1, "{beyond} tasks that nobody handed in");
    support::tally(metrics.spawned, 0);
}
