//! Affinity on the virtual machine (`benches/virtual`): a pool gets all of its pool cores, and none
//! of them is a sibling of another.
//!
//! The functions are those of `linux.rs`.
#![forbid(unsafe_code)]

use machine::thread;

pub(super) fn thread_mask() -> Option<Vec<usize>> {
    Some(thread::mask())
}

/// The cores for pools. Those of the submitters are not among them.
pub(super) fn process_mask() -> Option<Vec<usize>> {
    Some((0..thread::usable_cores()).collect())
}

/// If a core in the list does not exist, the thread stays where it is.
pub(super) fn set_thread_mask(cores: &[usize]) -> Result<(), String> {
    let usable = 0..thread::usable_cores();
    if cores.is_empty() || !cores.iter().all(|core| usable.contains(core)) {
        return Err(format!("the virtual machine has cores 0 to {} for pools", usable.end));
    }
    thread::set_mask(cores);
    Ok(())
}

/// Not supported here.
pub(super) fn set_mask_of(_thread: i32, _cores: &[usize]) -> Result<(), String> {
    Err("other threads' masks are left alone on this system".to_owned())
}

#[inline]
pub(super) fn current_core() -> Option<usize> {
    Some(thread::core())
}
