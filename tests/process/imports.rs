//! What the binary asks of the C library: who sleeps here sleeps on a futex of the kernel.

use std::env;
use std::fs;

/// Joined when it runs, so that the name is not in the binary because it stands here.
fn function(words: &[&str]) -> String {
    words.join("_")
}

/// Case 80. What is called would be named where the binary lists what it needs; a type in the debug
/// information is none.
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
