//! Maps file names to the names of their compressed files, and back.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The suffixes of compressed files, and what replaces each of them.
const SUFFIXES: [(&str, &str); 2] = [(".gz", ""), (".tgz", ".tar")];

/// The name with `.gz` appended.
pub(crate) fn compressed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

/// The name without its suffix. `None` if it has no known suffix, or consists only of one.
pub(crate) fn decompressed(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?;
    SUFFIXES.iter().find_map(|(suffix, instead)| {
        let stem = strip(name, suffix)?;
        let mut name = stem;
        name.push(instead);
        Some(path.with_file_name(name))
    })
}

fn strip(name: &std::ffi::OsStr, suffix: &str) -> Option<OsString> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = name.as_bytes();
    let (stem, end) = bytes.split_at_checked(bytes.len().checked_sub(suffix.len())?)?;
    let fits = !stem.is_empty() && end.eq_ignore_ascii_case(suffix.as_bytes());
    fits.then(|| OsString::from_vec(stem.to_vec()))
}
