//! Ctrl-C and its kin: the drafts are removed, and the process ends as if the signal had not been
//! caught.
//!
//! That happens in a thread of its own that ends the process at once, and not by cancelling tasks:
//! whoever reads from a silent pipe, or writes to a full one, could not look at a token, and
//! nothing of what the tasks do is wanted any more.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::draft;

/// Starts the thread that waits for signals.
pub(crate) fn watch() -> io::Result<()> {
    // What the parent chose to ignore, as `nohup` does, stays ignored.
    let ignored = ignored_signals();
    let wanted = [SIGINT, SIGTERM, SIGHUP];
    let wanted = wanted.into_iter().filter(|signal| ignored & 1 << (signal - 1) == 0);
    let mut signals = Signals::new(wanted)?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end_by(signal);
        }
    })?;
    Ok(())
}

/// Ends the process as a write to a closed pipe ends most programs: without a word.
pub(crate) fn end_for_lack_of_readers() {
    end_by(SIGPIPE);
}

fn end_by(signal: i32) {
    draft::discard_all_and(|| {
        let _ = emulate_default_handler(signal);
        // Only if the signal did not end the process. 128 and the number is what a shell makes of
        // one that did.
        std::process::exit(128 + signal);
    });
}

/// A bit for each signal that is ignored, the lowest for number 1. None where the system does not
/// tell.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
