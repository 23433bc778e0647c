//! Planted bugs: each build for a model checker can be run with one, to see that the model finds
//! it.
//!
//! There are two ways to plant one. Both do nothing in an ordinary build. In a build for a model
//! checker they read the name in `COREPOOL_MUTANT` from the environment, once per process, so one
//! build serves all planted bugs. The list of them is in `ci/mutants.sh`.
//!
//! - `ordering!(SETTLE = AcqRel, planted "settle_unreleased": Acquire);` at the top of a protocol's
//!   file names an ordering, and the weaker one that it has with the bug. The constant is used as
//!   any other `Ordering`.
//! - `mutant!("claim_twice" => return true);` is a line at the start of a step. It does the wrong
//!   thing instead of the step. `mutant!("claim_twice")` alone is a condition.
#![forbid(unsafe_code)]

#[cfg(corepool_loom)]
use core::sync::atomic::Ordering;

/// Whether this bug is planted; or what to do if it is.
#[cfg(any(corepool_loom, corepool_shuttle))]
macro_rules! mutant {
    ($name:literal) => {
        $crate::base::sync::is_planted($name)
    };
    ($name:literal => $($bug:tt)*) => {
        if $crate::base::sync::is_planted($name) {
            $($bug)*
        }
    };
}

/// No bug is planted.
#[cfg(not(any(corepool_loom, corepool_shuttle)))]
macro_rules! mutant {
    ($name:literal) => {
        false
    };
    ($name:literal => $($bug:tt)*) => {
        if false {
            $($bug)*
        }
    };
}

/// Names an ordering, and the weaker ones that it has with planted bugs. Only loom knows weak
/// orderings.
#[cfg(corepool_loom)]
macro_rules! ordering {
    ($name:ident = $order:ident $(, planted $bug:literal: $weaker:ident)+) => {
        const $name: $crate::base::sync::Planted = $crate::base::sync::Planted {
            order: $crate::base::sync::Ordering::$order,
            weaker: &[$(($bug, $crate::base::sync::Ordering::$weaker)),+],
        };
    };
}

/// Names an ordering.
#[cfg(not(corepool_loom))]
macro_rules! ordering {
    ($name:ident = $order:ident $(, planted $bug:literal: $weaker:ident)+) => {
        const $name: $crate::base::sync::Ordering = $crate::base::sync::Ordering::$order;
    };
}

/// An ordering, and the weaker ones that it has with planted bugs, by their names.
#[cfg(corepool_loom)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planted {
    pub(crate) order: Ordering,
    pub(crate) weaker: &'static [(&'static str, Ordering)],
}

#[cfg(corepool_loom)]
impl From<Planted> for Ordering {
    fn from(planted: Planted) -> Self {
        let weaker = planted.weaker.iter().find(|(name, _)| is_planted(name));
        weaker.map_or(planted.order, |(_, weaker)| *weaker)
    }
}

/// Whether the environment names this bug.
#[cfg(any(corepool_loom, corepool_shuttle))]
pub(crate) fn is_planted(name: &str) -> bool {
    // The standard library's lock, not the model's, because it is part of no protocol and is read
    // at every step.
    static PLANTED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("COREPOOL_MUTANT").unwrap_or_default()) == name
}
