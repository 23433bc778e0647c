//! Hints to macOS, which has no masks: a worker that is to be pinned gets an affinity tag of its
//! own and the quality of service of work that somebody waits for.
//!
//! The functions are those of `linux.rs`. Threads with different tags are put on cores that share
//! no cache, where there are several; Apple's own processors refuse tags. The quality of service
//! keeps a worker from the slow cores as long as fast ones are free. Neither can be read back as a
//! place, and a hint must not be reported as a pin: so each wish to be pinned is refused, after the
//! hints were given, and a pool tells that by an event. Threads that a worker starts inherit its
//! tag; nothing undoes that.
//!
//! Compiled by `ci/other_systems.sh`, and never run.

use libc::{integer_t, thread_affinity_policy_data_t};

/// Not readable here.
pub(super) fn thread_mask() -> Option<Vec<usize>> {
    None
}

/// All cores: nothing keeps a process from one of them.
pub(super) fn process_mask() -> Option<Vec<usize>> {
    Some((0..num_cpus::get()).collect())
}

/// Gives the hints for a single core, and refuses.
pub(super) fn set_thread_mask(cores: &[usize]) -> Result<(), String> {
    let &[core] = cores else { return Err("macOS has no masks".to_owned()) };
    let service = ask_for_service();
    let tag = set_tag(core);
    Err(format!("macOS takes hints only; quality of service: {service}, affinity tag: {tag}"))
}

/// The kernel's answer; 0 if it was done.
fn ask_for_service() -> i32 {
    // SAFETY: it is about the calling thread, and takes two numbers.
    unsafe { libc::pthread_set_qos_class_self_np(libc::qos_class_t::QOS_CLASS_USER_INITIATED, 0) }
}

/// As [`ask_for_service`].
fn set_tag(core: usize) -> i32 {
    // 0 would be no tag.
    let affinity_tag = integer_t::try_from(core).unwrap_or(0).saturating_add(1);
    let mut policy = thread_affinity_policy_data_t { affinity_tag };
    // SAFETY: there is always a calling thread.
    let own = unsafe { libc::pthread_self() };
    // SAFETY: the calling thread lives, and its port is borrowed.
    let thread = unsafe { libc::pthread_mach_thread_np(own) };
    let flavor = libc::THREAD_AFFINITY_POLICY as libc::thread_policy_flavor_t;
    let (policy, count) = ((&raw mut policy).cast(), libc::THREAD_AFFINITY_POLICY_COUNT);
    // SAFETY: the kernel reads as many numbers as the count says, which are those of the policy.
    unsafe { libc::thread_policy_set(thread, flavor, policy, count) }
}

/// Not done here.
pub(super) fn set_mask_of(_thread: i32, _cores: &[usize]) -> Result<(), String> {
    Err("other threads' masks are left alone on this system".to_owned())
}

/// Not known here.
#[inline]
pub(super) fn current_core() -> Option<usize> {
    None
}
