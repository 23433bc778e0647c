//! What there is to do: the names from the command line, and with `-r` what lies below them.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::failure::Failure;

/// One thing to do.
pub(crate) enum Input {
    Stdin,
    File(PathBuf, Found),
    /// There is nothing to be done but to tell.
    Failed(Failure),
}

/// How a file came to be an input. What the user named deserves a word if it does not fit; what
/// merely lies in a directory does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Named,
    Below,
}

/// Gives the inputs in order. A directory is read when its turn comes, as a whole, so that files
/// which we write into it are not met.
pub(crate) struct Inputs {
    /// The next one last.
    left: Vec<Input>,
    recursive: bool,
}

impl Inputs {
    /// No name at all means stdin, and so does `-`.
    pub(crate) fn new(names: Vec<OsString>, recursive: bool) -> Self {
        let input = |name: OsString| match name == "-" {
            true => Input::Stdin,
            false => Input::File(name.into(), Found::Named),
        };
        let mut left: Vec<_> = names.into_iter().rev().map(input).collect();
        if left.is_empty() {
            left.push(Input::Stdin);
        }
        Self { left, recursive }
    }

    /// Whether one of them is stdin.
    pub(crate) fn have_stdin(&self) -> bool {
        self.left.iter().any(|input| matches!(input, Input::Stdin))
    }

    fn open(&mut self, directory: PathBuf) -> io::Result<()> {
        let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
        let mut paths: Vec<PathBuf> = entries.collect::<io::Result<_>>()?;
        paths.sort_unstable_by(|a, b| b.cmp(a));
        self.left.extend(paths.into_iter().map(|path| Input::File(path, Found::Below)));
        Ok(())
    }
}

impl Iterator for Inputs {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        loop {
            let Input::File(path, found) = self.left.pop()? else {
                return Some(Input::Stdin);
            };
            // A link to a directory is followed where the user named it; below, it could lead round
            // in a circle.
            let metadata = match found {
                Found::Named => fs::metadata(&path),
                Found::Below => fs::symlink_metadata(&path),
            };
            if !metadata.is_ok_and(|metadata| metadata.is_dir()) {
                return Some(Input::File(path, found));
            }
            if !self.recursive {
                let line =
                    format!("{}: is a directory, left alone (-r goes through it)", path.display());
                return Some(Input::Failed(Failure::warning(line)));
            }
            if let Err(why) = self.open(path.clone()) {
                return Some(Input::Failed(Failure::of(&path, &why)));
            }
        }
    }
}
