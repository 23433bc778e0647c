//! Where threads may run, and where they really do: the machine as this process is allowed to see it.
//!
//! Guarantee 6, honest placement, lives here. Three questions are kept apart, because each can have
//! the answer "not possible" while the others still stand:
//!
//! - *What may we use?* [`usable()`] reads the affinity mask and the quota; [`one_per_physical`] reads
//!   which of those cores are two faces of one.
//! - *Who has what already?* [`lease()`] and [`lease_exactly`] keep the process-wide table that stops
//!   two pools from piling onto the same core while others are free.
//! - *What did the kernel give?* [`pin_current_thread`] asks, then reads the answer back.
//!
//! Nothing here fails or panics. A pool must work where masks cannot be read, where a sandbox
//! forbids to set them, and on systems that have no such thing; "not possible" is an ordinary value
//! and the caller goes on unpinned.
#![forbid(unsafe_code)]

mod lease;
mod pin;
mod quota;
mod topology;
mod usable;

// Miri interprets the program and has no cores to hand out. It takes the way of the other systems,
// so that a pool under Miri is simply an unpinned one.
#[cfg(all(any(not(target_os = "linux"), miri), not(corepool_virtual)))]
mod fallback;
#[cfg(all(target_os = "linux", not(any(miri, corepool_virtual))))]
mod linux;
#[cfg(corepool_virtual)]
mod virtual_machine;

#[cfg(all(any(not(target_os = "linux"), miri), not(corepool_virtual)))]
use fallback as system;
#[cfg(all(target_os = "linux", not(any(miri, corepool_virtual))))]
use linux as system;
#[cfg(corepool_virtual)]
use virtual_machine as system;

pub(crate) use lease::{Lease, lease, lease_exactly};
pub(crate) use pin::{Pinned, current_core, pin_current_thread, unpin_current_thread};
pub(crate) use topology::one_per_physical;
pub(crate) use usable::{Usable, physical_parallelism, usable};
