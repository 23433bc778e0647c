//! Skipping: a test that lacks what it needs says so visibly, and fails where nothing may be
//! skipped.

use std::env;
use std::io::{self, Write};
use std::thread;

/// Set where a machine has all that the tests need, so that no test may be skipped.
const NOTHING: &str = "COREPOOL_SKIP_NOTHING";

/// Reports that the calling test is skipped, and why.
pub(crate) fn skip(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    assert!(env::var_os(NOTHING).is_none(), "{test} cannot be shown here: {why}");
    // Not with `eprintln!`: the harness captures its output when a test passes.
    let _written = writeln!(io::stderr(), "\nSKIPPED: {test}: {why}");
}
