//! Which hardware threads are faces of the same physical core.
//!
//! The key is the text of `thread_siblings_list`: all siblings of a core show the same one. The pair
//! of package and core id looks more natural but is not unique on machines with several dies to a
//! package, and the newer name of the file, `core_cpus_list`, is missing on kernels still in use.
//! On systems without such files every core stands for itself.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fs;
use std::hash::Hash;

/// The first hardware thread of each physical core among `cores`, in the order given.
///
/// "First" among those that may be used: a mask can well hold only the second face of a core. A core
/// whose topology is unreadable stays, because a worker too many costs less than a core left unused.
pub(crate) fn one_per_physical(cores: &[usize]) -> Vec<usize> {
    first_of_each(cores, siblings)
}

fn siblings(core: usize) -> Option<String> {
    // Virtual cores have one thread each.
    if cfg!(corepool_virtual) {
        return None;
    }
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    fs::read_to_string(path).ok().filter(|text| !text.trim().is_empty())
}

fn first_of_each<K: Eq + Hash>(cores: &[usize], group: impl Fn(usize) -> Option<K>) -> Vec<usize> {
    let mut seen = HashSet::new();
    let is_first = |&core: &usize| group(core).is_none_or(|key| seen.insert(key));
    cores.iter().copied().filter(is_first).collect()
}

#[cfg(test)]
mod tests {
    use super::first_of_each;

    /// Four cores with two threads each, numbered the way most firmware does it: 0 and 4 are one core.
    fn far_apart(core: usize) -> Option<usize> {
        Some(core % 4)
    }

    #[test]
    fn siblings_count_once() {
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(first_of_each(&all, far_apart), [0, 1, 2, 3]);
        assert_eq!(first_of_each(&all, |core| Some(core / 2)), [0, 2, 4, 6]);
    }

    #[test]
    fn a_mask_may_hold_only_the_second_thread_of_a_core() {
        assert_eq!(first_of_each(&[1, 4, 5, 6], far_apart), [1, 4, 6]);
    }

    #[test]
    fn unreadable_cores_all_stay() {
        assert_eq!(first_of_each(&[1, 5, 900], |_| None::<usize>), [1, 5, 900]);
        let half_readable = |core| (core < 4).then_some("0-3");
        assert_eq!(first_of_each(&[0, 1, 4, 5], half_readable), [0, 4, 5]);
    }

    #[test]
    fn cores_that_no_machine_has_are_unreadable() {
        let none = [1 << 40, usize::MAX];
        assert_eq!(super::one_per_physical(&none), none);
        assert!(super::one_per_physical(&[]).is_empty());
    }
}
