//! What went wrong, in the one line that the user sees, and how grave it is.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::path::Path;

use corepool::TaskError;

/// The exit status that a failure leads to, as gzip has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gravity {
    Error = 1,
    Warning = 2,
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) gravity: Gravity,
    line: String,
    /// Nobody reads our output any more: that is no mistake of ours, and every further word would
    /// be noise.
    pub(crate) reader_is_gone: bool,
}

impl Failure {
    pub(crate) fn error(line: impl Into<String>) -> Self {
        Self { gravity: Gravity::Error, line: line.into(), reader_is_gone: false }
    }

    pub(crate) fn warning(line: impl Into<String>) -> Self {
        Self { gravity: Gravity::Warning, line: line.into(), reader_is_gone: false }
    }

    /// One about a file.
    pub(crate) fn of(path: &Path, why: &io::Error) -> Self {
        Self::error(format!("{}: {}", path.display(), plain(why)))
    }

    /// Writes the line to stderr. A name may hold anything: what would break the line or drive a
    /// terminal is escaped.
    pub(crate) fn print(&self) {
        let escape = |letter: char| match letter.is_control() {
            true => letter.escape_default().to_string(),
            false => letter.to_string(),
        };
        let line: String = self.line.chars().map(escape).collect();
        // With stderr closed there is nobody to tell.
        let _ = writeln!(io::stderr(), "compress: {line}");
    }
}

/// Why a stream could not be brought from input to output.
#[derive(Debug)]
pub(crate) enum Broken {
    Read(io::Error),
    Write(io::Error),
    /// The input is no whole gzip.
    Damaged(&'static str),
    /// Everything is written, but after the last member comes something that is none.
    Garbage,
    /// A task panicked: a bug of ours.
    Task(TaskError),
}

impl From<TaskError> for Broken {
    fn from(why: TaskError) -> Self {
        Self::Task(why)
    }
}

impl Broken {
    /// Whether the output is whole all the same.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Garbage)
    }

    /// The failure as told to the user, with the names of the two sides.
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

/// The system's words without "(os error 28)", which helps nobody.
fn plain(why: &io::Error) -> String {
    let text = why.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
