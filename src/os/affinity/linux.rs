//! Affinity masks on Linux, as plain lists of core numbers.
//!
//! This is the only code that talks to the kernel about masks. `usable.rs` and `pin.rs` decide what
//! to make of the answers. `fallback.rs` has the same functions for other systems, so a signature
//! that changes here must change there too.
//!
//! A mask holds [`CpuSet::MAX_CPU`] (1024) cores. A kernel that is configured for more refuses to
//! write its mask into such a small set. That counts as "not readable", and the pool runs unpinned.
//! The methods of the set index an array and would panic beyond its end, so every number is
//! compared with the limit before it reaches them.
#![forbid(unsafe_code)]

use super::mask::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// The cores the calling thread may run on, in ascending order. `None` if the kernel does not say.
pub(super) fn thread_mask() -> Option<Vec<usize>> {
    read_mask(None)
}

/// The cores of the process. On Linux every thread has its own mask, and that of the main thread is
/// the one that `taskset`, a container or a service manager has set from outside.
pub(super) fn process_mask() -> Option<Vec<usize>> {
    read_mask(i32::try_from(std::process::id()).ok())
}

/// The only core that another thread may run on, given the thread's number. `None` if it has more
/// than one, or if the thread is gone.
pub(super) fn only_core_of(thread: i32) -> Option<usize> {
    sched_getaffinity(Some(thread)).ok()?.only()
}

/// Confines the calling thread to `cores`. The error says what the kernel objected to.
///
/// Success means that the kernel kept *some* of the cores: it silently drops those outside the
/// cpuset. A caller that needs to know reads the mask back.
pub(super) fn set_thread_mask(cores: &[usize]) -> Result<(), String> {
    sched_setaffinity(None, &set_of(cores)?).map_err(|refusal| refusal.to_string())
}

/// Like [`set_thread_mask`], for another thread, given its number.
pub(super) fn set_mask_of(thread: i32, cores: &[usize]) -> Result<(), String> {
    sched_setaffinity(Some(thread), &set_of(cores)?).map_err(|refusal| refusal.to_string())
}

/// The core on which the calling thread runs at this moment. It may be stale as soon as it is read.
///
/// On common architectures the vDSO answers without entering the kernel, so this is cheap enough
/// for a hint on a warm path.
#[inline]
pub(super) fn current_core() -> Option<usize> {
    sched_getcpu()
}

/// An empty mask does not count as an answer: no thread can run without a core, so something
/// filtered the call.
fn read_mask(of: Option<i32>) -> Option<Vec<usize>> {
    let cores = cores_of(&sched_getaffinity(of).ok()?);
    (!cores.is_empty()).then_some(cores)
}

fn cores_of(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect()
}

fn set_of(cores: &[usize]) -> Result<CpuSet, String> {
    let mut set = CpuSet::new();
    for &core in cores {
        if core >= CpuSet::MAX_CPU {
            return Err(format!("a mask holds cores 0 to {} only", CpuSet::MAX_CPU - 1));
        }
        set.set(core);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::{CpuSet, cores_of, process_mask, set_of, set_thread_mask, thread_mask};

    #[test]
    fn a_sparse_mask_survives_the_way_there_and_back() {
        let sparse = [1, 5, 900, CpuSet::MAX_CPU - 1];
        assert_eq!(cores_of(&set_of(&sparse).unwrap()), sparse);
    }

    #[test]
    fn the_core_of_a_set_of_one_is_told() {
        for core in [0, 5, 64, CpuSet::MAX_CPU - 1] {
            assert_eq!(set_of(&[core]).unwrap().only(), Some(core));
            assert_eq!(set_of(&[core, 7]).unwrap().only(), None);
        }
        assert_eq!(CpuSet::new().only(), None);
    }

    #[test]
    fn the_order_of_the_request_does_not_matter() {
        assert_eq!(cores_of(&set_of(&[900, 1, 5, 1]).unwrap()), [1, 5, 900]);
    }

    #[test]
    fn a_core_beyond_the_set_is_an_error_and_no_panic() {
        for core in [CpuSet::MAX_CPU, CpuSet::MAX_CPU + 1, usize::MAX] {
            assert!(set_of(&[0, core]).unwrap_err().contains("0 to 1023"));
        }
    }

    #[test]
    fn a_mask_without_cores_is_refused_by_the_kernel() {
        assert!(set_thread_mask(&[]).is_err());
    }

    #[test]
    fn both_masks_are_readable_here() {
        assert!(thread_mask().is_some_and(|mask| mask.is_sorted()));
        assert!(process_mask().is_some_and(|mask| mask.is_sorted()));
    }
}
