//! Pinning a thread to one core, and believing only what the kernel says afterwards.
#![forbid(unsafe_code)]

use super::system;
use std::cell::Cell;

thread_local! {
    /// This thread's mask is our doing, so it says nothing about what the process may use.
    ///
    /// Constant and without a destructor: it can be read at any moment of a thread's life, also
    /// while other thread-locals are being dropped.
    static NARROWED: Cell<bool> = const { Cell::new(false) };
}

/// What became of a wish to pin a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pinned {
    /// Read back from the kernel: the thread's mask holds this core and no other.
    To(usize),
    /// The thread is not on that core alone; the text says what was asked and what stood against it.
    Refused(String),
}

/// Pins the calling thread to `core` and reads the mask back, so that the answer is what the kernel
/// really gave and not what was asked for.
///
/// After [`Pinned::Refused`] the thread usually keeps the mask it had, which for a fresh thread is
/// its creator's; see [`unpin_current_thread`].
pub(crate) fn pin_current_thread(core: usize) -> Pinned {
    if let Err(why) = system::set_thread_mask(&[core]) {
        return Pinned::Refused(format!("core {core} was refused: {why}"));
    }
    // Marked before the look at the result: the mask is ours now, even if it is not as we wished.
    NARROWED.set(true);
    verdict(core, system::thread_mask().as_deref())
}

/// Gives the calling thread all of `cores` again, as far as the kernel allows.
///
/// A thread starts with its creator's mask. Without this the workers of an unpinned pool that was
/// made on a pinned worker would all share that worker's one core. Best effort: where masks cannot
/// be set, none was narrowed by us either.
pub(crate) fn unpin_current_thread(cores: &[usize]) {
    if system::set_thread_mask(cores).is_ok() {
        NARROWED.set(false);
    }
}

/// The core on which the calling thread runs now, or `None` where the system does not tell.
///
/// A hint: an unpinned thread may have moved before the caller looks at the answer.
#[inline]
pub(crate) fn current_core() -> Option<usize> {
    system::current_core()
}

/// Whether the calling thread's mask was narrowed here. Threads it starts inherit the mask but not
/// this mark; `usable` can cope with that, because it always adds the main thread's mask.
pub(super) fn is_narrowed() -> bool {
    NARROWED.get()
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
#[cfg(all(test, target_os = "linux", not(miri)))]
mod kernel_tests {
    use super::{
        Pinned, current_core, is_narrowed, pin_current_thread, system, unpin_current_thread,
    };
    use std::thread;

    fn on_a_fresh_thread(test: impl FnOnce() + Send + 'static) {
        thread::spawn(test).join().unwrap();
    }

    #[test]
    fn a_pinned_thread_runs_where_it_says() {
        for core in system::process_mask().unwrap() {
            on_a_fresh_thread(move || {
                assert_eq!(pin_current_thread(core), Pinned::To(core));
                assert_eq!(system::thread_mask().unwrap(), [core]);
                assert_eq!(current_core(), Some(core));
                assert!(is_narrowed());
            });
        }
    }

    #[test]
    fn a_refused_core_leaves_the_thread_as_it_was() {
        let there_is_such_a_core = system::process_mask().unwrap().contains(&1023);
        for core in [1023, 1024, usize::MAX].into_iter().skip(there_is_such_a_core.into()) {
            on_a_fresh_thread(move || {
                let before = system::thread_mask();
                let Pinned::Refused(why) = pin_current_thread(core) else { panic!("{core}") };
                assert!(why.starts_with(&format!("core {core} was refused: ")), "{why}");
                assert_eq!(system::thread_mask(), before);
                assert!(!is_narrowed());
            });
        }
    }

    #[test]
    fn a_child_of_a_pinned_thread_gets_the_whole_set_back() {
        on_a_fresh_thread(|| {
            let all = system::process_mask().unwrap();
            let _ = pin_current_thread(all[0]);
            on_a_fresh_thread(move || {
                assert_eq!(system::thread_mask().unwrap(), all[..1], "inherited");
                unpin_current_thread(&all);
                assert_eq!(system::thread_mask().unwrap(), all);
            });
        });
    }

    #[test]
    fn a_thread_can_be_pinned_unpinned_and_pinned_again() {
        on_a_fresh_thread(|| {
            let all = system::process_mask().unwrap();
            for &core in &all {
                assert_eq!(pin_current_thread(core), Pinned::To(core));
                unpin_current_thread(&all);
                assert!(!is_narrowed());
                assert_eq!(system::thread_mask().unwrap(), all);
            }
        });
    }

    #[test]
    fn an_impossible_unpin_changes_nothing() {
        on_a_fresh_thread(|| {
            let core = system::process_mask().unwrap()[0];
            let _ = pin_current_thread(core);
            for nowhere in [&[][..], &[usize::MAX]] {
                unpin_current_thread(nowhere);
                assert!(is_narrowed());
                assert_eq!(system::thread_mask().unwrap(), [core]);
            }
        });
    }
}
