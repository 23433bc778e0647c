//! Threads, cores, and the scheduler that decides which thread runs next.

use std::any::Any;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::panic::Location;
use std::rc::Rc;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::costs::Costs;
use crate::heap;
use crate::line::{Addresses, Line, MOST_CORES};
use crate::report::{Spent, Totals};

pub(crate) type Place = &'static Location<'static>;
type Stack = Coroutine<(), (), ()>;

/// The smallest stack of a thread.
const LEAST_STACK: usize = 256 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Has its core, or waits in that core's queue.
    Runnable,
    Blocked,
    Ended,
}

pub(crate) struct Thread {
    coroutine: Option<Stack>,
    yielder: *const Yielder<(), ()>,
    pub(crate) clock: u64,
    /// Heap entries from an earlier turn are no longer valid.
    turn: u64,
    state: State,
    /// The last wait ended by its timeout, before another thread woke this one.
    timed_out: bool,
    /// A wake-up that came while the thread was awake.
    pub(crate) token: bool,
    /// When the store buffer will be empty.
    pub(crate) stores_until: u64,
    /// The last miss: where it was, of which line, and when it was over.
    pub(crate) last_miss: Option<(Place, usize, u64)>,
    /// When the lines that were requested last will arrive.
    pub(crate) prefetches: VecDeque<u64>,
    pub(crate) spent: Spent,
    pub(crate) core: usize,
    /// The cores on which it may run.
    pub(crate) mask: Rc<[usize]>,
    pub(crate) joiners: Vec<usize>,
    pub(crate) name: Option<String>,
    pub(crate) locals: Vec<Option<Rc<dyn Any>>>,
    pub(crate) locals_are_gone: bool,
}

#[derive(Default)]
pub(crate) struct Core {
    holder: Option<usize>,
    last: Option<usize>,
    pub(crate) line: VecDeque<usize>,
    /// When the last holder released it, or the present one got it.
    since: u64,
    /// The time that other cores have taken from it by interrupts.
    pub(crate) interrupts: u64,
}

/// Time, order of entry, thread, and the thread's turn.
type Entry = Reverse<(u64, u64, usize, u64)>;

pub(crate) struct World {
    pub(crate) costs: Costs,
    pub(crate) threads: Vec<Thread>,
    pub(crate) cores: Vec<Core>,
    /// How many cores a pool may use. The others are for the submitters.
    pub(crate) usable: usize,
    /// How many threads wait in queues for a core.
    in_line: usize,
    ready: BinaryHeap<Entry>,
    /// The earliest time in `ready`.
    pub(crate) next: u64,
    pub(crate) current: usize,
    entries: u64,
    pub(crate) lines: Addresses<usize, Line>,
    pub(crate) futexes: HashMap<usize, VecDeque<usize>>,
    pub(crate) totals: Totals,
    pub(crate) spots: HashMap<(usize, *const Location<'static>), (Place, u64, u64)>,
    /// When each piece of the user's work began, and how long it took.
    pub(crate) works: Vec<(u64, u64)>,
}

std::thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Accesses the world, if there is one. The closure must not call this again.
pub(crate) fn with<R>(look: impl FnOnce(&mut World) -> R) -> Option<R> {
    WORLD.with_borrow_mut(|world| world.as_mut().map(look))
}

/// Whether the caller is a thread of a virtual machine.
pub fn is_running() -> bool {
    WORLD.with_borrow(Option::is_some)
}

/// Runs a program as the first thread of a machine in which a pool may use `usable` cores. The
/// first thread and the threads that it starts run on additional cores until they are given others.
/// When the first thread ends, all remaining threads stop where they are.
///
/// # Panics
///
/// If all threads wait for one another.
pub fn run(costs: Costs, usable: usize, program: impl FnOnce() + 'static) {
    let beside = (MOST_CORES - usable).min(64);
    let world = World {
        costs,
        threads: Vec::new(),
        cores: (0..usable + beside).map(|_| Core::default()).collect(),
        usable,
        in_line: 0,
        ready: BinaryHeap::new(),
        next: u64::MAX,
        current: 0,
        entries: 0,
        lines: Addresses::default(),
        futexes: HashMap::new(),
        totals: Totals::default(),
        spots: HashMap::new(),
        works: Vec::new(),
    };
    WORLD.set(Some(world));
    start(Box::new(program), Some("main".to_owned()), 4 << 20);
    while let Some(mut coroutine) = with(World::next_coroutine).flatten() {
        match coroutine.resume(()) {
            CoroutineResult::Yield(()) => {
                with(|world| {
                    let current = world.current;
                    world.threads[current].coroutine = Some(coroutine);
                });
            }
            CoroutineResult::Return(()) => {
                if with(World::end_current) == Some(0) {
                    break;
                }
            }
        }
    }
    let world = WORLD.take().expect("nobody else takes it");
    assert!(world.threads[0].state == State::Ended, "all wait: {:#?}", world.left());
    // These are the stacks of threads that still wait. Unwinding them would run their destructors
    // without a machine.
    std::mem::forget(world);
}

/// Starts a thread. It begins with its starter's mask.
pub(crate) fn start(program: Box<dyn FnOnce()>, name: Option<String>, stack: usize) -> usize {
    let stack = DefaultStack::new(stack.max(LEAST_STACK)).expect("memory for a stack");
    let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
        with(|world| world.me().yielder = yielder);
        program();
        let locals = with(|world| {
            world.me().locals_are_gone = true;
            std::mem::take(&mut world.me().locals)
        });
        drop(locals);
    });
    with(|world| world.add(coroutine, name)).expect("threads are started inside of a machine")
}

