//! What a batch promises, on real pools.
#![forbid(unsafe_code)]
