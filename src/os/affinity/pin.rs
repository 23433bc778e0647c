//! Pinning a thread to one core, and trusting only what the kernel reports afterwards.
#![forbid(unsafe_code)]

use super::core_set::CoreSet;
use super::system;
use std::cell::Cell;

thread_local! {
    /// The cores that the thread has when it is not pinned. Set while this module has narrowed the
    /// thread's mask, so that the mask says nothing about what the process may use.
    ///
    /// Constant and without a destructor: it can be read at any moment of a thread's life, even
    /// while other thread-locals are being dropped.
    static NARROWED_FROM: Cell<Option<CoreSet>> = const { Cell::new(None) };
}

/// The result of a request to pin a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pinned {
    /// Read back from the kernel: the thread's mask holds this core and no other.
    To(usize),
    /// The thread is not confined to that core. The text says what was asked and what prevented it.
    Refused(String),
}

/// What a new thread inherits in its mask from the thread that starts it, but should not: that
/// thread's pin.
#[derive(Debug, Clone, Copy)]
#[must_use = "the new thread inherits the mask all the same"]
pub(crate) struct HandedOn {
    narrowed_from: Option<CoreSet>,
}

impl HandedOn {
    /// For an independent thread. Gives the calling thread, which is new, the cores that the thread
    /// which started it would have if it were unpinned. Calls the kernel only if that thread was
    /// pinned.
    pub(crate) fn undo(self) {
        self.keep();
        unpin_current_thread();
    }

    /// For a thread that works in place of the one that started it. It keeps the pin, and records
    /// that the pin is ours.
    pub(crate) fn keep(self) {
        NARROWED_FROM.set(self.narrowed_from);
    }
}

/// What a thread inherits if the calling thread starts it now.
pub(crate) fn handed_on() -> HandedOn {
    HandedOn { narrowed_from: NARROWED_FROM.get() }
}

/// Pins the calling thread to `core` and reads the mask back, so that the answer is what the kernel
/// really gave and not what was asked for. When the thread is unpinned again it gets the cores
/// `wide`.
///
/// After [`Pinned::Refused`] the thread usually keeps the mask it had, which for a new thread is
/// that of its creator; see [`unpin_current_thread`].
pub(crate) fn pin_current_thread(core: usize, wide: &[usize]) -> Pinned {
    if let Err(why) = system::set_thread_mask(&[core]) {
        return Pinned::Refused(format!("core {core} was refused: {why}"));
    }
    // Marked before the result is checked: the mask is ours now, even if it is not as requested.
    NARROWED_FROM.set(Some(CoreSet::of(wide)));
    verdict(core, system::thread_mask().as_deref())
}

/// Gives the calling thread back the mask that this module narrowed, as far as the kernel allows.
/// Does nothing if it was not narrowed here: a mask that other code has set is left alone.
pub(crate) fn unpin_current_thread() {
    let Some(wide) = NARROWED_FROM.get() else { return };
    let mut cores = wide.to_vec();
    // The process may have got more cores since then.
    cores.extend(system::process_mask().unwrap_or_default());
    if system::set_thread_mask(&cores).is_ok() {
        NARROWED_FROM.set(None);
    }
}

/// Runs this without the calling thread's pin, if it has one, so that threads and child processes
/// created meanwhile do not inherit it. The pin is restored afterwards, even after a panic.
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

/// Gives the calling thread its pin back when dropped.
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

/// For a thread that serves the whole process: gives it the mask of the process's first thread, if
/// its own differs.
pub(crate) fn take_after_process() {
    let wanted = system::process_mask();
    if let Some(wanted) = wanted.filter(|wanted| system::thread_mask().as_ref() != Some(wanted)) {
        let _refused = system::set_thread_mask(&wanted);
    }
    NARROWED_FROM.set(None);
}

/// The core on which the calling thread runs now, or `None` if the system does not tell.
///
/// This is a hint: an unpinned thread may have moved before the caller looks at the answer.
#[inline]
pub(crate) fn current_core() -> Option<usize> {
    system::current_core()
}

/// Whether the calling thread's mask was narrowed here. Threads that user code starts inherit the
/// mask but not this mark. `usable` can cope with that, because it always adds the main thread's
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

/// These tests really pin, each on a new thread, because a thread of the test harness may go on to
/// run other tests.
#[cfg(all(test, any(target_os = "linux", windows), not(miri)))]
mod kernel_tests;
