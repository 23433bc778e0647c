//! A shared array of something that is no atomic.
// says: `f32` is no atomic that threads can share in a `SharedArray`
// says: expected one of `AtomicU8` to `AtomicU64`
// says: for `f32` and `f64` share `AtomicU32` and `AtomicU64`, with `to_bits` and `from_bits`

#[cfg(mistake)]
fn share(_: &corepool::SharedArray<f32>) {}

fn main() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let cells = corepool::SharedArray::<AtomicU32>::new(3);
    cells[1].store(0.5_f32.to_bits(), Ordering::Relaxed);
    assert_eq!(f32::from_bits(cells[1].load(Ordering::Relaxed)), 0.5);
}
