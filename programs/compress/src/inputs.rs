//! The list of inputs: the names from the command line, and with `-r` the files below them.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::failure::Failure;

/// One input.
pub(crate) enum Input {
    Stdin,
    File(PathBuf, Found),
    /// Cannot be processed, only reported.
    Failed(Failure),
}

/// How a file became an input. A named file that is unsuitable gets a warning; a file that was
/// merely found in a directory does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Named,
    Below,
}

/// Yields the inputs in order. Each directory is read completely when its turn comes, so files that
/// we write into it are not visited.
pub(crate) struct Inputs {
    /// In reverse order: the next one is last.
    left: Vec<Input>,
    recursive: bool,
}

impl Inputs {
    /// `-` means stdin, and so does an empty list of names.
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
            // Follow a link to a directory only if the user named it. Below that, it could lead
            // round in a circle.
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
