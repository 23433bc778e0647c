//! Single tasks in great numbers: spawned and disposed of in every way, and doing everything that a
//! task may do.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use corepool::{
    CancelToken, Priority, TaskBuilder, TaskContext, TaskError, TaskHandle, WorkerPool, blocking,
};
use fastrand::Rng;

use super::book::{Book, Ticket};
use super::storm::{Storm, Value, some};

/// The panic message of tasks.
pub(super) const PANIC: &str = "a task of the storm panics";

/// What a task does.
#[derive(Clone, Copy)]
pub(super) enum Deed {
    Give,
    Drop,
    Panic,
    Yield,
    Spin(u8),
    Block,
    /// Spawns some tasks and joins them.
    Nest(u8),
    EndWorker,
    UntilCancelled,
}

impl Deed {
    /// Mostly the shortest deed, so that there can be many.
    pub(super) fn any(random: &mut Rng, storm: &Storm) -> Self {
        match random.u8(..) {
            0..120 => Self::Give,
            120..220 => Self::Drop,
            220..228 => Self::Panic,
            228..236 => Self::Yield,
            236..246 => Self::Spin(random.u8(..)),
            246 | 247 => Self::Block,
            248 if random.u8(..16) == 0 && storm.may_end_a_worker() => Self::EndWorker,
            249 => Self::UntilCancelled,
            _ => Self::Nest(random.u8(..6)),
        }
    }

    pub(super) fn run(self, ticket: Ticket, cx: Option<&TaskContext>) -> Value {
        ticket.run();
        match self {
            Self::Give => return Some(ticket),
            Self::Drop => {}
            Self::Panic => resume_unwind(Box::new(PANIC)),
            Self::Yield => thread::yield_now(),
            Self::Spin(times) => (0..u16::from(times) * 8).for_each(|_| std::hint::spin_loop()),
            Self::Block => blocking(thread::yield_now),
            Self::Nest(children) => nest(ticket.book(), children),
            Self::EndWorker => cx.map_or((), |cx| cx.end_worker()),
            Self::UntilCancelled => {
                (0..100).take_while(|_| cx.is_none_or(|cx| cx.check().is_ok())).for_each(drop);
            }
        }
        None
    }
}

/// Uses the pool that the book belongs to, because a task may run on a thread that is not one of
/// its workers.
fn nest(book: &Arc<Book>, children: u8) {
    let Some(pool) = book.pool() else { return };
    let children: Vec<_> = book
        .tickets(children.into())
        .into_iter()
        .map(|ticket| (ticket.id(), pool.spawn(move || Deed::Give.run(ticket, None))))
        .collect();
    for (id, child) in children.into_iter().rev() {
        book.saw(id, child.join());
    }
}

pub(super) type Open = (u32, TaskHandle<Value>);

/// A plain spawn.
pub(super) fn spawn(storm: &Storm, random: &mut Rng) -> Option<Open> {
    let ticket = storm.book.ticket()?;
    let deed = Deed::any(random, storm);
    let id = ticket.id();
    Some((id, storm.pool.spawn_with(move |cx| deed.run(ticket, Some(cx)))))
}

/// A spawn in one of the other ways. `None` if no task came of it.
fn spawn_somehow(storm: &Storm, random: &mut Rng) -> Option<Open> {
    let ticket = storm.book.ticket()?;
    let (deed, id) = (Deed::any(random, storm), ticket.id());
    let pool = &*storm.pool;
    let handle = match random.u8(..6) {
        0 => pool.try_spawn(move || deed.run(ticket, None)).ok()?,
        1 => pool.try_reserve().ok()?.spawn_with(move |cx| deed.run(ticket, Some(cx))),
        2 => pollster::block_on(pool.reserve()).ok()?.spawn(move || deed.run(ticket, None)),
        3 => {
            let mut future = pin!(pool.reserve());
            match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(permit) => permit.ok()?.spawn(move || deed.run(ticket, None)),
                Poll::Pending => {
                    storm.book.take_back();
                    return None;
                }
            }
        }
        4 => described(storm, pool, random).spawn_with(move |cx| deed.run(ticket, Some(cx))),
        _ => described(storm, pool, random).spawn(move || deed.run(ticket, None)),
    };
    Some((id, handle))
}