/// The user's own work.
pub fn work(nanos: u64) {
    with(|world| {
        world.totals.work += nanos;
        let now = world.me().clock;
        world.works.push((now, nanos));
        world.me().spent.work += nanos;
        world.me().clock += nanos;
    });
}

/// Advances the calling thread's clock.
pub(crate) fn charge(price: impl FnOnce(&Costs) -> u64) {
    with(|world| world.charge(price));
}

/// Lets all threads with an earlier time go first. What the caller does next happens in the order
/// of time.
pub(crate) fn in_order() {
    if with(World::has_to_wait) == Some(true) {
        suspend();
    }
}

/// Gives the core to another thread that waits for it, if there is one.
pub(crate) fn yield_core() {
    if with(World::gives_way) == Some(true) {
        suspend();
    } else {
        in_order();
    }
}

/// Sets the mask of the calling thread, and moves it to a core in the mask.
pub(crate) fn set_mask(mask: &[usize]) {
    if with(|world| world.moves(mask)) == Some(true) {
        suspend();
    }
}

/// Sleeps until another thread wakes this one, or until the given time. Returns whether it was
/// woken.
pub(crate) fn block(until: Option<u64>) -> bool {
    let since = with(|world| {
        world.lie_down(until);
        world.me().clock
    });
    suspend();
    with(|world| {
        let thread = world.me();
        thread.spent.asleep += thread.clock - since.unwrap_or(thread.clock);
        !thread.timed_out
    })
    .unwrap_or(true)
}

fn suspend() {
    let yielder = with(|world| world.me().yielder).expect("a thread of a machine");
    // SAFETY: the yielder belongs to the running coroutine, and lives as long as the coroutine's
    // stack.
    unsafe { (*yielder).suspend(()) };
}

impl World {
    #[inline]
    pub(crate) fn me(&mut self) -> &mut Thread {
        &mut self.threads[self.current]
    }

    pub(crate) fn charge(&mut self, price: impl FnOnce(&Costs) -> u64) {
        let price = price(&self.costs);
        self.me().clock += price;
    }

    pub(crate) fn my_core(&self) -> usize {
        self.threads[self.current].core
    }

    fn add(&mut self, coroutine: Stack, name: Option<String>) -> usize {
        let id = self.threads.len();
        let is_first = id == 0;
        if !is_first {
            self.charge(|costs| costs.start_thread);
        }
        let clock = if is_first { 0 } else { self.me().clock };
        let mask = if is_first {
            (self.usable..self.cores.len()).collect()
        } else {
            Rc::clone(&self.me().mask)
        };
        self.threads.push(Thread {
            coroutine: Some(coroutine),
            yielder: std::ptr::null(),
            clock,
            turn: 0,
            state: State::Blocked,
            timed_out: false,
            token: false,
            stores_until: 0,
            last_miss: None,
            prefetches: VecDeque::new(),
            spent: Spent::default(),
            core: mask[0],
            mask,
            joiners: Vec::new(),
            name,
            locals: Vec::new(),
            locals_are_gone: false,
        });
        self.make_runnable(id, clock);
        id
    }

    /// The thread that is furthest behind.
    fn next_coroutine(&mut self) -> Option<Stack> {
        loop {
            let Reverse((time, _, id, turn)) = self.ready.pop()?;
            self.next = self.ready.peek().map_or(u64::MAX, |entry| entry.0.0);
            let thread = &mut self.threads[id];
            if thread.turn != turn || thread.state == State::Ended {
                continue;
            }
            if thread.state == State::Blocked {
                thread.timed_out = true;
                self.make_runnable(id, time);
                continue;
            }
            thread.turn += 1;
            self.current = id;
            heap::runs_on(thread.core);
            self.totals.switches += 1;
            return self.threads[id].coroutine.take();
        }
    }

    fn push(&mut self, id: usize, time: u64) {
        self.entries += 1;
        self.ready.push(Reverse((time, self.entries, id, self.threads[id].turn)));
        self.next = self.next.min(time);
    }

    /// Makes a thread want a core from this time on.
    fn make_runnable(&mut self, id: usize, time: u64) {
        let thread = &mut self.threads[id];
        thread.state = State::Runnable;
        thread.turn += 1;
        thread.clock = thread.clock.max(time);
        let core = self.core_for(id);
        self.threads[id].core = core;
        if self.cores[core].holder.is_none() {
            self.hand_core(core, id);
        } else {
            self.cores[core].line.push_back(id);
            self.in_line += 1;
        }
    }

