//! Pinning a thread to one core, and believing only what the kernel says afterwards.
#![forbid(unsafe_code)]

use super::core_set::CoreSet;
use super::system;
use std::cell::Cell;

thread_local! {
    /// Set while this thread's mask is our doing, so it says nothing about what the process may
    /// use: the cores that the thread has when it is not pinned.
    ///
    /// Constant and without a destructor: it can be read at any moment of a thread's life, also
    /// while other thread-locals are being dropped.
    static NARROWED_FROM: Cell<Option<CoreSet>> = const { Cell::new(None) };
}

/// What became of a wish to pin a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pinned {
    /// Read back from the kernel: the thread's mask holds this core and no other.
    To(usize),
    /// The thread is not on that core alone; the text says what was asked and what stood against
    /// it.
    Refused(String),
}

/// What a thread gets into its mask from the one that starts it, and should not: that one's pin.
#[derive(Debug, Clone, Copy)]
#[must_use = "the new thread inherits the mask all the same"]
pub(crate) struct HandedOn {
    narrowed_from: Option<CoreSet>,
}

impl HandedOn {
    /// For a thread of its own: gives the calling thread, which is new, the cores that the one
    /// which started it would have unpinned. Calls the kernel only where that one was pinned.
    pub(crate) fn undo(self) {
        self.keep();
        unpin_current_thread();
    }

    /// For a thread that works in place of the one which started it: it keeps the pin, and knows
    /// whose doing that is.
    pub(crate) fn keep(self) {
        NARROWED_FROM.set(self.narrowed_from);
    }
}

/// What a thread inherits that the calling one starts now.
pub(crate) fn handed_on() -> HandedOn {
    HandedOn { narrowed_from: NARROWED_FROM.get() }
}

/// Pins the calling thread to `core` and reads the mask back, so that the answer is what the kernel
/// really gave and not what was asked for. Unpinned again it has the cores `wide`.
///
/// After [`Pinned::Refused`] the thread usually keeps the mask it had, which for a fresh thread is
/// its creator's; see [`unpin_current_thread`].
pub(crate) fn pin_current_thread(core: usize, wide: &[usize]) -> Pinned {
    if let Err(why) = system::set_thread_mask(&[core]) {
        return Pinned::Refused(format!("core {core} was refused: {why}"));
    }
    // Marked before the look at the result: the mask is ours now, even if it is not as we wished.
    NARROWED_FROM.set(Some(CoreSet::of(wide)));
    verdict(core, system::thread_mask().as_deref())
}

/// Gives the calling thread back the mask that we narrowed, as far as the kernel allows. Does
/// nothing if we did not: a mask that somebody else has set is none of our business.
pub(crate) fn unpin_current_thread() {
    let Some(wide) = NARROWED_FROM.get() else { return };
    let mut cores = wide.to_vec();
    // It may have got more since.
    cores.extend(system::process_mask().unwrap_or_default());
    if system::set_thread_mask(&cores).is_ok() {
        NARROWED_FROM.set(None);
    }
}

/// Runs this without the calling thread's pin, if it has one, so that threads and child processes
/// made meanwhile do not inherit it. The pin comes back afterwards, also if this panics.
pub(crate) fn unpinned<R>(run: impl FnOnce() -> R) -> R {
    let _again = unpin_for_now();
    run()
}

fn unpin_for_now() -> Option<PinAgain> {
    let narrowed_from = NARROWED_FROM.get()?;
    let mask = system::thread_mask()?;
    unpin_current_thread();
    (!is_narrowed()).then_some(PinAgain { mask, narrowed_from })
}

/// Gives the calling thread its pin back when it is dropped.
struct PinAgain {
    mask: Vec<usize>,
    narrowed_from: CoreSet,
}

impl Drop for PinAgain {
    fn drop(&mut self) {
        if system::set_thread_mask(&self.mask).is_ok() {
            NARROWED_FROM.set(Some(self.narrowed_from));
        }
    }
}

/// For a thread that serves the whole process: its mask becomes that of the process's first thread,
/// if it is another.
pub(crate) fn take_after_process() {
    let wanted = system::process_mask();
    if let Some(wanted) = wanted.filter(|wanted| system::thread_mask().as_ref() != Some(wanted)) {
        let _refused = system::set_thread_mask(&wanted);
    }
    NARROWED_FROM.set(None);
}

/// The core on which the calling thread runs now, or `None` where the system does not tell.
///
/// A hint: an unpinned thread may have moved before the caller looks at the answer.
#[inline]
pub(crate) fn current_core() -> Option<usize> {
    system::current_core()
}

/// Whether the calling thread's mask was narrowed here. Threads that user code starts inherit the
/// mask but not this mark; `usable` can cope with that, because it always adds the main thread's
/// mask.
pub(super) fn is_narrowed() -> bool {
    NARROWED_FROM.get().is_some()
}

fn verdict(core: usize, mask: Option<&[usize]>) -> Pinned {
    match mask {
        Some([only]) if *only == core => Pinned::To(core),
        Some(given) => Pinned::Refused(format!("asked for core {core}, the kernel gave {given:?}")),
        None => Pinned::Refused(format!("asked for core {core}, the mask cannot be read back")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Pinned, verdict};

    #[test]
    fn only_the_very_core_counts_as_pinned() {
        assert_eq!(verdict(3, Some(&[3])), Pinned::To(3));
        for mask in [Some(&[4][..]), Some(&[3, 4]), Some(&[]), None] {
            let Pinned::Refused(why) = verdict(3, mask) else { panic!("{mask:?} is no pin") };
            assert!(why.contains("core 3"), "{why}");
        }
    }
}

/// These pin for real, each on a thread of its own, since a thread of the test harness may go on to
/// run other tests.
#[cfg(all(test, any(target_os = "linux", windows), not(miri)))]
mod kernel_tests;
