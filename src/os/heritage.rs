//! What a thread inherits from the thread that starts it, besides its affinity mask: niceness,
//! scheduling policy and blocked signals.
//!
//! All threads of a pool should be like those that were started first. But a spare worker's thread,
//! a worker's replacement thread and the timer's thread are started by whichever thread happens to
//! need them, and a task or a hook may have changed that thread. So they set these three properties
//! when they start. The alternative is a clean thread that does nothing but start others. It would
//! cost each process a permanent thread. Its only gain would be niceness, which only a privileged
//! process (or one with `RLIMIT_NICE`) can lower again.
//!
//! Whatever the system refuses is left unchanged.

/// The properties that a thread should have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heritage(system::Heritage);

impl Heritage {
    /// Returns what a thread inherits that is started by the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        Self(system::Heritage::of_this_thread())
    }

    /// Gives the calling thread these properties, as far as the system permits.
    pub(crate) fn take_on(&self) {
        self.0.take_on();
    }
}

/// For a thread that serves the whole process and may call user code: makes it like the process's
/// first thread.
pub(crate) fn take_after_first_thread() {
    system::Heritage::of_first_thread().take_on();
}

/// For a thread that never calls user code: no signal handler of the user's should delay it.
pub(crate) fn hear_no_signals() {
    system::block_signals();
}

/// Gives the calling thread precedence over all threads without such a policy. Returns whether the
/// system permits it.
#[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
pub(crate) fn go_before_others() -> bool {
    system::go_before_others()
}

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    use core::mem::MaybeUninit;
    use std::fs;

    use libc::{c_int, c_long, pid_t, sched_param, sigset_t};

    /// Signals that report a fault of the thread itself.
    const FAULTS: [c_int; 6] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];
    /// What the kernel's calls accept as the number of the calling thread.
    const THIS: pid_t = 0;

    #[derive(Clone, Copy)]
    pub(super) struct Heritage {
        /// From 1, the least nice, to 40.
        rank: Option<c_long>,
        policy: Option<(c_int, sched_param)>,
        blocked: sigset_t,
    }

    impl core::fmt::Debug for Heritage {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            let policy = self.policy.map(|(policy, _)| policy);
            f.debug_struct("Heritage")
                .field("rank", &self.rank)
                .field("policy", &policy)
                .finish_non_exhaustive()
        }
    }

    impl Heritage {
        pub(super) fn of_this_thread() -> Self {
            Self { rank: rank_of(THIS), policy: policy_of(THIS), blocked: blocked_here() }
        }

        pub(super) fn of_first_thread() -> Self {
            let first = pid_t::try_from(std::process::id()).unwrap_or(THIS);
            let blocked = blocked_by_first().unwrap_or_else(blocked_here);
            Self { rank: rank_of(first), policy: policy_of(first), blocked }
        }

        pub(super) fn take_on(&self) {
            set_blocked(&self.blocked);
            if let Some((policy, parameters)) = self.policy {
                let own = policy_of(THIS).map(|(own, parameters)| (own, parameters.sched_priority));
                if own != Some((policy, parameters.sched_priority)) {
                    // SAFETY: the parameters are initialized. A refusal changes nothing.
                    let _refused =
                        unsafe { libc::sched_setscheduler(THIS, policy, &raw const parameters) };
                }
            }
            if let Some(rank) = self.rank.filter(|rank| rank_of(THIS) != Some(*rank)) {
                let niceness = c_int::try_from(20 - rank).unwrap_or_default();
                // SAFETY: the call has no preconditions. A refusal changes nothing.
                let _refused = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) };
            }
        }
    }

    pub(super) fn block_signals() {
        let mut all = blocked_here();
        // SAFETY: the set is initialized.
        let _filled = unsafe { libc::sigfillset(&raw mut all) };
        for fault in FAULTS {
            // SAFETY: the set is initialized.
            let _taken = unsafe { libc::sigdelset(&raw mut all, fault) };
        }
        set_blocked(&all);
    }

    #[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
    pub(super) fn go_before_others() -> bool {
        let parameters = sched_param { sched_priority: 1 };
        // SAFETY: the parameters are initialized.
        unsafe { libc::sched_setscheduler(THIS, libc::SCHED_FIFO, &raw const parameters) == 0 }
    }

    /// The system call itself returns `20 - niceness`, so its result is never a number that could
    /// be an error.
    fn rank_of(thread: pid_t) -> Option<c_long> {
        // SAFETY: the call has no preconditions.
        let rank = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, thread) };
        (rank > 0).then_some(rank)
    }

    /// Returns the policy that a thread inherits if `thread` starts it.
    fn policy_of(thread: pid_t) -> Option<(c_int, sched_param)> {
        // SAFETY: the call has no preconditions.
        let policy = unsafe { libc::sched_getscheduler(thread) };
        let mut parameters = MaybeUninit::<sched_param>::zeroed();
        // SAFETY: there is room for the result.
        let failed = unsafe { libc::sched_getparam(thread, parameters.as_mut_ptr()) };
        if policy < 0 || failed != 0 {
            return None;
        }
        // SAFETY: the call has filled it in, and zeros are valid as well.
        let mut parameters = unsafe { parameters.assume_init() };
        if policy & libc::SCHED_RESET_ON_FORK == 0 {
            Some((policy, parameters))
        } else {
            parameters.sched_priority = 0;
            Some((libc::SCHED_OTHER, parameters))
        }
    }

    fn blocked_here() -> sigset_t {
        let mut blocked = no_signals();
        // SAFETY: without a new set, the call only fills in the old one.
        let _asked = unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, core::ptr::null(), &raw mut blocked)
        };
        blocked
    }

    fn set_blocked(blocked: &sigset_t) {
        // SAFETY: the set is initialized.
        let _set =
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, blocked, core::ptr::null_mut()) };
    }

    fn no_signals() -> sigset_t {
        // SAFETY: zeros are a valid set.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }

    /// Another thread's blocked signals can only be read as text.
    fn blocked_by_first() -> Option<sigset_t> {
        let status =
            fs::read_to_string(format!("/proc/self/task/{}/status", std::process::id())).ok()?;
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
        let blocked = u64::from_str_radix(blocked.trim(), 16).ok()?;
        let mut set = no_signals();
        for signal in (1..=64).filter(|signal| (blocked >> (signal - 1)) & 1 == 1) {
            // SAFETY: the set is initialized. The call rejects the signals that the C library uses
            // itself.
            let _added = unsafe { libc::sigaddset(&raw mut set, signal) };
        }
        Some(set)
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    #[derive(Debug, Clone, Copy)]
    pub(super) struct Heritage;

    impl Heritage {
        pub(super) fn of_this_thread() -> Self {
            Self
        }

        pub(super) fn of_first_thread() -> Self {
            Self
        }

        pub(super) fn take_on(&self) {}
    }

    pub(super) fn block_signals() {}

    #[cfg(all(test, not(any(corepool_loom, corepool_shuttle))))]
    pub(super) fn go_before_others() -> bool {
        false
    }
}
