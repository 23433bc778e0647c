//! Fences: of one core, and the pair of a light one on one side and a heavy one on the other.

use std::sync::atomic::Ordering;

use crate::world::{in_order, with};

/// As the standard library's: a `SeqCst` fence waits until the store buffer is empty.
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

/// The cheap side of an asymmetric pair: it only binds the compiler, and costs nothing.
pub fn light() {}

/// The dear side: `membarrier`, which interrupts each other core that runs a thread of the process.
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