    /// The core where the thread was, or an idle one.
    fn core_for(&self, id: usize) -> usize {
        let thread = &self.threads[id];
        let is_idle = |core: &usize| self.cores[*core].holder.is_none();
        let was = Some(thread.core).filter(|core| thread.mask.contains(core));
        was.filter(is_idle)
            .or_else(|| thread.mask.iter().copied().find(is_idle))
            .or(was)
            .unwrap_or(thread.mask[0])
    }

    fn hand_core(&mut self, at: usize, id: usize) {
        let core = &mut self.cores[at];
        let free = core.since + if core.last == Some(id) { 0 } else { self.costs.switch };
        core.holder = Some(id);
        let is_first = core.last.replace(id).is_none();
        let thread = &mut self.threads[id];
        thread.core = at;
        thread.clock = thread.clock.max(if is_first { 0 } else { free });
        core.since = thread.clock;
        let clock = thread.clock;
        self.push(id, clock);
    }

    /// The current thread releases its core, to the next thread in its queue or to one that waits
    /// for another core.
    fn release_core(&mut self) {
        let clock = self.me().clock;
        let at = self.my_core();
        let since = self.cores[at].since;
        self.totals.held += clock.saturating_sub(since);
        let core = &mut self.cores[at];
        core.holder = None;
        core.since = clock;
        if self.in_line == 0 {
            return;
        }
        let next = core.line.pop_front().or_else(|| self.pull_for(at));
        if let Some(next) = next {
            self.in_line -= 1;
            self.hand_core(at, next);
        }
    }

    fn pull_for(&mut self, idle: usize) -> Option<usize> {
        let threads = &self.threads;
        self.cores.iter_mut().find_map(|core| {
            let at = core.line.iter().position(|id| threads[*id].mask.contains(&idle))?;
            core.line.remove(at)
        })
    }

    fn end_current(&mut self) -> usize {
        let id = self.current;
        self.threads[id].state = State::Ended;
        self.release_core();
        let clock = self.threads[id].clock;
        for joiner in std::mem::take(&mut self.threads[id].joiners) {
            self.wake(joiner, clock + self.costs.wake_latency);
        }
        id
    }

    /// Whether another thread is earlier, or the time slice is over. If so, the thread is about to
    /// wait.
    fn has_to_wait(&mut self) -> bool {
        let at = self.my_core();
        let core = &mut self.cores[at];
        let interrupts = std::mem::take(&mut core.interrupts);
        let (since, is_wanted) = (core.since, !core.line.is_empty());
        self.me().clock += interrupts;
        let clock = self.me().clock;
        if is_wanted && clock > since + self.costs.slice {
            return self.gives_way();
        }
        if clock <= self.next {
            return false;
        }
        self.push(self.current, clock);
        true
    }

    fn gives_way(&mut self) -> bool {
        let at = self.my_core();
        if self.cores[at].line.is_empty() {
            return false;
        }
        self.requeue();
        true
    }

    fn requeue(&mut self) {
        let id = self.current;
        self.release_core();
        let clock = self.threads[id].clock;
        self.make_runnable(id, clock);
    }

    fn moves(&mut self, mask: &[usize]) -> bool {
        let at = self.my_core();
        self.me().mask = mask.into();
        if mask.contains(&at) {
            return false;
        }
        self.requeue();
        true
    }

    fn lie_down(&mut self, until: Option<u64>) {
        let id = self.current;
        self.release_core();
        let thread = self.me();
        thread.state = State::Blocked;
        thread.timed_out = false;
        thread.turn += 1;
        let clock = thread.clock;
        if let Some(until) = until {
            self.push(id, until.max(clock));
        }
    }

    /// Lets a sleeping thread continue from this time on. Returns whether it slept.
    pub(crate) fn wake(&mut self, id: usize, time: u64) -> bool {
        let sleeps = self.threads[id].state == State::Blocked;
        if sleeps {
            self.make_runnable(id, time);
        }
        sleeps
    }

    pub(crate) fn has_ended(&self, id: usize) -> bool {
        self.threads[id].state == State::Ended
    }

    /// Interrupts all other cores that run a thread. Returns how many.
    pub(crate) fn interrupt_others(&mut self) -> u64 {
        let me = self.my_core();
        let price = self.costs.barrier_interrupt;
        let busy = |(at, core): &(usize, &mut Core)| *at != me && core.holder.is_some();
        let others = self.cores.iter_mut().enumerate().filter(busy);
        others.map(|(_, core)| core.interrupts += price).count() as u64
    }

    fn left(&self) -> Vec<String> {
        let waits = self.threads.iter().filter(|thread| thread.state != State::Ended);
        waits.map(|thread| format!("{:?} at {} ns", thread.name, thread.clock)).collect()
    }
}
