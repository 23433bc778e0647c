//! Every second number.
// says: a loop can't go through `StepBy<std::ops::Range<u32>>`
// says: for every n-th number, loop over `0..count` and compute `start + n * step`
// never says: sealed
// never says: Numbered

fn main() {
    let pool = corepool::WorkerPool::global();
    #[cfg(mistake)]
    let numbers = pool.map((10..20_u32).step_by(2), |n| n);
    #[cfg(not(mistake))]
    let numbers = pool.map(0..5_u32, |n| 10 + n * 2);
    assert_eq!(numbers, [10, 12, 14, 16, 18]);
}
