//! A model of moved tasks: no thread takes all queues for empty while a task is between two of
//! them.
#![forbid(unsafe_code)]

use std::sync::Arc;

use loom::thread;

use super::Moves;
use crate::base::sync::explore;
use crate::parts::queue::Queue;
use crate::parts::queue::models::Item;

/// A closed pool of three workers. The first one moves tasks to its inbox.
struct Pool {
    shared: Queue<Box<Item>>,
    inbox: Queue<Box<Item>>,
    moves: Moves,
}

impl Pool {
    fn is_drained(&self) -> bool {
        Moves::none_missed(|| [&self.moves], || self.are_empty())
    }

    fn are_empty(&self) -> bool {
        self.shared.is_empty() && self.inbox.is_empty()
    }

    /// Runs something on a separate thread.
    fn beside<R: 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Self) -> R + 'static,
    ) -> thread::JoinHandle<R> {
        let pool = Arc::clone(self);
        thread::spawn(move || act(&pool))
    }
}

/// One worker takes a task and moves another along, one takes the last task, and one checks whether
/// it may leave. It may not while a task is left, because the worker that moves the task may wait
/// for it inside the one that it has taken.
#[test]
fn a_worker_leaves_only_when_no_task_is_on_its_way() {
    explore(|| {
        let pool =
            Arc::new(Pool { shared: Queue::new(), inbox: Queue::new(), moves: Moves::new() });
        (0..3).for_each(|number| pool.shared.push(Item::new(number)));
        let leaver = pool.beside(Pool::is_drained);
        let other = pool.beside(|pool| drop(pool.shared.pop()));
        let _found = pool.moves.during(|| pool.shared.pop_batch(8, &pool.inbox));
        other.join().unwrap();
        assert!(!leaver.join().unwrap() || pool.are_empty(), "a task was missed");
    });
}
