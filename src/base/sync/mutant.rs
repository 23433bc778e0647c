//! Planted bugs: each build for a model checker can be run with one, to see that the model finds
//! it.
//!
//! A planted bug is a branch on `mutant!("its_name")`. In an ordinary build the macro is the
//! constant `false`, and nothing remains of the branch. In a build for a model checker it reads the
//! name in `COREPOOL_MUTANT` from the environment, once per process. So one build serves all
//! planted bugs. The list of them is in `ci/mutants.sh`.
#![forbid(unsafe_code)]

/// Whether this bug is planted.
#[cfg(any(corepool_loom, corepool_shuttle))]
macro_rules! mutant {
    ($name:literal) => {
        $crate::base::sync::is_planted($name)
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
    // The standard library's lock, not the model's, because it is part of no protocol and is read
    // at every step.
    static PLANTED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("COREPOOL_MUTANT").unwrap_or_default()) == name
}
