//! What the workloads run on: virtual cores, or the cores of the machine.

#[cfg(feature = "virtual")]
mod on_virtual_cores;
#[cfg(all(feature = "real", not(feature = "virtual")))]
mod on_real_cores;

#[cfg(all(feature = "real", not(feature = "virtual")))]
pub use on_real_cores::{
    Machine, Seen, corepool, forget_spots, forget_works, nanos, print_profiles, print_spots,
    print_works, run, sleep, start, work,
};
#[cfg(feature = "virtual")]
pub use on_virtual_cores::{
    Machine, Seen, corepool, forget_spots, forget_works, nanos, print_profiles, print_spots,
    print_works, run, sleep, start, work,
};

pub use corepool::TaskHandle;
pub type Pool = corepool::WorkerPool;
#[cfg(all(feature = "rival", feature = "real", not(feature = "virtual")))]
pub use on_real_cores::{Countdown, pin};
#[cfg(all(feature = "rival", feature = "virtual"))]
pub use on_virtual_cores::{Countdown, pin};
