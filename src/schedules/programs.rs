//! Random programs on the whole pool. The schedule's own randomness draws them, so a replay draws
//! the same ones.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};

use super::{end_with, outside, pool_of};
use crate::base::error::TaskError;
use crate::base::sync::schedule::explore;
use crate::pool::WorkerPool;
use crate::pool::handle::TaskHandle;
use crate::sched::config::{Dispatch, Priority};

/// The result of each task: its number, and a value whose owners are counted.
type Given = (Arc<()>, u32);

/// A handle, the number that its task should return, and whether the task may have been cancelled.
struct Kept {
    handle: TaskHandle<Given>,
    number: u32,
    is_cancelled: bool,
}

/// A submitter that runs a random program.
struct Submitter<'pool> {
    pool: &'pool Arc<WorkerPool>,
    owned: Arc<()>,
    kept: Vec<Kept>,
}

impl Submitter<'_> {
    fn step(&mut self, number: u32) {
        match thread_rng().gen_range(0..13) {
            0..4 => self.spawn(number),
            4 => self.spawn_nested(number),
            5 => self.join_some(),
            6 => self.cancel_some(),
            7 => self.drop_some(),
            8 => self.chain_some(),
            9 => self.wait_for_some(),
            10 => self.scope(),
            11 => self.fork(),
            _ if thread_rng().gen_range(0..6) == 0 => self.pool.close(),
            _ => self.batch(),
        }
    }

    fn keep(&mut self, handle: TaskHandle<Given>, number: u32) {
        self.kept.push(Kept { handle, number, is_cancelled: false });
    }

    fn spawn(&mut self, number: u32) {
        let owned = Arc::clone(&self.owned);
        let priority = [Priority::High, Priority::Normal, Priority::Normal, Priority::Low];
        let priority = priority[thread_rng().gen_range(0..priority.len())];
        let handle = self.pool.task().priority(priority).spawn(move || (owned, number));
        self.keep(handle, number);
    }

    fn spawn_nested(&mut self, number: u32) {
        let (owned, pool) = (Arc::clone(&self.owned), Arc::clone(self.pool));
        let handle = self.pool.spawn(move || {
            let inner = pool.spawn(move || number);
            let detached = pool.spawn(|| ());
            match inner.join() {
                Ok(same) => assert_eq!(same, number),
                Err(TaskError::Rejected(_)) => assert!(pool.is_closed()),
                Err(other) => panic!("a task that nobody cancelled: {other}"),
            }
            detached.detach();
            (owned, number)
        });
        self.keep(handle, number);
    }

    fn take_some(&mut self) -> Option<Kept> {
        let count = self.kept.len();
        (count > 0).then(|| self.kept.swap_remove(thread_rng().gen_range(0..count)))
    }

    fn join_some(&mut self) {
        if let Some(kept) = self.take_some() {
            kept.settle(self.pool);
        }
    }

    fn cancel_some(&mut self) {
        if let Some(mut kept) = self.take_some() {
            kept.is_cancelled |= kept.handle.cancel();
            self.kept.push(kept);
        }
    }

    fn drop_some(&mut self) {
        if let Some(kept) = self.take_some() {
            if thread_rng().gen_range(0..2) == 0 {
                drop(kept.handle.cancel_on_drop());
            }
        }
    }

    fn chain_some(&mut self) {
        if let Some(kept) = self.take_some() {
            let handle = kept.handle.then(|given| given);
            self.kept.push(Kept { handle, ..kept });
        }
    }

    fn wait_for_some(&mut self) {
        if let Some(mut kept) = self.take_some() {
            match kept.handle.join_timeout(Duration::from_micros(30)) {
                Some(result) => judge(result, kept.number, kept.is_cancelled, self.pool),
                None => self.kept.push(kept),
            }
        }
    }

    fn scope(&self) {
        let mut places = [0; 2];
        self.pool.scope(|scope| {
            for place in &mut places {
                scope.spawn(move || *place = 1);
            }
        });
        assert_eq!(places, [1, 1]);
    }

    fn fork(&self) {
        let both = self.pool.join(|| self.pool.join(|| 1, || 2), || 3);
        assert_eq!(both, ((1, 2), 3));
    }

    fn batch(&self) {
        let closures = (0..3).map(|n| {
            let owned = Arc::clone(&self.owned);
            move || (owned, n)
        });
        let mut set = self.pool.spawn_batch(closures);
        let _first = set.next();
    }
}

impl Kept {
    fn settle(self, pool: &WorkerPool) {
        judge(self.handle.join(), self.number, self.is_cancelled, pool);
    }
}

fn judge(result: Result<Given, TaskError>, number: u32, is_cancelled: bool, pool: &WorkerPool) {
    match result {
        Ok((_, given)) => assert_eq!(given, number, "a task gave what another was to give"),
        Err(TaskError::Cancelled) => assert!(is_cancelled, "nobody cancelled this one"),
        Err(TaskError::Rejected(_)) => assert!(pool.is_closed(), "an open pool refused a task"),
        Err(other) => panic!("nothing of that kind was asked for: {other}"),
    }
}

fn run(pool: &Arc<WorkerPool>, submitters: usize, steps: u32) {
    let owned = Arc::new(());
    let kept = Arc::downgrade(&owned);
    outside(submitters, pool, move |pool, _| {
        let owned = kept.upgrade().expect("it lives to the end");
        let mut submitter = Submitter { pool, owned, kept: Vec::new() };
        for number in 0..steps {
            submitter.step(number);
        }
        for kept in submitter.kept {
            kept.settle(pool);
        }
    });
    end_with(pool, &owned);
}

#[test]
fn random_programs_of_two_submitters_end_with_everything_settled() {
    explore(|| run(&pool_of(WorkerPool::builder().workers(2)), 2, 8));
}

#[test]
fn random_programs_of_three_submitters_end_with_everything_settled() {
    explore(|| run(&pool_of(WorkerPool::builder().workers(3).spare_workers(2)), 3, 5));
}

#[test]
fn random_programs_on_a_pool_that_deals_end_with_everything_settled() {
    explore(|| {
        let dealing = WorkerPool::builder().workers(2).dispatch(Dispatch::RoundRobin);
        run(&pool_of(dealing), 2, 6);
    });
}
