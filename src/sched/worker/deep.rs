//! Chains of waits that are longer than a stack: what runs in place continues on a new stack.
//!
//! If a task joins a task that joins a task, they run one inside the other, and each level takes
//! some hundred bytes, or some thousand in a build without optimisation. When a stack is nearly
//! used up, the next level runs on a new thread with a stack of the same size, while this thread
//! waits. So the limit of a chain is memory or the number of threads that the system allows, not a
//! few thousand levels. Measuring the space left costs an address and a thread-local; counting
//! levels would not tell how large the user's frames are.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::OnceLock;
use std::thread;

use super::spare;
use crate::base::unwind::AbortOnPanic;
use crate::os::affinity;
use crate::sched::config::Config;

/// The standard library's own default.
const DEFAULT_STACK: usize = 2 << 20;
/// The part of the stack (one in this many) that is for the frames of one more level.
const RESERVE: usize = 4;

/// Where the stack is, as far as that is known.
#[derive(Debug, Clone, Copy)]
struct Stack {
    /// Its end; stacks grow downwards.
    end: usize,
    /// Below this address the stack is short.
    reserve: usize,
}

crate::base::sync::thread_local! {
    static STACK: Cell<Stack> = const { Cell::new(Stack { end: 0, reserve: 0 }) };
}

/// Called when the calling thread has just begun, with a stack of the size that the pool asks for.
pub(super) fn note_stack(config: &Config) {
    let size = stack_size(config);
    let end = here().saturating_sub(size);
    STACK.set(Stack { end, reserve: end + size / RESERVE });
}

/// Whether the calling thread's stack is nearly used up. Nothing is known of a thread that the
/// crate did not start.
#[inline]
pub(super) fn is_short() -> bool {
    let stack = STACK.try_with(Cell::get).unwrap_or(Stack { end: 0, reserve: 0 });
    // Shuttle schedules run on stacks of their own. An address below the end does not count either,
    // because a sanitizer may keep locals elsewhere.
    let is_known = !cfg!(any(corepool_shuttle, corepool_virtual, miri));
    is_known && (stack.end..stack.reserve).contains(&here())
}

/// Calls `run` on a thread with a fresh stack, and waits for it. Calls it on this thread if the
/// system refuses to start one.
#[cold]
pub(super) fn on_a_new_stack(config: &Config, run: &mut (dyn FnMut() + Send)) {
    // What runs there may wait for a task that only this worker may run.
    let _lent = spare::lend();
    let handed_on = affinity::handed_on();
    let is_done = thread::scope(|scope| {
        let name = thread::current().name().unwrap_or("corepool-deep").to_owned();
        let thread = thread::Builder::new().name(name).stack_size(stack_size(config));
        let started = thread.spawn_scoped(scope, || {
            let _abort = AbortOnPanic;
            handed_on.keep();
            note_stack(config);
            run();
        });
        started.map(thread::ScopedJoinHandle::join).is_ok()
    });
    if !is_done {
        run();
    }
}

#[inline]
fn here() -> usize {
    let local = 0_u8;
    std::ptr::from_ref(&local).addr()
}

fn stack_size(config: &Config) -> usize {
    static BY_DEFAULT: OnceLock<usize> = OnceLock::new();
    config.stack_size.unwrap_or_else(|| {
        *BY_DEFAULT.get_or_init(|| {
            let set = std::env::var("RUST_MIN_STACK").ok().and_then(|size| size.parse().ok());
            set.unwrap_or(DEFAULT_STACK)
        })
    })
}
