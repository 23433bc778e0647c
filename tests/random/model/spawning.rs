//! The ways to spawn into the pool, and what the model says of each.

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use corepool::errors::Closed;
use corepool::{Priority, TaskHandle, TaskSet, WhenFull};

use super::body::{Body, Value};
use super::book::{At, Fates, Kind};
use super::ends::How;
use super::program::Program;
use super::sets::Set;

/// A task, or whether it was refused because the pool is closed, and not because it is full.
type Tried = Result<TaskHandle<Value>, bool>;

impl Program {
    pub(crate) fn spawn(&mut self) {
        match self.random.u8(..6) {
            0 => self.try_spawn(),
            1 => self.reserve(),
            2 | 3 => self.spawn_described(),
            _ if !self.may_spawn(1) => {}
            other => {
                let (id, body) = self.body();
                let task = match other {
                    4 => self.pool.spawn(move || body.run(None)),
                    _ => self.pool.spawn_with(move |cx| body.run(Some(cx))),
                };
                self.open.push((id, task));
                self.note_spawned(id, true);
            }
        }
    }

    /// The number of free places while all workers are held back. The tasks that hold the workers
    /// have no place. `None` without a bound.
    fn room(&self) -> Option<usize> {
        let places = self.shape.capacity? + self.shape.workers;
        Some(places - self.book.places_taken())
    }

    fn is_surely_full(&self) -> bool {
        self.is_held() && self.room() == Some(0)
    }

    /// Whether this many spawns in a row block no thread and have a certain result.
    fn may_spawn(&self, count: usize) -> bool {
        let has_room = self.room().is_none_or(|room| room >= count);
        if !self.is_held() || self.is_closed || has_room {
            return true;
        }
        match self.shape.when_full {
            WhenFull::Block => false,
            // A displaced task may release a link, whose place in the order is not specified.
            WhenFull::DropOldest => {
                !self.book.any(|entry| entry.kind != Kind::Root && entry.at != At::Settled)
            }
            _ => true,
        }
    }

    /// Records what becomes of a task that was handed in. `placed`: whether it needs a place in a
    /// bounded pool.
    fn note_spawned(&mut self, id: usize, placed: bool) {
        let is_bounded = placed && self.shape.capacity.is_some();
        if self.is_closed {
            self.book.settle(id, How::Rejected);
        } else if !self.is_held() {
            self.note_policy(id, is_bounded);
        } else if !is_bounded || self.room() != Some(0) {
            self.book.of_mut(id).has_place = is_bounded;
            self.book.queue(id);
        } else {
            match self.shape.when_full {
                WhenFull::Reject => self.book.settle(id, How::Rejected),
                WhenFull::CallerRuns => self.book.settle(id, How::Value),
                WhenFull::DropOldest => self.displace_for(id),
                other => panic!("nobody can spawn here: {other:?}"),
            }
        }
    }

    /// Records what may happen when nothing is certain and the pool may be full.
    fn note_policy(&mut self, id: usize, is_bounded: bool) {
        match self.shape.when_full {
            WhenFull::Reject if is_bounded => self.book.of_mut(id).fates.rejected = true,
            WhenFull::DropOldest if is_bounded => {
                self.book.of_mut(id).fates.rejected = true;
                self.book.widen(|_| true, |fates| fates.rejected = true);
            }
            _ => {}
        }
    }

    fn displace_for(&mut self, id: usize) {
        while let Some(oldest) = self.book.oldest() {
            self.book.settle(oldest, How::Rejected);
            if self.book.of(oldest).has_place {
                break;
            }
        }
        self.book.of_mut(id).has_place = true;
        self.book.queue(id);
    }

    fn try_spawn(&mut self) {
        let (id, body) = self.body();
        let tried = if self.random.bool() {
            self.pool.try_spawn(move || body.run(None)).map_err(|refused| refused.is_full())
        } else {
            let permit = self.pool.try_reserve().map_err(|refused| refused.is_full());
            permit.map(|permit| permit.spawn_with(move |cx| body.run(Some(cx))))
        };
        if self.is_surely_full() && !self.is_closed {
            assert!(matches!(tried, Err(true)), "{tried:?}");
        }
        self.note_tried(id, tried.map_err(|is_full| !is_full));
    }

