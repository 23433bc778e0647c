//! Runs the random programs of `tests/random/model`, drawn from the fuzzer's bytes. The pool must
//! do what the model allows.
#![no_main]
#![allow(dead_code, unused_imports, reason = "parts of the tests, of which not all is used")]

#[path = "../../tests/random/mod.rs"]
mod random;
#[path = "../../tests/it/support.rs"]
mod support;

use std::sync::Once;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    static QUIET: Once = Once::new();
    // Programs may panic. A failed check leaves `run` as a panic and ends the process there.
    QUIET.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let text = panic.to_string();
            if text.contains("assert") || text.contains("the test hangs") {
                eprintln!("{text}");
            }
        }));
    });
    fastrand::load(data);
    random::model::run(0);
});
