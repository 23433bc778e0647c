//! One random program: a pool, one thread that uses it, and the book that records everything.

use std::ops::Range;
use std::time::Duration;

use corepool::{CancelToken, Dispatch, TaskHandle, WhenFull, WorkerPool};
use fastrand::Rng;

use super::body::{Body, Value};
use super::book::{At, Book, Entry, Kind};
use super::ends::How;
use super::promises::Bundle;
use super::sets::Set;
use crate::support::{self, Gate, until};

/// The configuration of the pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) workers: usize,
    pub(crate) capacity: Option<usize>,
    pub(crate) when_full: WhenFull,
    pub(crate) has_batches: bool,
}

/// A closed gate that opens on drop, also when a test fails.
#[derive(Debug)]
pub(crate) struct Closed(Gate);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[derive(Debug)]
pub(crate) struct Program {
    /// Holds all workers back. Declared before the pool, whose drop waits for the workers.
    pub(crate) gate: Option<Closed>,
    pub(crate) pool: WorkerPool,
    pub(crate) shape: Shape,
    pub(crate) random: Rng,
    pub(crate) book: Book,
    pub(crate) open: Vec<(usize, TaskHandle<Value>)>,
    pub(crate) sets: Vec<Set>,
    pub(crate) bundles: Vec<Bundle>,
    pub(crate) tokens: Vec<CancelToken>,
    pub(crate) is_closed: bool,
}

pub(crate) fn run(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let (pool, shape) = random_pool(&mut random);
    let mut program = Program {
        pool,
        shape,
        random,
        book: Book::default(),
        open: Vec::new(),
        sets: Vec::new(),
        bundles: Vec::new(),
        tokens: Vec::new(),
        gate: None,
        is_closed: false,
    };
    for _ in 0..program.random.usize(5..=40) {
        program.step();
        program.expect_depth();
    }
    program.end();
}

fn random_pool(random: &mut Rng) -> (WorkerPool, Shape) {
    let policies = [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest];
    let shape = Shape {
        workers: [1, 1, 2, 8][random.usize(..4)],
        capacity: random.bool().then(|| random.usize(..5)),
        when_full: policies[random.usize(..4)],
        has_batches: false,
    };
    let dispatch = if random.u8(..3) == 0 { Dispatch::RoundRobin } else { Dispatch::FreeWorker };
    let times = random.u8(..4) == 0;
    let mut builder = WorkerPool::builder().workers(shape.workers).dispatch(dispatch);
    builder = builder.record_timing(times).when_full(shape.when_full);
    if let Some(capacity) = shape.capacity {
        builder = builder.queue_capacity(capacity);
    }
    let has_batches = shape.capacity.is_none() && !times && dispatch == Dispatch::FreeWorker;
    (builder.build().unwrap(), Shape { has_batches, ..shape })
}