/// A task with some of the builder's options.
fn described<'pool>(
    storm: &Storm,
    pool: &'pool WorkerPool,
    random: &mut Rng,
) -> TaskBuilder<'pool> {
    let lanes = [Priority::High, Priority::Normal, Priority::Low];
    let mut task = pool.task().priority(lanes[random.usize(..3)]);
    match random.u8(..8) {
        0 => task = task.name("one of a storm"),
        1 => task = task.cancel_token(&storm.request),
        2 => task = task.cancel_token(&CancelToken::with_timeout(micros(random))),
        3 => task = task.on_worker(random.usize(..storm.workers)),
        _ => {}
    }
    match random.u8(..12) {
        0 => task.start_within(micros(random)),
        1 => task.start_by(Instant::now()),
        2 => task.run_for(micros(random)),
        _ => task,
    }
}

fn micros(random: &mut Rng) -> Duration {
    Duration::from_nanos(random.u64(..200_000))
}

/// Spawns all tasks at once, then takes all results.
pub(super) fn burst(storm: &Storm, random: &mut Rng) {
    let mut open: Vec<_> = (0..some(random)).filter_map(|_| spawn(storm, random)).collect();
    if random.bool() {
        random.shuffle(&mut open);
    }
    for (id, handle) in open {
        storm.book.saw(id, handle.join());
    }
}

/// Keeps some tasks open at all times.
pub(super) fn window(storm: &Storm, random: &mut Rng) {
    let width = random.usize(1..200);
    let mut open = Vec::with_capacity(width);
    for _ in 0..some(random) {
        let new = if random.u8(..4) == 0 { spawn_somehow } else { spawn };
        open.extend(new(storm, random));
        while open.len() >= width {
            let (id, handle) = open.swap_remove(random.usize(..open.len()));
            open.extend(dispose(storm, id, handle, random).map(|handle| (id, handle)));
        }
    }
    for (id, handle) in open {
        drop(dispose(storm, id, handle, random));
    }
}

/// The same from inside a task, whose children may outlive it.
pub(super) fn inside(storm: &Storm, random: &mut Rng) {
    let Some(ticket) = storm.book.ticket() else { return };
    let (id, count, keep) = (ticket.id(), some(random) / 2, random.bool());
    let parent = storm.pool.spawn(move || {
        ticket.run();
        let book = Arc::clone(ticket.book());
        let pool = book.pool()?;
        let spawn = |ticket: Ticket| {
            let id = ticket.id();
            (id, pool.spawn(move || Deed::Give.run(ticket, None)))
        };
        let children: Vec<Open> = book.tickets(count).into_iter().map(spawn).collect();
        if keep {
            children.into_iter().for_each(|(id, child)| book.saw(id, child.join()));
        }
        Some(ticket)
    });
    storm.book.saw(id, parent.join());
}

/// Long chains of continuations.
pub(super) fn chains(storm: &Storm, random: &mut Rng) {
    for _ in 0..random.usize(..20) {
        let Some((_id, mut last)) = spawn(storm, random) else { return };
        for ticket in storm.book.tickets(random.usize(..40)) {
            storm.book.continued.fetch_add(1, Ordering::Relaxed);
            last = match random.u8(..3) {
                0 => last.then(move |_| Deed::Give.run(ticket, None)),
                1 => last.recover(move |_: TaskError| Deed::Drop.run(ticket, None)),
                _ => last.finally(move || drop(Deed::Drop.run(ticket, None))),
            };
        }
        if random.u8(..4) == 0 {
            let _asked = last.cancel();
        }
        // The last result may come from an earlier task, so no number is checked.
        drop(last.join());
    }
}

/// Uses up a handle in a random way, or returns it.
pub(super) fn dispose(
    storm: &Storm,
    id: u32,
    mut handle: TaskHandle<Value>,
    random: &mut Rng,
) -> Option<TaskHandle<Value>> {
    let book = &storm.book;
    match random.u8(..16) {
        0..4 => book.saw(id, handle.join()),
        4 => book.saw(id, pollster::block_on(handle)),
        5 => match handle.join_timeout(micros(random)) {
            Some(result) => book.saw(id, result),
            None => return Some(handle),
        },
        6 => match handle.try_join() {
            Some(result) => book.saw(id, result),
            None => return Some(handle),
        },
        7 if handle.cancel() => {
            assert!(handle.is_finished());
            book.saw(id, handle.join());
        }
        8 => drop(handle),
        9 => handle.detach(),
        10 => drop(handle.cancel_on_drop()),
        11 => {
            let mut context = Context::from_waker(Waker::noop());
            match pin!(&mut handle).poll(&mut context) {
                Poll::Ready(result) => book.saw(id, result),
                Poll::Pending => return Some(handle),
            }
        }
        12 if random.u8(..16) == 0 => storm.attic.lock().unwrap().push(handle),
        _ => return Some(handle),
    }
    None
}
