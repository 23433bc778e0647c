//! Fork-join as users see it: two closures, scopes, loops.

pub(crate) mod join;
pub(crate) mod scope;
pub(crate) mod loops;
