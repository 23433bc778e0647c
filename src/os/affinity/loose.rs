//! Setting another thread's mask: lets a pinned thread loose if it does not get its core.
#![forbid(unsafe_code)]

use super::system;

/// Lets a thread of this process loose: given its number, allows it to run on all of these cores.
/// It moves to `toward`, one of these cores, immediately. Otherwise it might stay, because a kernel
/// does not move a thread that waits for a core just because its mask allows others. Returns
/// whether the mask was set.
///
/// The caller knows that the number still belongs to that thread.
pub(crate) fn let_loose(thread: i32, cores: &[usize], toward: Option<usize>) -> bool {
    if let Some(core) = toward.filter(|core| cores.contains(core)) {
        // If that is refused, the thread stays where it is for now.
        let _refused = system::set_mask_of(thread, &[core]);
    }
    system::set_mask_of(thread, cores).is_ok()
}

/// Whether this thread of this process runs, or would run if it had a core. `false` if it sleeps,
/// is not a thread of this process, or the system does not tell.
pub(crate) fn is_runnable(thread: i32) -> bool {
    state(thread) == Some('R')
}

#[cfg(all(target_os = "linux", not(any(miri, corepool_virtual))))]
fn state(thread: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    // The state follows the name, which is in parentheses.
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(not(all(target_os = "linux", not(any(miri, corepool_virtual)))))]
fn state(_thread: i32) -> Option<char> {
    None
}

#[cfg(all(test, target_os = "linux", not(any(miri, corepool_virtual))))]
mod tests {
    use super::super::{Pinned, pin_current_thread, thread_number};
    use super::{is_runnable, let_loose, system};
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_pinned_thread_is_let_loose_by_another() {
        let all = system::process_mask().unwrap();
        let core = all[0];
        let (tell, told) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let wide = all.clone();
        let pinned = thread::spawn(move || {
            assert_eq!(pin_current_thread(core, &wide), Pinned::To(core));
            tell.send(thread_number()).unwrap();
            goes.recv().unwrap();
            let loose = system::thread_mask().unwrap();
            assert_eq!(pin_current_thread(core, &wide), Pinned::To(core), "and pins itself again");
            loose
        });
        let thread = told.recv().unwrap();
        assert!(let_loose(thread, &all, all.last().copied()));
        go.send(()).unwrap();
        assert_eq!(pinned.join().unwrap(), all);
    }

    #[test]
    fn who_runs_is_told_from_who_sleeps() {
        assert!(is_runnable(thread_number()));
        let (tell, told) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let sleeper = thread::spawn(move || {
            tell.send(thread_number()).unwrap();
            goes.recv().unwrap();
        });
        let thread = told.recv().unwrap();
        // The thread is on its way to sleep.
        while is_runnable(thread) {
            thread::yield_now();
        }
        go.send(()).unwrap();
        sleeper.join().unwrap();
        assert!(!is_runnable(1), "the first thread of another process, or none");
    }
}
