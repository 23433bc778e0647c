//! Hints to macOS, which has no masks: a worker that should be pinned gets its own affinity tag,
//! and the quality of service of user-initiated work.
//!
//! The functions are those of `linux.rs`. Threads with different tags are put on cores that share
//! no cache, where there are several caches. Apple's own processors refuse tags. The quality of
//! service keeps a worker away from the slow cores as long as fast ones are free. Neither hint can
//! be read back as a core, and a hint must not be reported as a pin. So every request to be pinned
//! is refused after the hints were given, and the pool reports that by an event. Threads that a
//! worker starts inherit its tag, and nothing undoes that.
//!
//! Compiled by `ci/other_systems.sh`, and never run.

use libc::{integer_t, thread_affinity_policy_data_t};

/// Not readable here.
pub(super) fn thread_mask() -> Option<Vec<usize>> {
    None
}

/// All cores: nothing keeps a process away from any of them.
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

/// The kernel's answer; 0 on success.
fn ask_for_service() -> i32 {
    // SAFETY: the call affects the calling thread only, and takes two numbers.
    unsafe { libc::pthread_set_qos_class_self_np(libc::qos_class_t::QOS_CLASS_USER_INITIATED, 0) }
}

/// The kernel's answer, as for [`ask_for_service`].
fn set_tag(core: usize) -> i32 {
    // 0 would mean no tag.
    let affinity_tag = integer_t::try_from(core).unwrap_or(0).saturating_add(1);
    let mut policy = thread_affinity_policy_data_t { affinity_tag };
    // SAFETY: there is always a calling thread.
    let own = unsafe { libc::pthread_self() };
    // SAFETY: the calling thread is alive, and its port is only borrowed.
    let thread = unsafe { libc::pthread_mach_thread_np(own) };
    let flavor = libc::THREAD_AFFINITY_POLICY as libc::thread_policy_flavor_t;
    let (policy, count) = ((&raw mut policy).cast(), libc::THREAD_AFFINITY_POLICY_COUNT);
    // SAFETY: the kernel reads as many numbers as the count says, which is the size of the policy.
    unsafe { libc::thread_policy_set(thread, flavor, policy, count) }
}

/// Not supported here.
pub(super) fn set_mask_of(_thread: i32, _cores: &[usize]) -> Result<(), String> {
    Err("other threads' masks are left alone on this system".to_owned())
}

/// Not known here.
#[inline]
pub(super) fn current_core() -> Option<usize> {
    None
}
