//! A file that gets its name only when it is complete: it is written next to its target, then moved
//! there.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The drafts that are on disk now. The signal thread removes them before the process ends. Drafts
/// are created and published under this lock, so that no draft is left behind and none is published
/// afterwards.
static DRAFTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// What to do if the name is already taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Overwrite,
    Refuse,
}

/// A draft is deleted when it is dropped, unless it was published.
pub(crate) struct Draft {
    pub(crate) file: File,
    path: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// While the file is written, only its owner may read it, because it does not have the
    /// original's mode yet.
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut drafts = drafts();
        // Do not derive the name from the target's name, which may already have the maximum length.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = target.with_file_name(format!(".compress-{}-{count}.part", process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        drafts.insert(path.clone());
        Ok(Self { file, path, target: target.to_owned() })
    }

    /// Gives the file the owner, mode and times of its original, and then its name.
    pub(crate) fn publish(self, original: &Metadata, existing: Existing) -> io::Result<()> {
        // Only root may give files away; for other users the owner does not change. This comes
        // before the mode, because it clears the mode's special bits.
        let _ = fchown(&self.file, Some(original.uid()), Some(original.gid()));
        self.file.set_permissions(original.permissions())?;
        let times = FileTimes::new().set_accessed(original.accessed()?);
        self.file.set_times(times.set_modified(original.modified()?))?;
        let mut drafts = drafts();
        match existing {
            Existing::Overwrite => fs::rename(&self.path, &self.target)?,
            Existing::Refuse => self.rename_to_free_name()?,
        }
        drafts.remove(&self.path);
        Ok(())
    }

    /// A hard link fails if the name is taken, while a rename would overwrite a file that has
    /// appeared there meanwhile.
    fn rename_to_free_name(&self) -> io::Result<()> {
        match fs::hard_link(&self.path, &self.target) {
            Ok(()) => fs::remove_file(&self.path),
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Err(why),
            // Some file systems have no hard links.
            Err(_) if !self.target.exists() => fs::rename(&self.path, &self.target),
            Err(why) => Err(why),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if drafts().remove(&self.path) {
            // Nothing can be done about an error here, and the failure that led here is already
            // reported.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes all drafts. No thread can create or publish a draft until `then` has returned.
pub(crate) fn discard_all_and(then: impl FnOnce()) {
    let mut drafts = drafts();
    for path in std::mem::take(&mut *drafts) {
        let _ = fs::remove_file(path);
    }
    then();
}

fn drafts() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    DRAFTS.lock().unwrap_or_else(PoisonError::into_inner)
}
