//! A set of cores as the Linux kernel reads it, and the system calls that take one.
//!
//! Each call is one function of the C library, wrapped in a safe function that passes it memory of
//! its own.

use core::ffi::{c_int, c_ulong};
use std::io;

const WORD_BITS: usize = c_ulong::BITS as usize;

/// A set of cores: one bit each, in words of the C type `unsigned long`, as the kernel expects it
/// on any architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CpuSet {
    words: [c_ulong; Self::MAX_CPU / WORD_BITS],
}

impl CpuSet {
    /// The set holds the cores below this number.
    pub(super) const MAX_CPU: usize = 1024;

    pub(super) fn new() -> Self {
        Self { words: [0; Self::MAX_CPU / WORD_BITS] }
    }

    /// Puts a core into the set.
    ///
    /// # Panics
    ///
    /// If its number is too high for the set.
    pub(super) fn set(&mut self, core: usize) {
        self.words[core / WORD_BITS] |= 1 << (core % WORD_BITS);
    }

    /// Whether the core is in the set.
    ///
    /// # Panics
    ///
    /// If its number is too high for the set.
    pub(super) fn is_set(&self, core: usize) -> bool {
        self.words[core / WORD_BITS] & (1 << (core % WORD_BITS)) != 0
    }

    /// The core, if the set has exactly one.
    pub(super) fn only(&self) -> Option<usize> {
        let mut words = self.words.iter().enumerate().filter(|(_, word)| **word != 0);
        let (at, word) = words.next()?;
        let is_one = word.is_power_of_two() && words.next().is_none();
        is_one.then(|| at * WORD_BITS + word.trailing_zeros() as usize)
    }
}

/// The mask of a thread, given its number. `None` is the calling thread.
pub(super) fn sched_getaffinity(thread: Option<i32>) -> io::Result<CpuSet> {
    let mut set = CpuSet::new();
    let words = set.words.as_mut_ptr().cast::<libc::cpu_set_t>();
    // SAFETY: the call writes at most the given number of bytes, and these are the set's own. Any
    // bits make a valid set.
    let status =
        unsafe { libc::sched_getaffinity(thread.unwrap_or(0), size_of_val(&set.words), words) };
    succeeded(status)?;
    Ok(set)
}

/// Confines a thread to the set, given its number. `None` is the calling thread.
pub(super) fn sched_setaffinity(thread: Option<i32>, set: &CpuSet) -> io::Result<()> {
    let words = set.words.as_ptr().cast::<libc::cpu_set_t>();
    // SAFETY: the call reads at most the given number of bytes, and these are the set's own. It
    // moves a thread, and changes no memory.
    let status =
        unsafe { libc::sched_setaffinity(thread.unwrap_or(0), size_of_val(&set.words), words) };
    succeeded(status)
}

/// The core on which the calling thread runs. `None` if the kernel does not say.
#[inline]
pub(super) fn sched_getcpu() -> Option<usize> {
    // SAFETY: the call takes nothing, and is safe on every thread at any time. It goes through the
    // C library, because calling the vDSO directly crashes under valgrind.
    let core = unsafe { libc::sched_getcpu() };
    usize::try_from(core).ok()
}

fn succeeded(status: c_int) -> io::Result<()> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
