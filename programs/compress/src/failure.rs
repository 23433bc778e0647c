//! What went wrong, as the one line that the user sees, and how serious it is.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::path::Path;

use corepool::TaskError;

/// The exit status that a failure leads to, as in gzip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gravity {
    Error = 1,
    Warning = 2,
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) gravity: Gravity,
    line: String,
    /// The reader of our output has gone away. This is not our error, so nothing more is printed.
    pub(crate) reader_is_gone: bool,
}

impl Failure {
    pub(crate) fn error(line: impl Into<String>) -> Self {
        Self { gravity: Gravity::Error, line: line.into(), reader_is_gone: false }
    }

    pub(crate) fn warning(line: impl Into<String>) -> Self {
        Self { gravity: Gravity::Warning, line: line.into(), reader_is_gone: false }
    }

    /// A failure about a file.
    pub(crate) fn of(path: &Path, why: &io::Error) -> Self {
        Self::error(format!("{}: {}", path.display(), plain(why)))
    }

    /// Writes the line to stderr. A file name may contain anything, so characters that would break
    /// the line or control a terminal are escaped.
    pub(crate) fn print(&self) {
        let escape = |letter: char| match letter.is_control() {
            true => letter.escape_default().to_string(),
            false => letter.to_string(),
        };
        let line: String = self.line.chars().map(escape).collect();
        // If stderr is closed, there is no place to report this.
        let _ = writeln!(io::stderr(), "compress: {line}");
    }
}

/// Why a stream could not be converted.
#[derive(Debug)]
pub(crate) enum Broken {
    Read(io::Error),
    Write(io::Error),
    /// The input is not a complete gzip file.
    Damaged(&'static str),
    /// All members are written, but the data after the last one is not a member.
    Garbage,
    /// A task panicked, which is a bug of ours.
    Task(TaskError),
}

impl From<TaskError> for Broken {
    fn from(why: TaskError) -> Self {
        Self::Task(why)
    }
}

impl Broken {
    /// Whether the output is complete anyway.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Garbage)
    }

    /// The failure as reported to the user, with the names of input and output.
    pub(crate) fn into_failure(self, source: &Path, target: &Path) -> Failure {
        let about = |what: &str| format!("{}: {what}", source.display());
        match self {
            Self::Read(why) => Failure::of(source, &why),
            Self::Write(why) => {
                let reader_is_gone = why.kind() == io::ErrorKind::BrokenPipe;
                Failure { reader_is_gone, ..Failure::of(target, &why) }
            }
            Self::Damaged(what) => Failure::error(about(what)),
            Self::Garbage => Failure::warning(about(
                "decompressed, but what comes after is not gzip and was ignored",
            )),
            Self::Task(why) => Failure::error(about(&why.to_string())),
        }
    }
}

/// The system's error text without "(os error 28)", which does not help the user.
fn plain(why: &io::Error) -> String {
    let text = why.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
