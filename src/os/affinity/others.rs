//! Which cores the threads of other processes are pinned to.
//!
//! Pools of one process know of one another through the table of leases. Pools of several
//! processes, each smaller than the machine, would all start at the first core. So a pool that
//! chooses among cores looks for the threads of other processes: a thread whose mask holds one core
//! is pinned to it. (`/proc/*/task/*/status` has the same information, but the kernel generates the
//! whole file for it.)
//!
//! It is only a look, not a lock. Processes that choose at the same moment do not see one another.
//! They start at different cores according to their process numbers (`choice.rs`).
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::time::Duration;

/// The look ends after this time, and what was seen until then counts. It takes about 12 µs for
/// each process: 89 processes with 141 threads took 1.3 ms.
const LIMIT: Duration = Duration::from_millis(2);

/// How many threads of other processes are pinned to each core, as far as they could be seen in
/// time.
#[cfg(all(target_os = "linux", not(any(miri, corepool_virtual))))]
pub(super) fn pinned_threads() -> HashMap<usize, usize> {
    linux::pinned_threads(crate::base::clock::after(LIMIT))
}

/// Not known here.
#[cfg(not(all(target_os = "linux", not(any(miri, corepool_virtual)))))]
pub(super) fn pinned_threads() -> HashMap<usize, usize> {
    let _unused = LIMIT;
    HashMap::new()
}

#[cfg(all(target_os = "linux", not(any(miri, corepool_virtual))))]
mod linux {
    use std::collections::HashMap;
    use std::fs;
    use std::path::Path;
    use std::time::Instant;

    use super::super::system;
    use crate::base::clock;

    /// Set in the flags of threads that belong to the kernel.
    const OF_THE_KERNEL: u64 = 0x0020_0000;

    pub(super) fn pinned_threads(end: Instant) -> HashMap<usize, usize> {
        let own = std::process::id();
        let mut processes: Vec<u32> =
            numbers(Path::new("/proc")).into_iter().filter(|&process| process != own).collect();
        // The kernel's own threads have low numbers, and the processes started last are most
        // similar to this one.
        processes.sort_unstable_by(|one, other| other.cmp(one));
        let mut pinned = HashMap::new();
        for process in processes {
            if clock::now() >= end {
                break;
            }
            for core in cores_of(process) {
                *pinned.entry(core).or_default() += 1;
            }
        }
        pinned
    }

    /// The cores that threads of this process are pinned to.
    fn cores_of(process: u32) -> Vec<usize> {
        let threads = numbers(Path::new(&format!("/proc/{process}/task")));
        let cores: Vec<_> = threads
            .into_iter()
            .filter_map(|thread| system::only_core_of(i32::try_from(thread).ok()?))
            .collect();
        if cores.is_empty() || is_of_the_kernel(process) { Vec::new() } else { cores }
    }

    /// Tells the kernel's own processes apart. The kernel has some threads for each core.
    fn is_of_the_kernel(process: u32) -> bool {
        let flags = || {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // The fields after the name start with the third.
            stat.rsplit_once(')')?.1.split_whitespace().nth(9 - 3)?.parse::<u64>().ok()
        };
        flags().is_none_or(|flags| flags & OF_THE_KERNEL != 0)
    }

    /// The entries of this folder whose names are numbers.
    fn numbers(folder: &Path) -> Vec<u32> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
    }

    #[cfg(test)]
    mod tests {
        use super::{cores_of, is_of_the_kernel, pinned_threads};
        use crate::base::clock;
        use std::time::Duration;

        #[test]
        fn the_kernels_threads_are_known_from_others() {
            assert!(!is_of_the_kernel(std::process::id()));
            // The first kernel thread. In a container it is not visible, or the number belongs to
            // another process.
            let name = std::fs::read_to_string("/proc/2/comm").unwrap_or_default();
            assert!(name.trim() != "kthreadd" || is_of_the_kernel(2));
        }

        #[test]
        fn a_thread_that_is_pinned_is_seen() {
            let core = super::system::thread_mask().unwrap()[0];
            let pinned = std::thread::spawn(move || {
                let _ = super::super::super::pin_current_thread(core, &[]);
                cores_of(std::process::id())
            });
            assert!(pinned.join().unwrap().contains(&core));
        }

        #[test]
        fn a_look_without_time_sees_nothing() {
            assert!(pinned_threads(clock::now()).is_empty());
        }

        /// For the docs: `cargo test --release --lib how_long_a_look -- --ignored --nocapture`.
        #[test]
        #[ignore = "it measures"]
        fn how_long_a_look_takes() {
            for _ in 0..5 {
                let start = clock::now();
                let pinned = pinned_threads(clock::after(Duration::from_secs(1)));
                println!("{:?} {pinned:?}", clock::now() - start);
            }
        }
    }
}
