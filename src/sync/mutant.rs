//! Planted bugs: which one a model is run with, to see that it would find it.
//!
//! A planted bug is a branch on `mutant!("its_name")`. In an ordinary build the macro is the
//! constant `false`, and nothing is left of the branch. In a build for a model checker it asks the
//! environment, once in a process, for the name in `COREPOOL_MUTANT`; so one build serves all
//! planted bugs, and `ci/mutants.sh` has the list of them.
#![forbid(unsafe_code)]

/// Whether this bug is planted.
#[cfg(any(corepool_loom, corepool_shuttle))]
macro_rules! mutant {
    ($name:literal) => {
        $crate::sync::is_planted($name)
    };
}

/// No bug is planted.
#[cfg(not(any(corepool_loom, corepool_shuttle)))]
macro_rules! mutant {
    ($name:literal) => {
        false
    };
}

/// Whether the environment names this bug.
#[cfg(any(corepool_loom, corepool_shuttle))]
pub(crate) fn is_planted(name: &str) -> bool {
    // The standard library's, and not the model's: it is no part of any protocol, and is asked in
    // every step.
    static PLANTED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("COREPOOL_MUTANT").unwrap_or_default()) == name
}
