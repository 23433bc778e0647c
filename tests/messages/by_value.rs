//! A vector itself: rustc has a hint of its own for this.
// says: a loop can't go through `Vec<u32>`
// says: consider borrowing here
// never says: sealed
// never says: Numbered

fn main() {
    let numbers: Vec<u32> = vec![1, 2, 3];
    #[cfg(mistake)]
    let sum = corepool::map_reduce(numbers, |n| n, |a, b| a + b);
    #[cfg(not(mistake))]
    let sum = corepool::map_reduce(&numbers, |n| *n, |a, b| a + b);
    assert_eq!(sum, Some(6));
}
