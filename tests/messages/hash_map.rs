//! A hash map.
// says: a loop can't go through `&HashMap<u32, u32>`
// says: collect it into a `Vec` and pass `&` of that; or call `WorkerPool::map_ordered`, which takes any iterator
// never says: sealed
// never says: Numbered

use std::collections::HashMap;

fn main() {
    let pool = corepool::WorkerPool::global();
    let pairs = HashMap::from([(1_u32, 2_u32)]);
    #[cfg(mistake)]
    pool.for_each(&pairs, |(a, b)| assert!(a < b));
    #[cfg(not(mistake))]
    pool.for_each(&pairs.iter().collect::<Vec<_>>(), |(a, b)| assert!(a < b));
    for sum in pool.map_ordered(pairs, 8, |(a, b)| a + b) {
        assert_eq!(sum.unwrap(), 3);
    }
}
