//! A machine of virtual cores. Its threads are coroutines on one system thread. Each has its own
//! clock, and the one that is furthest behind runs next. Access to what threads share has a cost:
//! see [`Costs`].
//!
//! The program runs inside [`run`]. What its threads share must come from this crate: [`atomic`],
//! [`lock`], [`thread`], [`local`], [`futex`], [`fence`] and [`clock`]. Outside `run` these work as
//! on a machine with one thread, so that statics can be created and dropped.

mod costs;
mod heap;
mod line;
mod memory;
mod report;
mod world;

pub mod atomic;
pub mod clock;
pub mod fence;
pub mod futex;
pub mod local;
pub mod lock;
pub mod standard;
pub mod thread;

pub use costs::Costs;
pub use heap::Heaps;
pub use memory::prefetch;
pub use report::{
    Profile, Spot, Totals, cores_at_work, forget_spots, forget_works, profiles, spots, totals,
};
pub use world::{is_running, run, work};
