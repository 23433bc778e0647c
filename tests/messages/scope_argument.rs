//! A closure with an argument in a scope, as other crates' scopes have it.
// says: expected closure that takes 0 arguments
// says: takes 1 argument

fn main() {
    let (a, b) = (1, 2);
    corepool::scope(|s| {
        #[cfg(mistake)]
        let sum = s.spawn(|_| a + b);
        #[cfg(not(mistake))]
        let sum = s.spawn(move || a + b);
        assert_eq!(sum.join().unwrap(), 3);
    });
}
