//! Fences: for one core, and the asymmetric pair of a light fence on one side and a heavy fence on
//! the other.

use std::sync::atomic::Ordering;

use crate::world::{in_order, with};

/// As in the standard library: a `SeqCst` fence waits until the store buffer is empty.
pub fn fence(order: Ordering) {
    if order == Ordering::SeqCst {
        with(|world| {
            world.drain_stores();
            world.charge(|costs| costs.locked);
        });
    }
}

/// Costs nothing.
pub fn compiler_fence(_order: Ordering) {}

/// The cheap side of an asymmetric pair. It only restrains the compiler, and costs nothing.
pub fn light() {}

/// The expensive side: `membarrier`, which interrupts each other core that runs a thread of the
/// process.
pub fn heavy() {
    in_order();
    with(|world| {
        world.totals.barriers += 1;
        world.drain_stores();
        let others = world.interrupt_others();
        world.charge(|costs| costs.barrier + others * costs.barrier_each);
    });
    in_order();
}
