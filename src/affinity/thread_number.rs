//! The number by which the Linux kernel knows a thread.

/// The calling thread's number.
pub(crate) fn thread_number() -> i32 {
    // Not `libc::gettid`: the C libraries of older systems have no such function.
    // SAFETY: the call takes nothing, and cannot fail.
    let number = unsafe { libc::syscall(libc::SYS_gettid) };
    // The kernel's type is `pid_t`; only the door that all system calls share is wider.
    i32::try_from(number).unwrap_or(0)
}
