//! Items that are to be changed.
// says: a loop can't go through `&mut Vec<u32>`
// says: to change the items, pass `&mut items` to `for_each_mut`
// never says: sealed
// never says: Numbered

fn main() {
    let pool = corepool::WorkerPool::global();
    let mut numbers: Vec<u32> = vec![1, 2, 3];
    #[cfg(mistake)]
    pool.for_each(&mut numbers, |n| *n += 1);
    #[cfg(not(mistake))]
    pool.for_each_mut(&mut numbers, |n| *n += 1);
    assert_eq!(numbers, [2, 3, 4]);
}
