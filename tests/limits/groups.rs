//! Control groups of our own, for children to be born into: what they may use is written there,
//! also while they live.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;

use crate::skip::skip;

/// A group of one controller, below the root of its hierarchy. Nobody is in it when it is dropped,
/// and it goes.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
}

impl Group {
    /// `None`, and a word on that, where groups cannot be made: not root, or the second version of
    /// them.
    pub(crate) fn new(controller: &str, name: &str) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup").join(controller);
        if !root.join("cgroup.procs").exists() {
            skip(&format!("there is no hierarchy of control groups at {}", root.display()));
            return None;
        }
        let folder = root.join(format!("corepool-{}-{name}", process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => Some(Self { folder }),
            Err(error) => {
                skip(&format!("no control group {}: {error}", folder.display()));
                None
            }
        }
    }

    pub(crate) fn below(&self, name: &str) -> Self {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    /// Where it lies, for a child that changes it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn set(&self, file: &str, value: &str) {
        set(&self.folder, file, value);
    }

    /// Has the child born in this group.
    pub(crate) fn adopt(&self, command: &mut Command) {
        let list = self.folder.join("cgroup.procs").into_os_string().into_encoded_bytes();
        let list = CString::new(list).unwrap();
        let enter = move || {
            // SAFETY: the name ends with a zero.
            let file = unsafe { libc::open(list.as_ptr(), libc::O_WRONLY) };
            // SAFETY: the text is one byte long; a file that could not be opened is refused.
            let written = unsafe { libc::write(file, b"0".as_ptr().cast(), 1) };
            // SAFETY: it is closed once.
            unsafe { libc::close(file) };
            if written == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        // SAFETY: between fork and exec it makes three system calls, and allocates nothing.
        unsafe { command.pre_exec(enter) };
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel may be about to forget the last process that was in it.
        let gone = (0..1_000).any(|_| {
            thread::yield_now();
            fs::remove_dir(&self.folder).is_ok()
        });
        if !gone {
            skip(&format!("{} is left behind", self.folder.display()));
        }
    }
}

/// Writes into a group's folder.
pub(crate) fn set(folder: &Path, file: &str, value: &str) {
    let path = folder.join(file);
    fs::write(&path, value)
        .unwrap_or_else(|error| panic!("{value} to {}: {error}", path.display()));
}
