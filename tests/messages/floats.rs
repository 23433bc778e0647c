//! A range of something else than integers.
// says: a loop can't go through a range of `f64`
// says: this loop takes ranges of integers: `u8` to `u64`, `usize`, `i8` to `i64`, `isize`
// says: loop over a range of integers and compute the rest from its numbers
// never says: Numbered

fn main() {
    let (first, last) = (0.0_f64, 4.0_f64);
    #[cfg(mistake)]
    let halves = corepool::map(first..last, |n| n / 2.0);
    #[cfg(not(mistake))]
    let halves = corepool::map(first as u32..last as u32, |n| f64::from(n) / 2.0);
    assert_eq!(halves, [0.0, 0.5, 1.0, 1.5]);
}
