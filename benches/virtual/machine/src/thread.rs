//! Threads with the interface of the standard library, and the cores on which they run.

use std::cell::RefCell;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

pub use crate::local::{AccessError, LocalKey};
pub use std::thread::{Result, panicking};

use crate::clock;
use crate::world::{self, block, charge, in_order, with};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThreadId(usize);

#[derive(Debug, Clone)]
pub struct Thread {
    id: ThreadId,
    name: Option<String>,
}

impl Thread {
    pub fn id(&self) -> ThreadId {
        self.id
    }

    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub fn unpark(&self) {
        in_order();
        let id = self.id.0;
        with(|world| {
            let time = world.me().clock + world.costs.futex_wake + world.costs.wake_latency;
            if world.wake(id, time) {
                world.totals.wakes += 1;
                world.charge(|costs| costs.futex_wake);
            } else {
                world.threads[id].token = true;
                world.charge(|costs| costs.locked);
            }
        });
    }
}

pub fn current() -> Thread {
    let me = with(|world| (world.current, world.me().name.clone()));
    let (id, name) = me.unwrap_or((usize::MAX, None));
    Thread { id: ThreadId(id), name }
}

pub fn park() {
    park_until(None);
}

pub fn park_timeout(time: Duration) {
    park_until(Some(clock::nanos().saturating_add(clock::nanos_in(time))));
}

fn park_until(end: Option<u64>) {
    in_order();
    if with(|world| std::mem::take(&mut world.me().token)) == Some(false) {
        with(|world| world.totals.sleeps += 1);
        charge(|costs| costs.futex_wait);
        block(end);
    }
}

/// Leaves the core to other threads for this long.
pub fn sleep(time: Duration) {
    if world::is_running() {
        in_order();
        block(Some(clock::nanos().saturating_add(clock::nanos_in(time))));
    }
}

pub fn yield_now() {
    charge(|costs| costs.yield_call);
    world::yield_core();
}

/// A spin-loop hint.
pub fn spin_loop() {
    with(|world| {
        world.totals.pauses += 1;
        world.charge(|costs| costs.pause);
    });
    in_order();
}

/// How many cores a pool may use.
pub fn available_parallelism() -> io::Result<NonZeroUsize> {
    Ok(NonZeroUsize::new(usable_cores()).unwrap_or(NonZeroUsize::MIN))
}

/// How many cores a pool may use: those with the lowest numbers.
pub fn usable_cores() -> usize {
    with(|world| world.usable).unwrap_or(1)
}

/// The core on which the calling thread runs.
pub fn core() -> usize {
    with(|world| world.my_core()).unwrap_or(0)
}

/// The cores on which the calling thread may run.
pub fn mask() -> Vec<usize> {
    with(|world| world.me().mask.to_vec()).unwrap_or_default()
}

/// Sets the cores on which the calling thread may run, and moves it to one of them. There must be
/// at least one.
pub fn set_mask(cores: &[usize]) {
    charge(|costs| costs.futex_wait);
    world::set_mask(cores);
}

/// The number of the group of cores that share an L3, and the number of the socket.
pub fn neighbourhood(core: usize) -> (usize, usize) {
    let core = core as u64;
    let at = with(|world| (core / world.costs.cores_per_l3, core / world.costs.cores_per_socket));
    at.map_or((0, 0), |(l3, socket)| (l3 as usize, socket as usize))
}

/// The result of a thread. Both ends are used on one system thread.
struct Outcome<T>(Rc<RefCell<Option<Result<T>>>>);

// SAFETY: a machine runs on one system thread, and its handles are useless elsewhere.
unsafe impl<T> Send for Outcome<T> {}
// SAFETY: as for `Send`: only one system thread uses the handles.
unsafe impl<T> Sync for Outcome<T> {}

pub struct JoinHandle<T> {
    thread: Thread,
    outcome: Outcome<T>,
}

impl<T> std::fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinHandle").field("thread", &self.thread).finish_non_exhaustive()
    }
}

impl<T> JoinHandle<T> {
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    pub fn is_finished(&self) -> bool {
        with(|world| world.has_ended(self.thread.id.0)).unwrap_or(true)
    }

    pub fn join(self) -> Result<T> {
        in_order();
        let id = self.thread.id.0;
        let waits = with(|world| {
            let waits = !world.has_ended(id);
            if waits {
                let me = world.current;
                world.threads[id].joiners.push(me);
            }
            waits
        });
        if waits == Some(true) {
            block(None);
        }
        self.outcome.0.borrow_mut().take().expect("the thread has ended")
    }
}

#[derive(Debug, Default)]
pub struct Builder {
    name: Option<String>,
    stack: Option<usize>,
}

impl Builder {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack = Some(bytes);
        self
    }

    pub fn spawn<F, T>(self, program: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let outcome = Rc::new(RefCell::new(None));
        let left = Rc::clone(&outcome);
        let program = move || {
            let result = catch_unwind(AssertUnwindSafe(program));
            *left.borrow_mut() = Some(result);
        };
        let stack = self.stack.unwrap_or(1 << 20);
        let id = ThreadId(world::start(Box::new(program), self.name.clone(), stack));
        let thread = Thread { id, name: self.name };
        Ok(JoinHandle { thread, outcome: Outcome(outcome) })
    }
}

pub fn spawn<F, T>(program: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(program).expect("a virtual thread can always be started")
}
