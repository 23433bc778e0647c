//! Tests of two lines, each of which in turn runs what was taken from the other, as two threads do
//! that wait for each other.

use core::cell::Cell;
use core::ptr::NonNull;
use std::sync::Arc;

use super::{Job, JobTable, Line};
use crate::parts::parker::Parker;

/// How deep two waiting threads run parts of what they wait for.
const DEPTH: usize = 6;

struct Pair {
    lines: [Line; 2],
    depth: Cell<usize>,
}

/// A job that continues with the pair.
#[repr(C)]
struct Step<'p> {
    job: Job,
    pair: &'p Pair,
}

// SAFETY: `run` takes a step, and a failed assertion ends the test process.
static TABLE: JobTable = unsafe { JobTable::new(run) };

/// # Safety
/// - `step` is a `Step`.
unsafe fn run(step: NonNull<()>) {
    let bomb = crate::base::unwind::AbortOnPanic;
    // SAFETY: the caller promises that this is a `Step`.
    unsafe { step.cast::<Step<'_>>().as_ref() }.pair.go_deeper();
    core::mem::forget(bomb);
}

impl Pair {
    fn go_deeper(&self) {
        let depth = self.depth.get();
        if depth == DEPTH {
            return;
        }
        self.depth.set(depth + 1);
        let [line, other] = [&self.lines[depth % 2], &self.lines[(depth + 1) % 2]];
        let step = Step { job: Job::new(&TABLE), pair: self };
        let job = NonNull::from(&step.job);
        // SAFETY: it is popped below, after those that were pushed later.
        let below = unsafe { line.push(job) };
        assert!(!line.is_bare(), "something is left, {depth} deep");
        let taken = line.take(None).expect("it is there");
        assert!(line.is_bare(), "nothing is left, {depth} deep");
        other.run(taken);
        line.pop(below);
        let _asked = line.attend();
        assert!(step.job.was_taken());
        line.retreat(job);
        assert!(step.job.take_offer().is_done());
        assert!(line.is_bare(), "nothing is left on the way back, {depth} deep");
    }
}

/// A waiting thread looks at such lines after each of its naps. A line that is not known to be bare
/// costs a fence each time.
#[test]
fn a_line_with_nothing_left_is_known_to_be_bare_however_deep_its_stretches_lie() {
    let pair = Pair { lines: [Line::new(), Line::new()], depth: Cell::new(0) };
    pair.lines.iter().for_each(|line| line.attach(Arc::new(Parker::new())));
    pair.go_deeper();
    assert_eq!(pair.depth.get(), DEPTH);
}
