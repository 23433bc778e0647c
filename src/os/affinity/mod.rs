//! Where threads may run and where they really do: the machine as this process is allowed to see
//! it.
//!
//! This module owns guarantee 6, honest placement. It keeps three questions apart, because each can
//! have the answer "not possible" while the others still have one:
//!
//! - *What may we use?* [`usable()`] reads the affinity mask and the quota. [`Topology`] says which
//!   of those cores are hardware threads of one physical core, share a cache, or are slow.
//! - *Which cores are taken already?* [`lease()`] and [`lease_exactly`] keep the process-wide table
//!   that stops two pools from piling onto the same core while others are free. `others.rs` looks
//!   for the pinned threads of other processes.
//! - *What did the kernel give?* [`pin_current_thread`] asks, then reads the answer back.
//!
//! A mask is changed only to pin a thread, and to undo exactly that: [`handed_on`] for threads that
//! a pinned one starts, [`unpinned`] for things that must not inherit a pin. Masks that were set by
//! anything else are left alone.
//!
//! Nothing here fails or panics. A pool must work where masks cannot be read, where a sandbox
//! forbids setting them, and on systems without masks. "Not possible" is an ordinary value, and the
//! caller goes on unpinned.

mod choice;
mod core_set;
mod lease;
mod loose;
mod others;
mod pin;
mod quota;
mod topology;
mod usable;

// Miri interprets the program and has no cores to hand out. It takes the path of the other systems,
// so that a pool under Miri is just an unpinned one.
#[cfg(all(
    any(not(any(target_os = "linux", target_os = "macos", windows)), miri),
    not(corepool_virtual)
))]
mod fallback;
#[cfg(all(target_os = "linux", not(any(miri, corepool_virtual))))]
mod linux;
#[cfg(all(target_os = "linux", not(any(miri, corepool_virtual))))]
mod mask;
#[cfg(all(target_os = "macos", not(any(miri, corepool_virtual))))]
mod macos;
#[cfg(target_os = "linux")]
mod thread_number;
#[cfg(corepool_virtual)]
mod virtual_machine;
#[cfg(all(windows, not(miri)))]
mod windows;

#[cfg(all(
    any(not(any(target_os = "linux", target_os = "macos", windows)), miri),
    not(corepool_virtual)
))]
use fallback as system;
#[cfg(all(target_os = "linux", not(any(miri, corepool_virtual))))]
use linux as system;
#[cfg(all(target_os = "macos", not(any(miri, corepool_virtual))))]
use macos as system;
#[cfg(corepool_virtual)]
use virtual_machine as system;
#[cfg(all(windows, not(miri)))]
use windows as system;

pub use choice::Placement;
pub(crate) use lease::{Lease, lease, lease_exactly, no_lease};
pub(crate) use loose::{is_runnable, let_loose};
pub(crate) use pin::{
    Pinned, current_core, handed_on, pin_current_thread, take_after_process, unpin_current_thread,
    unpinned,
};
#[cfg(target_os = "linux")]
pub(crate) use thread_number::thread_number;
pub use topology::CoreKind;
pub(crate) use topology::Topology;
pub(crate) use usable::{Usable, physical_parallelism, usable};
