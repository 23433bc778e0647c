//! Deadlines, and what is dropped and woken at their time: it waits for pieces that wait for
//! deadlines.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use corepool::{CancelToken, UntilCancelled, WorkerPool, blocking};
use fastrand::Rng;

use super::tree::Part;
use super::{Place, World};

/// Runs its piece in its drop: where its task ran, or where the deadline of that task had it
/// dropped.
struct Last {
    world: Arc<World>,
    part: Part,
    /// With room for the word.
    sender: mpsc::SyncSender<u64>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let _gone = self.sender.send(self.part.run(&self.world));
    }
}

impl Wake for Last {
    fn wake(self: Arc<Self>) {
        // The drop of the last owner runs it.
    }
}

/// Something that comes to its end at a deadline, or shortly before, and a piece that then begins.
pub(super) fn task(world: &Arc<World>, place: Place<'_>, part: Part, random: &mut Rng) -> u64 {
    let soon = Duration::from_micros(random.u64(..2_000));
    let way = random.u8(..3);
    let Some(pool) = place.pool else { return part.run(world) };
    // What takes room keeps it until its closure is gone.
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

/// A task that may come too late.
fn ends_late(pool: &WorkerPool, worker: Option<usize>, soon: Duration, last: Last) {
    let task = pool.task().start_within(soon);
    match worker {
        Some(worker) => task.on_worker(worker).spawn(move || drop(last)).detach(),
        None => task.spawn(move || drop(last)).detach(),
    }
}

/// A task that comes too late, and has the last of its pool, whose only worker is held up until
/// then.
fn ends_with_a_pool(soon: Duration, last: Last) {
    let pool = WorkerPool::builder().workers(1).spare_workers(0).build();
    let pool = Arc::new(pool.expect("the system gives threads"));
    let ends = CancelToken::with_timeout(soon);
    let own = Arc::clone(&pool);
    pool.spawn(move || ends.wait()).detach();
    pool.task().start_within(soon / 2).spawn(move || drop((own, last))).detach();
}

/// A waker that is the last owner, and is woken and dropped at the time. What is given keeps it
/// until then.
fn is_woken_late(soon: Duration, last: Last) -> Pin<Box<UntilCancelled>> {
    let mut ended = Box::pin(CancelToken::with_timeout(soon).cancelled());
    let waker = Waker::from(Arc::new(last));
    // If the time has come already, the waker is dropped here.
    let _is_over = ended.as_mut().poll(&mut Context::from_waker(&waker));
    ended
}
