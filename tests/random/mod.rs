//! Random programs of several kinds, shared by the tests in `it` and by the soak. A program is
//! given by a number, and the same number gives the same program; its execution may differ.

pub(crate) mod model;
pub(crate) mod stress;
pub(crate) mod trees;
pub(crate) mod waits;

use std::env;
use std::fmt::Debug;
use std::str::FromStr;
use std::time::SystemTime;

/// A setting from the environment.
pub(crate) fn setting<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error:?}")))
}

/// A different seed each time.
pub(crate) fn random_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}

/// Reports the program's number when it fails or hangs.
pub(crate) struct Blame(pub(crate) u64);

impl Drop for Blame {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to run this program again: COREPOOL_SEED={}", self.0);
        }
    }
}
