//! Placeholder, replaced in the next commits.
#![forbid(unsafe_code)]

fn main() {}