    /// Polls the future once, or to the end where it is certain to end. A future that is still
    /// pending is dropped, and so is now and then a permit. Then no task was handed in.
    fn reserve(&mut self) {
        let (id, body) = self.body();
        if !self.is_held() && self.random.bool() {
            let permit = pollster::block_on(self.pool.reserve());
            let tried = permit.map(|permit| permit.spawn(move || body.run(None)));
            return self.note_tried(id, tried.map_err(|Closed| true));
        }
        let is_full = self.is_surely_full() && !self.is_closed;
        let polled = {
            let mut future = pin!(self.pool.reserve());
            future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        assert!(!self.is_held() || polled.is_pending() == is_full);
        match polled {
            Poll::Ready(permit) if permit.is_err() || self.random.u8(..4) > 0 => {
                let task = permit.map(|permit| permit.task().spawn(move || body.run(None)));
                self.note_tried(id, task.map_err(|Closed| true));
            }
            _unused_or_pending => {
                drop(body);
                self.book.forget_last();
            }
        }
    }

    fn note_tried(&mut self, id: usize, tried: Tried) {
        let held_and_open = self.is_held() && !self.is_closed;
        match tried {
            Ok(task) => {
                assert!(!self.is_closed, "a closed pool accepts nothing");
                self.open.push((id, task));
                if held_and_open {
                    self.book.of_mut(id).has_place = self.shape.capacity.is_some();
                    self.book.queue(id);
                }
            }
            Err(is_closed) => {
                assert_eq!(is_closed, self.is_closed);
                self.book.settle(id, How::Rejected);
            }
        }
    }

    /// Spawns with the builder and all of its options.
    fn spawn_described(&mut self) {
        let worker = (self.random.u8(..3) == 0).then(|| self.random.usize(..self.shape.workers));
        if worker.is_none() && !self.may_spawn(1) {
            return;
        }
        let number = self.random_token().filter(|_| self.random.bool());
        let is_late = self.random.u8(..5) == 0;
        let dead = match number {
            Some(number) if self.tokens[number].is_cancelled() => Some(How::Cancelled),
            _ => is_late.then_some(How::Expired),
        };
        // A task that never starts can still be refused or displace another one. That is not tested
        // here.
        if dead.is_some() && self.is_surely_full() {
            return;
        }
        let lanes = [Priority::High, Priority::Normal, Priority::Low];
        let (id, body) = self.body();
        let mut task = self.pool.task().name("named").priority(lanes[self.random.usize(..3)]);
        if let Some(worker) = worker {
            task = task.on_worker(worker);
        }
        if let Some(number) = number {
            task = task.cancel_token(&self.tokens[number]);
            self.book.of_mut(id).token = Some(number);
        }
        if is_late {
            task = task.start_by(Instant::now());
        }
        self.open.push((id, task.spawn_with(move |cx| body.run(Some(cx)))));
        match dead.filter(|_| !self.is_closed) {
            None => self.note_spawned(id, worker.is_none()),
            Some(how) => self.note_dead(id, how, worker.is_none()),
        }
    }

    /// Records a task whose time was over, or whose token had ended, before it was spawned.
    fn note_dead(&mut self, id: usize, how: How, placed: bool) {
        self.book.of_mut(id).fates = Fates::only(how);
        if !self.is_held() {
            self.note_policy(id, placed && self.shape.capacity.is_some());
        }
        let entry = self.book.of_mut(id);
        entry.at = At::Settled;
        assert_eq!((entry.life.ran(), entry.life.dropped()), (0, 1), "it ends before it begins");
    }

    pub(crate) fn spawn_batch(&mut self) {
        let count = [0, 1, 3, 8, 70][self.random.usize(..5)];
        if !self.shape.has_batches && !self.may_spawn(count) {
            return;
        }
        let (ids, bodies) = self.bodies(count);
        let closures = bodies.into_iter().map(|body: Body| move || body.run(None));
        let set = self.pool.spawn_batch(closures);
        for id in ids.clone() {
            self.note_spawned(id, !self.shape.has_batches);
        }
        self.keep_set(set, ids.collect());
    }

    pub(crate) fn broadcast(&mut self) {
        let (ids, bodies) = self.bodies(self.shape.workers);
        let bodies: Vec<_> = bodies.into_iter().map(|body| Mutex::new(Some(body))).collect();
        let set = self.pool.broadcast(move |worker| {
            let body = bodies[worker.id.index()].lock().unwrap().take();
            body.expect("once on each worker").run(None)
        });
        for id in ids.clone() {
            self.book.of_mut(id).shares = true;
            self.note_spawned(id, false);
        }
        self.keep_set(set, ids.collect());
    }

    fn keep_set(&mut self, set: TaskSet<Value>, members: Vec<usize>) {
        let cancels = self.random.u8(..3) == 0;
        let set = if cancels { set.cancel_on_drop() } else { set };
        assert_eq!(set.len(), members.len());
        self.sets.push(Set { set, members, unnamed: Vec::new(), cancels });
    }
}
