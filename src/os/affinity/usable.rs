//! How much of the machine this process may use: its cores, and how many of them at a time.
//!
//! The two differ. An affinity mask says *which* cores; a cgroup quota says how much time on them.
//! A quota of two cores' time on a mask of sixteen is common in containers. Sixteen workers would
//! then run for an eighth of each period and be throttled for the rest.
#![forbid(unsafe_code)]

use super::{Topology, pin, quota, system};

/// What this process may use of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Usable {
    /// The cores of the process in ascending order, gaps included. Empty where masks are
    /// unreadable.
    pub(crate) cores: Vec<usize>,
    /// How many threads can really run at a time, according to mask and quota; at least one.
    pub(crate) parallelism: usize,
    /// The quota allows fewer cores than the mask holds. Pinning would then be wrong: the scheduler
    /// could no longer choose on which of the cores to spend the granted time.
    pub(crate) quota_limited: bool,
}

impl Usable {
    /// `counted` is what mask and quota together allow. It may not match `cores`, because it was
    /// read at another moment.
    fn new(cores: Vec<usize>, counted: usize) -> Self {
        let limit = if cores.is_empty() { usize::MAX } else { cores.len() };
        let parallelism = counted.clamp(1, limit);
        let quota_limited = parallelism < cores.len();
        Self { cores, parallelism, quota_limited }
    }
}

/// Reads what the process may use. This costs a few system calls, so it is for building a pool, not
/// for a hot path.
pub(crate) fn usable() -> Usable {
    let cores = process_cores();
    let there = if cores.is_empty() { num_cpus::get() } else { cores.len() };
    let counted = quota::cores_granted().map_or(there, |granted| granted.min(there));
    Usable::new(cores, counted)
}

/// How many physical cores the process may use at a time: at least one, at most `parallelism`.
pub(crate) fn physical_parallelism(usable: &Usable) -> usize {
    // No topology is read on macOS.
    let physical = if usable.cores.is_empty() || cfg!(target_os = "macos") {
        num_cpus::get_physical()
    } else {
        Topology::of_machine(&usable.cores).one_per_physical(&usable.cores).len()
    };
    physical.min(usable.parallelism).max(1)
}

/// The process's cores, regardless of which thread asks.
///
/// The main thread's mask alone is not enough: a program may keep its main thread on one core and
/// give its other threads the rest. The caller's mask alone is not enough either: on a worker of
/// ours it is one core, and a pool built there would be squeezed onto that core. So both masks are
/// combined, except for a mask that we narrowed ourselves.
fn process_cores() -> Vec<usize> {
    let mut cores = system::process_mask().unwrap_or_default();
    if !pin::is_narrowed() {
        cores.extend(system::thread_mask().unwrap_or_default());
    }
    cores.sort_unstable();
    cores.dedup();
    cores
}

#[cfg(test)]
mod tests {
    use super::{Usable, physical_parallelism, usable};

    #[test]
    fn without_a_quota_every_core_counts() {
        let usable = Usable::new(vec![1, 5, 900], 3);
        assert_eq!((usable.parallelism, usable.quota_limited), (3, false));
    }

    #[test]
    fn a_quota_below_the_mask_is_noticed() {
        let usable = Usable::new(vec![0, 1, 2, 3], 2);
        assert_eq!((usable.parallelism, usable.quota_limited), (2, true));
    }

    #[test]
    fn a_count_beyond_the_mask_is_cut() {
        let usable = Usable::new(vec![0, 1], 64);
        assert_eq!((usable.parallelism, usable.quota_limited), (2, false));
    }

    #[test]
    fn unreadable_masks_leave_the_count_alone() {
        let usable = Usable::new(vec![], 8);
        assert_eq!((usable.parallelism, usable.quota_limited), (8, false));
        assert_eq!(Usable::new(vec![], 0).parallelism, 1);
    }

    #[test]
    fn physical_cores_stay_between_one_and_the_parallelism() {
        for (cores, counted) in [(vec![], 1), (vec![0], 0), (vec![0, 1, 5000], 2)] {
            let usable = Usable::new(cores, counted);
            assert!((1..=usable.parallelism).contains(&physical_parallelism(&usable)));
        }
    }

    #[test]
    fn this_machine_gives_something() {
        let usable = usable();
        assert!(usable.cores.is_sorted());
        assert!(usable.parallelism >= 1);
    }
}

/// Whichever thread asks, the answer is that of the process. Every test starts its own threads.
#[cfg(all(test, any(target_os = "linux", windows), not(miri)))]
mod kernel_tests {
    use super::{pin, system, usable};
    use std::thread;

    #[test]
    fn a_pinned_thread_sees_the_whole_process() {
        let expected = usable();
        for core in expected.cores.clone() {
            let seen = thread::spawn(move || {
                assert_eq!(pin::pin_current_thread(core, &[]), pin::Pinned::To(core));
                let seen = usable();
                assert_eq!(system::thread_mask().unwrap(), [core], "asking moves nobody");
                seen
            });
            assert_eq!(seen.join().unwrap(), expected);
        }
    }

    #[test]
    fn so_does_a_plain_thread_started_by_a_pinned_one() {
        let expected = usable();
        let last = expected.cores[expected.cores.len() - 1];
        let seen = thread::spawn(move || {
            let _ = pin::pin_current_thread(last, &[]);
            thread::spawn(usable).join().unwrap()
        });
        assert_eq!(seen.join().unwrap(), expected);
    }
}
