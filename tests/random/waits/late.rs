//! Deadlines, and what is dropped and woken when they pass: this waits for pieces, which wait for
//! deadlines.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use corepool::cancel::UntilCancelled;
use corepool::{CancelToken, WorkerPool, blocking};
use fastrand::Rng;

use super::tree::Part;
use super::{Place, World};

/// Runs its piece on drop: where its task ran, or where the task's deadline dropped it.
struct Last {
    world: Arc<World>,
    part: Part,
    /// Has room for the message.
    sender: mpsc::SyncSender<u64>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let _gone = self.sender.send(self.part.run(&self.world));
    }
}

impl Wake for Last {
    fn wake(self: Arc<Self>) {
        // Dropping the last owner runs the piece.
    }
}

/// Something that ends at a deadline or shortly before, and a piece that then begins.
pub(super) fn task(world: &Arc<World>, place: Place<'_>, part: Part, random: &mut Rng) -> u64 {
    let soon = Duration::from_micros(random.u64(..2_000));
    let way = random.u8(..3);
    let Some(pool) = place.pool else { return part.run(world) };
    // A task that takes room keeps it until its closure is gone.
    let worker = part.with_room(place).is_none().then_some(0);
    let part = part.with_room(place).unwrap_or(part);
    let (sender, receiver) = mpsc::sync_channel(1);
    let last = Last { world: Arc::clone(world), part, sender };
    let mut kept = None;
    match way {
        0 => ends_late(pool, worker, soon, last),
        1 => ends_with_a_pool(soon, last),
        _ => kept = Some(is_woken_late(soon, last)),
    }
    let sum = blocking(|| receiver.recv()).expect("the piece runs in any case");
    drop(kept);
    sum
}

/// A task that may be too late to start.
fn ends_late(pool: &WorkerPool, worker: Option<usize>, soon: Duration, last: Last) {
    let task = pool.task().start_within(soon);
    match worker {
        Some(worker) => task.on_worker(worker).spawn(move || drop(last)).detach(),
        None => task.spawn(move || drop(last)).detach(),
    }
}

/// A task that is too late to start, and holds the last reference to its pool. The pool's only
/// worker is kept busy until then.
fn ends_with_a_pool(soon: Duration, last: Last) {
    let pool = WorkerPool::builder().workers(1).spare_workers(0).build();
    let pool = Arc::new(pool.expect("the system gives threads"));
    let ends = CancelToken::with_timeout(soon);
    let own = Arc::clone(&pool);
    pool.spawn(move || ends.wait()).detach();
    pool.task().start_within(soon / 2).spawn(move || drop((own, last))).detach();
}

/// A waker that is the last owner. It is woken and dropped when the time comes; the returned future
/// keeps it until then.
fn is_woken_late(soon: Duration, last: Last) -> Pin<Box<UntilCancelled>> {
    let mut ended = Box::pin(CancelToken::with_timeout(soon).cancelled());
    let waker = Waker::from(Arc::new(last));
    // If the time has already come, the waker is dropped here.
    let _is_over = ended.as_mut().poll(&mut Context::from_waker(&waker));
    ended
}
