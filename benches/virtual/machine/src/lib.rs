//! A machine of virtual cores. Its threads are coroutines on one thread of the system, each with a
//! clock of its own; the one that is furthest behind goes on. What threads share has a price: see
//! [`Costs`].
//!
//! The program runs inside [`run`]. What it shares has to come from here: [`atomic`], [`lock`],
//! [`thread`], [`local`], [`futex`], [`fence`] and [`clock`]. Outside of `run` these work as on a
//! machine with one thread, so that statics can be made and dropped.

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
