//! Affinity on systems without masks that we can set and read back: every answer is "not
//! supported".
//!
//! The functions mirror those of `linux.rs`, so that no code above has to ask which system it runs
//! on. The BSDs do have masks. They take this path until the read-back tests can be run there. Only
//! `std` is used, so that the crate compiles wherever `std` does.
#![forbid(unsafe_code)]

/// Not readable here.
pub(super) fn thread_mask() -> Option<Vec<usize>> {
    None
}

/// Not readable here.
pub(super) fn process_mask() -> Option<Vec<usize>> {
    None
}

/// Always refused. The message names the system for the reader of the report.
pub(super) fn set_thread_mask(_cores: &[usize]) -> Result<(), String> {
    Err(format!("pinning is not supported on {}", std::env::consts::OS))
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
