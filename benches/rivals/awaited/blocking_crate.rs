//! `blocking::unblock`, limited to two threads.

#![forbid(unsafe_code)]

use blocking::Task;

use super::Awaited;
use crate::rivals::tasks::blocking_crate::Pool;

pub(super) use crate::rivals::tasks::blocking_crate::start;

impl Awaited for Pool {
    type Handle = Task<u64>;

    fn spawn(&self, value: u64) -> Task<u64> {
        blocking::unblock(move || value)
    }

    fn value(output: u64) -> u64 {
        output
    }
}
