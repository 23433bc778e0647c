//! Chains of waits that are longer than a stack: what is run in place goes on on a new one.
//!
//! A task that joins a task that joins a task runs them one inside the other, and each level takes
//! some hundred bytes, or some thousand in a build without optimisation. When a stack comes near
//! its end the next level runs on a thread that is made for it, with a stack of the same size,
//! while this one waits. So a chain ends where memory or the system's threads do, not at a few
//! thousand levels. Measuring the room costs an address and a thread-local; counting levels would
//! not say how large the user's frames are.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::OnceLock;
use std::thread;

use super::spare;
use crate::affinity;
use crate::config::Config;
use crate::unwind::AbortOnPanic;

/// The standard library's own default.
const DEFAULT_STACK: usize = 2 << 20;
/// This part of the stack is for the frames of one more level.
const RESERVE: usize = 4;

/// Where the stack is, as far as that is known.
#[derive(Debug, Clone, Copy)]
struct Stack {
    /// Its end; stacks grow downwards.
    end: usize,
    /// Below this it is short.
    reserve: usize,
}

crate::sync::thread_local! {
    static STACK: Cell<Stack> = const { Cell::new(Stack { end: 0, reserve: 0 }) };
}

/// The calling thread has just begun, with a stack of the size that the pool asks for.
pub(super) fn note_stack(config: &Config) {
    let size = stack_size(config);
    let end = here().saturating_sub(size);
    STACK.set(Stack { end, reserve: end + size / RESERVE });
}

/// Whether the calling thread's stack comes to its end. Of a thread that is not the crate's own
/// nothing is known.
#[inline]
pub(super) fn is_short() -> bool {
    let stack = STACK.try_with(Cell::get).unwrap_or(Stack { end: 0, reserve: 0 });
    // Schedules run on stacks of their own. Not below the end either: a sanitizer may keep locals
    // elsewhere.
    let is_known = !cfg!(any(corepool_shuttle, corepool_virtual, miri));
    is_known && (stack.end..stack.reserve).contains(&here())
}

/// Calls this on a thread with a fresh stack, and waits for it; or on this one, if the system gives
/// no thread.
#[cold]
pub(super) fn on_a_new_stack(config: &Config, run: &mut (dyn FnMut() + Send)) {
    // What is run there may wait for a task that only this worker may run.
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
