//! Affinity masks on Windows, as plain lists of core numbers.
//!
//! The functions are those of `linux.rs`. Windows puts cores into groups of 64 (32 where pointers
//! have 32 bits), and a thread's mask covers cores of one group. Core `n` of group `g` has the
//! number `64 * g + n` here. Before Windows 11 a process stays in one group unless it asks for
//! more. If a process has several groups, pools use only its own one, as `GetSystemInfo` does.
//!
//! The functions are declared by hand. The declarations are seven lines, and the alternative is a
//! crate that takes longer to build than all other dependencies of this one.

use core::ffi::c_void;
use std::io;

const GROUP: usize = usize::BITS as usize;

type Handle = *mut c_void;
type Bool = i32;

#[repr(C)]
#[derive(Default)]
struct GroupAffinity {
    mask: usize,
    group: u16,
    reserved: [u16; 3],
}

#[repr(C)]
#[derive(Default)]
struct ProcessorNumber {
    group: u16,
    number: u8,
    reserved: u8,
}

// SAFETY: the declarations are those of `processthreadsapi.h`, `processtopologyapi.h` and
// `winbase.h`. The two that are marked safe take nothing, and return constants that name the
// caller.
#[link(name = "kernel32")]
unsafe extern "system" {
    #[link_name = "GetCurrentThread"]
    safe fn current_thread() -> Handle;
    #[link_name = "GetCurrentProcess"]
    safe fn current_process() -> Handle;
    #[link_name = "GetProcessAffinityMask"]
    fn process_affinity(process: Handle, own: *mut usize, system: *mut usize) -> Bool;
    #[link_name = "GetThreadGroupAffinity"]
    fn thread_affinity(thread: Handle, affinity: *mut GroupAffinity) -> Bool;
    #[link_name = "SetThreadGroupAffinity"]
    fn set_affinity(thread: Handle, new: *const GroupAffinity, old: *mut GroupAffinity) -> Bool;
    #[link_name = "GetCurrentProcessorNumberEx"]
    fn current_processor(number: *mut ProcessorNumber);
}

/// The cores the calling thread may run on, in ascending order. `None` if the system does not say.
pub(super) fn thread_mask() -> Option<Vec<usize>> {
    let affinity = affinity()?;
    Some(cores_of(affinity.group, affinity.mask))
}

/// The cores of the process, in the group of the calling thread. A mask of zero means that the
/// process has threads in several groups.
pub(super) fn process_mask() -> Option<Vec<usize>> {
    let (mut own, mut system) = (0, 0);
    // SAFETY: both numbers are borrowed until the call returns, and any value may be written there.
    let status = unsafe { process_affinity(current_process(), &raw mut own, &raw mut system) };
    let group = affinity()?.group;
    (status != 0 && own != 0).then(|| cores_of(group, own))
}

/// Confines the calling thread to `cores`. The error says what the system objected to.
pub(super) fn set_thread_mask(cores: &[usize]) -> Result<(), String> {
    let wanted = affinity_of(cores)?;
    let mut before = GroupAffinity::default();
    // SAFETY: both are borrowed until the call returns, and have the type that it reads and writes.
    let status = unsafe { set_affinity(current_thread(), &raw const wanted, &raw mut before) };
    if status == 0 { Err(io::Error::last_os_error().to_string()) } else { Ok(()) }
}

/// Not supported here.
pub(super) fn set_mask_of(_thread: i32, _cores: &[usize]) -> Result<(), String> {
    Err("other threads' masks are left alone on this system".to_owned())
}

/// The core on which the calling thread runs at this moment.
#[inline]
pub(super) fn current_core() -> Option<usize> {
    let mut core = ProcessorNumber::default();
    // SAFETY: the number is borrowed until the call returns, and has the type that it writes.
    unsafe { current_processor(&raw mut core) };
    Some(usize::from(core.group) * GROUP + usize::from(core.number))
}

fn affinity() -> Option<GroupAffinity> {
    let mut affinity = GroupAffinity::default();
    // SAFETY: the affinity is borrowed until the call returns, and has the type that it writes.
    let status = unsafe { thread_affinity(current_thread(), &raw mut affinity) };
    (status != 0 && affinity.mask != 0).then_some(affinity)
}

fn cores_of(group: u16, mask: usize) -> Vec<usize> {
    let first = usize::from(group) * GROUP;
    (0..GROUP).filter(|&core| mask >> core & 1 != 0).map(|core| first + core).collect()
}

fn affinity_of(cores: &[usize]) -> Result<GroupAffinity, String> {
    let first = cores.first().copied().ok_or("a thread needs a core")?;
    let group = u16::try_from(first / GROUP).map_err(|_| "there are no such groups of cores")?;
    if cores.iter().any(|core| core / GROUP != first / GROUP) {
        return Err("a thread's cores lie in one group".to_owned());
    }
    let mask = cores.iter().fold(0, |mask, core| mask | 1 << (core % GROUP));
    Ok(GroupAffinity { mask, group, reserved: [0; 3] })
}

#[cfg(test)]
mod tests {
    use super::{GROUP, affinity_of, cores_of};

    #[test]
    fn a_mask_survives_the_way_there_and_back() {
        for cores in [[0, 5, GROUP - 1], [GROUP, GROUP + 1, 2 * GROUP - 1]] {
            let affinity = affinity_of(&cores).unwrap();
            assert_eq!(cores_of(affinity.group, affinity.mask), cores);
        }
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        for cores in [&[][..], &[0, GROUP], &[usize::MAX]] {
            assert!(affinity_of(cores).is_err(), "{cores:?}");
        }
    }
}
