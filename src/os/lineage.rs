//! Identifies the process: either still the one in which something was made, or a forked child that
//! has a copy of it.
//!
//! Processes are numbered here. The first has the first number, and each forked child has a number
//! that differs from all that were given before the fork. The number is in a page of memory that
//! the kernel clears in a forked child (`MADV_WIPEONFORK`, since Linux 4.14), so reading it costs
//! two loads. Where there is no such page, the system's process number is used, which costs a
//! system call each time.

use core::sync::atomic::{AtomicU32, Ordering};

/// The system's number of the first process that asked, where that number is used. 0 before that.
static FIRST: AtomicU32 = AtomicU32::new(0);

/// Returns the number of the calling process.
#[inline]
pub(crate) fn process() -> u32 {
    page::number().unwrap_or_else(number_of_the_system)
}

/// Returns whether the calling process was forked from a process that had asked for its number.
/// Only then can it contain copies.
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
    // ORDERING: as in `is_child`. A thread that was faster is in the same process.
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

    /// Returns `None` where the system has no such page.
    #[inline]
    pub(super) fn number() -> Option<u32> {
        NUMBERS.number()
    }

    struct Numbers {
        /// The page that is empty in a forked child. Null before the first call, and where there
        /// are no such pages.
        page: AtomicPtr<AtomicU32>,
        is_refused: AtomicBool,
        /// The number for the next forked child that asks. A child has a copy of this, so the
        /// number that it takes was not given to any process before it.
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
            // SAFETY: a page that was published stays forever, and a child has it at the same
            // address.
            let number = unsafe { &*page };
            // ORDERING: only the number itself matters.
            match number.load(Ordering::Relaxed) {
                0 => Some(self.take(number)),
                known => Some(known),
            }
        }

        /// The first call in a forked child. Several threads may call at once and take numbers. One
        /// of these becomes the child's, and none of them was given to another process.
        #[cold]
        fn take(&self, number: &AtomicU32) -> u32 {
            // ORDERING: only the number matters.
            let mine = self.next.fetch_add(1, Ordering::Relaxed);
            // ORDERING: as above; if another thread was faster, it has given the process its
            // number.
            match number.compare_exchange(0, mine, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => mine,
                Err(given) => given,
            }
        }

        /// The first call of all. The page contains the first number before any thread sees it. If
        /// that number were taken like a child's, the first process might get the second number.
        #[cold]
        fn make(&self) -> Option<u32> {
            // ORDERING: a hint; once true, it never changes back.
            if self.is_refused.load(Ordering::Relaxed) {
                return None;
            }
            let Some(page) = map() else {
                // ORDERING: as above.
                self.is_refused.store(true, Ordering::Relaxed);
                return None;
            };
            // SAFETY: the page is ours, and no other thread has seen it. ORDERING: published below.
            unsafe { &*page }.store(FIRST, Ordering::Relaxed);
            // ORDERING: release the page's contents; acquire the page of a faster thread.
            let ours = (Ordering::AcqRel, Ordering::Acquire);
            if self.page.compare_exchange(ptr::null_mut(), page, ours.0, ours.1).is_err() {
                // SAFETY: the page is ours, and no other thread has seen it.
                unsafe { libc::munmap(page.cast(), SIZE) };
            }
            self.number()
        }
    }

    /// The least that can be mapped. The kernel rounds it up to a page.
    const SIZE: usize = size_of::<AtomicU32>();

    fn map() -> Option<*mut AtomicU32> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: the call maps fresh memory at an address that the kernel chooses.
        let page = unsafe { libc::mmap(ptr::null_mut(), SIZE, access, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the page is ours.
        if unsafe { libc::madvise(page, SIZE, libc::MADV_WIPEONFORK) } != 0 {
            // SAFETY: the page is ours, and no other thread has seen it.
            unsafe { libc::munmap(page, SIZE) };
            return None;
        }
        // The page is zeroed, which is an atomic without a number.
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
