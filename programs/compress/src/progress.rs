//! Shows the progress of a stream on a terminal.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressState, ProgressStyle};

use crate::arguments::{Mode, Settings};

const KNOWN: &str =
    "{prefix} [{bar:30}] {percent}% of {total_bytes}, {binary_bytes_per_sec}, {eta} left{ratio}";
const UNKNOWN: &str = "{prefix} {spinner} {bytes}, {binary_bytes_per_sec}{ratio}";
/// Longer names leave no room for the rest.
const LONGEST_NAME: usize = 24;

/// A progress bar that is drawn while it lives, or nothing.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    written: Arc<AtomicU64>,
}

impl Progress {
    /// Creates the progress of a stream of `length` bytes, if the length is known. The bar is drawn
    /// only if stderr is a terminal. If the data goes to stdout, stdout must not be a terminal.
    pub(crate) fn new(settings: &Settings, name: &Path, length: Option<u64>) -> Self {
        let data_is_seen =
            settings.mode != Mode::Test && settings.to_stdout && io::stdout().is_terminal();
        let written = Arc::new(AtomicU64::new(0));
        if settings.quiet || data_is_seen || !io::stderr().is_terminal() {
            return Self { bar: None, written };
        }
        let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template = if length.is_some() { KNOWN } else { UNKNOWN };
        let style = ProgressStyle::with_template(template).expect("the template is right");
        let so_far = Arc::clone(&written);
        let ratio = move |state: &ProgressState, out: &mut dyn Write| {
            show_ratio(state.pos(), so_far.load(Ordering::Relaxed), out);
        };
        bar.set_style(style.progress_chars("=> ").with_key("ratio", ratio));
        bar.set_prefix(shown(name));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar: Some(bar), written }
    }

    /// Adds to the numbers of bytes read and written.
    pub(crate) fn add(&self, read: usize, written: usize) {
        let Some(bar) = &self.bar else { return };
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        bar.inc(read as u64);
    }

    /// Removes the bar, so that what is printed next gets a line of its own.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn show_ratio(read: u64, written: u64, out: &mut dyn Write) {
    if read > 0 {
        let percent = 100.0 * written as f64 / read as f64;
        // An error here does no harm, because the line is soon drawn again.
        let _ = write!(out, ", to {percent:.1}% ({})", HumanBytes(written));
    }
}

fn shown(name: &Path) -> String {
    let name = name.file_name().unwrap_or(name.as_os_str()).to_string_lossy();
    let letters: Vec<char> = name.chars().filter(|letter| !letter.is_control()).collect();
    match letters.len() > LONGEST_NAME {
        true => letters[..LONGEST_NAME - 2].iter().chain(&['.', '.']).collect(),
        false => letters.iter().collect(),
    }
}
