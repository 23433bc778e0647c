//! Handles Ctrl-C and similar signals: removes the drafts, and ends the process as if the signal
//! had not been caught.
//!
//! This happens on a separate thread that ends the process at once. It does not cancel tasks,
//! because a task that reads from a silent pipe, or writes to a full one, could not look at a
//! token, and the results of the tasks are no longer wanted.
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
    // Signals that the parent chose to ignore, as `nohup` does, stay ignored.
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

/// Ends the process silently, as a write to a closed pipe ends most programs.
pub(crate) fn end_for_lack_of_readers() {
    end_by(SIGPIPE);
}

fn end_by(signal: i32) {
    draft::discard_all_and(|| {
        let _ = emulate_default_handler(signal);
        // Reached only if the signal did not end the process. A shell reports 128 plus the signal's
        // number for a process that a signal ended.
        std::process::exit(128 + signal);
    });
}

/// One bit for each ignored signal; the lowest bit is signal 1. Zero where the system does not say.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
