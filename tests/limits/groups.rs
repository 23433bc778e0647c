//! Control groups for the tests. Children are born into them, and their limits can be set before
//! and while the children live.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;

use crate::skip::skip;

/// A group of one controller, below the root of its hierarchy. It is empty when it is dropped, and
/// is removed then.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
}

impl Group {
    /// `None`, with a message, where groups cannot be made: without root, or with cgroup v2.
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

    /// The folder of the group, for a child that changes it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn set(&self, file: &str, value: &str) {
        set(&self.folder, file, value);
    }

    /// Makes the child start in this group.
    pub(crate) fn adopt(&self, command: &mut Command) {
        let list = self.folder.join("cgroup.procs").into_os_string().into_encoded_bytes();
        let list = CString::new(list).unwrap();
        let enter = move || {
            // SAFETY: the name ends with a zero byte.
            let file = unsafe { libc::open(list.as_ptr(), libc::O_WRONLY) };
            // SAFETY: the text is one byte long. If `file` could not be opened, the call fails.
            let written = unsafe { libc::write(file, b"0".as_ptr().cast(), 1) };
            // SAFETY: the file is closed once.
            unsafe { libc::close(file) };
            if written == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        // SAFETY: between fork and exec the closure makes three system calls, and allocates
        // nothing.
        unsafe { command.pre_exec(enter) };
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel may not have removed the group's last process yet.
        let gone = (0..1_000).any(|_| {
            thread::yield_now();
            fs::remove_dir(&self.folder).is_ok()
        });
        if !gone {
            skip(&format!("{} is left behind", self.folder.display()));
        }
    }
}

/// Writes into a file of a group's folder.
pub(crate) fn set(folder: &Path, file: &str, value: &str) {
    let path = folder.join(file);
    fs::write(&path, value)
        .unwrap_or_else(|error| panic!("{value} to {}: {error}", path.display()));
}
