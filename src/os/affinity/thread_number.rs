//! The number by which the Linux kernel identifies a thread.

/// The calling thread's number.
pub(crate) fn thread_number() -> i32 {
    // Not `libc::gettid`: the C libraries of older systems have no such function.
    // SAFETY: the call takes nothing, and cannot fail.
    let number = unsafe { libc::syscall(libc::SYS_gettid) };
    // The kernel's type is `pid_t`. Only the entry point that all system calls share has a wider
    // type.
    i32::try_from(number).unwrap_or(0)
}
