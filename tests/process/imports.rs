//! What the binary imports from the C library: all threads here must sleep on a kernel futex.

use std::env;
use std::fs;

/// Joined at run time, so that the binary does not contain the name as a literal.
fn function(words: &[&str]) -> String {
    words.join("_")
}

/// Case 80. The binary names each function that it calls in its list of imports. A type in the
/// debug information does not count.
#[test]
fn nothing_sleeps_on_a_condition_variable_of_pthreads() {
    let pool = corepool::WorkerPool::with_workers(2).unwrap();
    assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    let binary = fs::read(env::current_exe().unwrap()).unwrap();
    let binary = String::from_utf8_lossy(&binary);
    assert!(binary.contains(&function(&["pthread", "create"])), "what is needed can be seen");
    for last in ["wait", "timedwait", "clockwait", "signal", "broadcast"] {
        let name = function(&["pthread", "cond", last]);
        assert!(!binary.contains(&name), "{name} is called");
    }
}