impl Program {
    fn step(&mut self) {
        match self.random.u8(..32) {
            0..8 => self.spawn(),
            8..10 => self.observe(),
            10..12 => self.cancel(),
            12..14 => self.let_go(),
            14..18 => self.link(),
            18 | 19 => self.hold(),
            20 => self.release(),
            21 => self.make_set(),
            22 => self.spawn_batch(),
            23 => self.broadcast(),
            24..26 => self.use_set(),
            26 => self.bundle(),
            27 => self.use_bundle(),
            28 => self.tokens.push(CancelToken::new()),
            29 => self.cancel_token(),
            30 => self.use_set(),
            _ if self.random.u8(..6) == 0 => self.close(),
            _ => self.spawn(),
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.gate.is_some()
    }

    /// Keeps all workers busy, each with a task that ends when the gate is opened.
    fn hold(&mut self) {
        if self.is_held() || self.is_closed {
            return;
        }
        self.rest();
        let gate = Gate::default();
        let first = self.book.len();
        for worker in 0..self.shape.workers {
            let (id, mut body) = self.body();
            body.gate = Some(gate.clone());
            let number = self.random_token().filter(|_| self.random.bool());
            let number = number.filter(|number| !self.tokens[*number].is_cancelled());
            self.book.of_mut(id).token = number;
            let mut task = self.pool.task().on_worker(worker);
            if let Some(number) = number {
                task = task.cancel_token(&self.tokens[number]);
            }
            self.open.push((id, task.spawn_with(move |cx| body.run(Some(cx)))));
            let life = self.book.of(id).life.clone();
            until(|| life.ran() == 1);
        }
        // Each worker has settled what it ran before.
        self.book.rest();
        (first..self.book.len()).for_each(|id| self.book.of_mut(id).at = At::Running);
        self.gate = Some(Closed(gate));
    }

    /// Waits until every task that was ever spawned has ended.
    fn rest(&self) {
        until(|| self.ended() == self.book.len() as u64);
    }

    fn ended(&self) -> u64 {
        support::ended(&self.pool.metrics())
    }

    fn release(&mut self) {
        if self.gate.take().is_some() {
            self.book.release();
        }
    }

    fn close(&mut self) {
        self.pool.close();
        self.is_closed = true;
    }

    fn cancel_token(&mut self) {
        let Some(number) = self.random_token() else { return };
        self.tokens[number].cancel();
        for id in self.book.ids() {
            if self.book.of(id).token == Some(number) {
                self.book.cancel(id, None);
            }
        }
        self.note_settled_outside();
    }

    pub(crate) fn random_token(&mut self) -> Option<usize> {
        (!self.tokens.is_empty()).then(|| self.random.usize(..self.tokens.len()))
    }

    /// Records that this thread may have settled a task whose state is uncertain. On a closed pool
    /// the workers may be gone, so that continuations may not run.
    pub(crate) fn note_settled_outside(&mut self) {
        if self.is_closed && !self.is_held() {
            self.book.widen(|entry| entry.kind != Kind::Root, |fates| fates.rejected = true);
        }
    }

    pub(crate) fn take_handle(&mut self) -> Option<(usize, TaskHandle<Value>)> {
        let count = self.open.len();
        (count > 0).then(|| self.open.swap_remove(self.random.usize(..count)))
    }

    /// Whether a wait for this task ends.
    pub(crate) fn will_settle(&self, id: usize) -> bool {
        !self.is_held() || self.book.of(id).at == At::Settled
    }

    /// While everything is certain, the pool must report the right number of waiting tasks.
    fn expect_depth(&self) {
        if self.is_held() && !self.book.any(|entry| entry.at == At::Loose) {
            let depth = self.pool.metrics().queue_depth;
            assert_eq!(depth, self.book.queued(), "tasks that wait: {:#?}", self.book);
        }
    }

    fn end(mut self) {
        if self.is_held() && self.random.u8(..3) == 0 {
            self.give_up();
        } else if self.random.bool() {
            self.close();
        }
        self.release();
        if self.random.bool() {
            self.pool.shutdown();
        } else {
            let report = self.pool.shutdown_timeout(Duration::from_secs(3_600));
            assert!(report.is_clean(), "{report}");
        }
        self.pool.shutdown();
        self.is_closed = true;
        self.book.rest();
        for _ in 0..self.random.usize(..3) {
            self.link();
        }
        self.book.rest();
        self.take_all();
        self.expect_sums();
        drop(self.pool);
        self.book.expect_ended();
    }

    /// Ends the pool with a deadline that has passed, while all workers are held back.
    fn give_up(&mut self) {
        let report = self.pool.shutdown_timeout(Duration::ZERO);
        self.is_closed = true;
        let is_certain = |entry: &Entry| entry.kind == Kind::Root && entry.at != At::Loose;
        if self.book.any(|entry| entry.at != At::Settled && !is_certain(entry)) {
            // The order is not specified: a task may end before or after its continuation.
            self.release();
            self.book.widen(
                |entry| entry.life.ran() == 0,
                |fates| (fates.cancelled, fates.rejected) = (true, true),
            );
            return;
        }
        assert_eq!(report.cancelled, self.book.queued() as u64, "{report}");
        assert_eq!(report.abandoned.len(), self.shape.workers, "{report}");
        while let Some(id) = self.book.oldest() {
            self.book.settle(id, How::Cancelled);
        }
    }

    /// Takes all results; after a shutdown every handle has one.
    fn take_all(&mut self) {
        while let Some((id, mut task)) = self.take_handle() {
            let result = task.try_join().expect("after a shutdown every handle is settled");
            self.saw(id, result);
        }
        for set in std::mem::take(&mut self.sets) {
            set.drain(&mut self.book);
        }
        for bundle in std::mem::take(&mut self.bundles) {
            bundle.finish(&mut self.book);
        }
    }

    fn expect_sums(&self) {
        let metrics = self.pool.metrics();
        assert_eq!(metrics.spawned, self.book.len() as u64, "{metrics}");
        let left = (metrics.queue_depth, metrics.waiting_for_room);
        assert_eq!(left, (0, 0), "{metrics}\n{:#?}", self.book);
        assert_eq!(metrics.lost, 0, "{metrics}");
        let counts = [
            (How::Value, metrics.completed),
            (How::Panicked, metrics.panicked),
            (How::Cancelled, metrics.cancelled),
            (How::Expired, metrics.expired),
            (How::Rejected, metrics.rejected),
        ];
        for (how, count) in counts {
            let bounds = self.book.bounds(how);
            assert!(bounds.contains(&count), "{how:?}: {bounds:?} are possible:\n{metrics}");
        }
        assert_eq!(self.ended(), metrics.spawned, "{metrics}");
        support::tally(metrics.spawned, 0);
    }

    /// A new task's closure.
    pub(crate) fn body(&mut self) -> (usize, Body) {
        self.body_of(Kind::Root)
    }

    pub(crate) fn body_of(&mut self, kind: Kind) -> (usize, Body) {
        let panics = self.random.u8(..6) == 0;
        let id = self.book.add(kind, panics);
        let token = self.book.of(id).life.token();
        (id, Body { id, panics, token, gate: None })
    }

    pub(crate) fn bodies(&mut self, count: usize) -> (Range<usize>, Vec<Body>) {
        let first = self.book.len();
        let bodies = (0..count).map(|_| self.body().1).collect();
        (first..first + count, bodies)
    }
}
