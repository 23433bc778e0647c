//! A closure with arguments of its own in a scope.
// says: a scope can't spawn this
// says: expected a closure without an argument; to spawn more it can capture the scope
// says: write `|| ..`, or `|_| ..` as other crates' scopes do

fn main() {
    let (a, b) = (1, 2);
    corepool::scope(|s| {
        #[cfg(mistake)]
        let sum = s.spawn(|a: u32, b: u32| a + b);
        #[cfg(not(mistake))]
        let sum = s.spawn(move || a + b);
        assert_eq!(sum.join().unwrap(), 3);
    });
}
