//! Which process this is: still the one in which something was made, or a forked child that has a
//! copy of it.
//!
//! Processes have numbers here: this one has the first, and each forked child another than all that
//! were given before it was forked. The number stands in a page of memory that the kernel empties
//! in a forked child (`MADV_WIPEONFORK`, since Linux 4.14), so to ask costs two loads. Where there
//! is no such page the system's own number serves, for a system call each time.

use core::sync::atomic::{AtomicU32, Ordering};

/// The system's own number of the first process that asked, where that serves. 0 before.
static FIRST: AtomicU32 = AtomicU32::new(0);

/// The number of the calling process.
#[inline]
pub(crate) fn process() -> u32 {
    page::number().unwrap_or_else(number_of_the_system)
}

/// Whether the calling process was forked from one that had asked for its number: only then can
/// there be copies in it.
#[inline]
pub(crate) fn is_child() -> bool {
    match page::number() {
        Some(number) => number != page::FIRST,
        // ORDERING: written once, before anything could be copied.
        None => number_of_the_system() != FIRST.load(Ordering::Relaxed),
    }
}

#[cold]
fn number_of_the_system() -> u32 {
    let now = std::process::id();
    // ORDERING: as in `is_child`. Whoever is faster is in the same process.
    let _first = FIRST.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    now
}

#[cfg(all(target_os = "linux", not(miri)))]
mod page {
    use core::ptr;
    use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

    /// The number of the first process that asks.
    pub(super) const FIRST: u32 = 1;

    static NUMBERS: Numbers = Numbers::new();

    /// None where the system has no such page.
    #[inline]
    pub(super) fn number() -> Option<u32> {
        NUMBERS.number()
    }

    struct Numbers {
        /// The page that a forked child finds empty. None before the first question, and where
        /// there are no such pages.
        page: AtomicPtr<AtomicU32>,
        is_refused: AtomicBool,
        /// The number of the next forked child that asks. A child has a copy, so what it takes from
        /// here was given to nobody before it.
        next: AtomicU32,
    }

    impl Numbers {
        const fn new() -> Self {
            let page = AtomicPtr::new(ptr::null_mut());
            Self { page, is_refused: AtomicBool::new(false), next: AtomicU32::new(FIRST + 1) }
        }

        #[inline]
        fn number(&self) -> Option<u32> {
            // ORDERING: acquire, partner of the release in `make`.
            let page = self.page.load(Ordering::Acquire);
            if page.is_null() {
                return self.make();
            }
            // SAFETY: a page that was published stays for ever, and a child has it at the same
            // place.
            let number = unsafe { &*page };
            // ORDERING: the number stands for itself.
            match number.load(Ordering::Relaxed) {
                0 => Some(self.take(number)),
                known => Some(known),
            }
        }

        /// The first question in a forked child. Several threads may ask at once and take numbers;
        /// one of these is the child's, and none was given to another process.
        #[cold]
        fn take(&self, number: &AtomicU32) -> u32 {
            // ORDERING: only the number matters.
            let mine = self.next.fetch_add(1, Ordering::Relaxed);
            // ORDERING: as above; a thread that was faster has given the process its number.
            match number.compare_exchange(0, mine, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => mine,
                Err(given) => given,
            }
        }

        /// The first question of all. The page has the first number before anybody sees it: were it
        /// taken as a child's is, the first process might get the second number.
        #[cold]
        fn make(&self) -> Option<u32> {
            // ORDERING: a hint; it never changes back.
            if self.is_refused.load(Ordering::Relaxed) {
                return None;
            }
            let Some(page) = map() else {
                // ORDERING: as above.
                self.is_refused.store(true, Ordering::Relaxed);
                return None;
            };
            // SAFETY: our own page, which nobody has seen.
            // ORDERING: published below.
            unsafe { &*page }.store(FIRST, Ordering::Relaxed);
            // ORDERING: release the page's beginning; a faster thread's page is acquired.
            let ours = (Ordering::AcqRel, Ordering::Acquire);
            if self.page.compare_exchange(ptr::null_mut(), page, ours.0, ours.1).is_err() {
                // SAFETY: our own page, which nobody has seen.
                unsafe { libc::munmap(page.cast(), SIZE) };
            }
            self.number()
        }
    }

    /// The least that can be mapped; the kernel rounds it up to a page.
    const SIZE: usize = size_of::<AtomicU32>();

    fn map() -> Option<*mut AtomicU32> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: fresh memory at a place that the kernel chooses.
        let page = unsafe { libc::mmap(ptr::null_mut(), SIZE, access, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the page is ours.
        if unsafe { libc::madvise(page, SIZE, libc::MADV_WIPEONFORK) } != 0 {
            // SAFETY: as above, and nobody has seen it.
            unsafe { libc::munmap(page, SIZE) };
            return None;
        }
        // Zeroed, which is an atomic without a number.
        Some(page.cast())
    }

    #[cfg(test)]
    mod tests {
        use super::{FIRST, Numbers};
        use std::sync::Barrier;
        use std::thread;

        #[test]
        fn all_threads_that_ask_first_are_told_the_first_number() {
            for _ in 0..1_000 {
                let (numbers, start) = (Numbers::new(), Barrier::new(4));
                let ask = || {
                    start.wait();
                    numbers.number()
                };
                thread::scope(|scope| {
                    let asked: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
                    for answer in asked {
                        assert!(matches!(answer.join().unwrap(), None | Some(FIRST)));
                    }
                });
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod page {
    pub(super) const FIRST: u32 = 1;

    pub(super) fn number() -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{is_child, process};

    #[test]
    fn a_process_keeps_its_number_in_all_its_threads() {
        let here = process();
        assert_ne!(here, 0);
        assert_eq!(std::thread::spawn(process).join().unwrap(), here);
        assert!(!is_child());
    }
}
