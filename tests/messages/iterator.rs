//! An iterator of a slice.
// says: a loop can't go through `std::slice::Iter<'_, u32>`
// says: this loop takes `&items` of a slice, `Vec`, array or boxed slice, or a range of integers
// says: pass `&items`, not `items` or `items.iter()`
// never says: sealed
// never says: Numbered

fn main() {
    let numbers: Vec<u32> = vec![1, 2, 3];
    #[cfg(mistake)]
    let doubled = corepool::map(numbers.iter(), |n| n * 2);
    #[cfg(not(mistake))]
    let doubled = corepool::map(&numbers, |n| n * 2);
    assert_eq!(doubled, [2, 4, 6]);
}
