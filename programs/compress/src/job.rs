//! One file: decides whether to process it, and processes it from its first byte to its new name.
#![forbid(unsafe_code)]

use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use corepool::WorkerPool;

use crate::arguments::{Mode, Settings};
use crate::draft::{Draft, Existing};
use crate::failure::{Broken, Failure};
use crate::format::Origin;
use crate::inputs::Found;
use crate::names;
use crate::pack::Packer;
use crate::pipeline::unpack_wide;
use crate::progress::Progress;
use crate::unpack::{Direct, unpack};

/// What all jobs of a run share.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) packer: Packer,
}

/// Which threads do the work.
#[derive(Clone, Copy)]
pub(crate) enum Way<'a> {
    /// This thread only.
    Here,
    /// This thread and the workers.
    Wide(&'a WorkerPool, &'a Progress),
}

impl Engine {
    /// Converts a stream. `known` is the length of a file that can be read at any position, or
    /// zero.
    pub(crate) fn convert(
        &self,
        input: File,
        known: u64,
        output: &mut impl Write,
        origin: &Origin,
        way: Way<'_>,
    ) -> Result<(), Broken> {
        match (self.settings.mode, way) {
            (Mode::Compress, Way::Here) => self.packer.pack_here(input, output, origin),
            (Mode::Compress, Way::Wide(pool, progress)) => {
                self.packer.pack(pool, input, known, output, origin, progress)
            }
            (Mode::Decompress | Mode::Test, Way::Here) => {
                unpack(&mut BufReader::with_capacity(32 << 10, input), &mut Direct::new(output))
            }
            (Mode::Decompress | Mode::Test, Way::Wide(pool, progress)) => {
                unpack_wide(pool, input, output, progress)
            }
        }
    }
}

/// Where the output goes.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    File(PathBuf),
    Stdout,
    Nowhere,
}

/// An open file that can be processed.
pub(crate) struct Job {
    pub(crate) source: PathBuf,
    target: Target,
    input: File,
    metadata: Metadata,
}

impl Job {
    /// Opens a file. Returns `None` if the file is to be skipped silently.
    pub(crate) fn open(
        path: PathBuf,
        found: Found,
        settings: &Settings,
    ) -> Result<Option<Self>, Failure> {
        let source = find(path, settings)?;
        let Some(target) = target(&source, found, settings)? else { return Ok(None) };
        let told = |why| Failure::of(&source, &why);
        let input = File::open(&source).map_err(told)?;
        let metadata = input.metadata().map_err(told)?;
        Ok(Some(Self { source, target, input, metadata }))
    }

    pub(crate) fn length(&self) -> u64 {
        self.metadata.len()
    }

    pub(crate) fn is_for_stdout(&self) -> bool {
        self.target == Target::Stdout
    }

    fn origin(&self) -> Origin {
        Origin::new(self.source.file_name(), Some(self.metadata.mtime()))
    }

    /// Runs the job to the end. Afterwards the output is complete and has its name, or there is no
    /// output.
    pub(crate) fn run(self, engine: &Engine, way: Way<'_>) -> Result<(), Failure> {
        match &self.target {
            Target::Nowhere => self.run_to(&mut io::sink(), engine, way),
            Target::Stdout => {
                let mut output = crate::run::stdout()?;
                self.run_to(&mut output, engine, way)
            }
            Target::File(target) => {
                let target = target.clone();
                self.run_to_file(&target, engine, way)
            }
        }
    }

    /// Runs the job for stdout or for no output at all. The input is kept.
    pub(crate) fn run_to(
        self,
        output: &mut impl Write,
        engine: &Engine,
        way: Way<'_>,
    ) -> Result<(), Failure> {
        let origin = self.origin();
        let result = engine.convert(self.input, self.metadata.len(), output, &origin, way);
        result.map_err(|broken| broken.into_failure(&self.source, Path::new("stdout")))
    }

    fn run_to_file(self, target: &Path, engine: &Engine, way: Way<'_>) -> Result<(), Failure> {
        let settings = &engine.settings;
        let origin = self.origin();
        let told = |why| Failure::of(target, &why);
        let mut draft = Draft::create(target).map_err(told)?;
        let result = engine.convert(self.input, self.metadata.len(), &mut draft.file, &origin, way);
        if result.as_ref().is_err_and(|broken| !broken.is_whole()) {
            return result.map_err(|broken| broken.into_failure(&self.source, target));
        }
        let existing = if settings.force { Existing::Overwrite } else { Existing::Refuse };
        draft.publish(&self.metadata, existing).map_err(|why| match why.kind() {
            io::ErrorKind::AlreadyExists => taken(target),
            _ => told(why),
        })?;
        // If data follows the last member, the original holds more than the output, so it is kept.
        result.map_err(|broken| broken.into_failure(&self.source, target))?;
        if !settings.keep {
            fs::remove_file(&self.source).map_err(|why| Failure::of(&self.source, &why))?;
        }
        Ok(())
    }
}

/// Finds the file that the user means. For decompression, the suffix may be omitted.
fn find(path: PathBuf, settings: &Settings) -> Result<PathBuf, Failure> {
    let metadata = match fs::symlink_metadata(&path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound && settings.mode != Mode::Compress => {
            let longer = names::compressed(&path);
            match fs::symlink_metadata(&longer) {
                Ok(metadata) => return check(longer, &metadata, settings),
                Err(_) => Err(why),
            }
        }
        result => result,
    };
    let metadata = metadata.map_err(|why| Failure::of(&path, &why))?;
    check(path, &metadata, settings)
}

/// Refuses anything but an ordinary file with a single name.
fn check(path: PathBuf, metadata: &Metadata, settings: &Settings) -> Result<PathBuf, Failure> {
    let replaces = settings.mode != Mode::Test && !settings.to_stdout;
    let warn = |what: &str| Err(Failure::warning(format!("{}: {what}", path.display())));
    let is_link = metadata.is_symlink();
    if is_link && replaces && !settings.force {
        return warn("is a symbolic link, left alone (-f follows it)");
    }
    let followed = if is_link { fs::metadata(&path) } else { Ok(metadata.clone()) };
    let metadata = followed.map_err(|why| Failure::of(&path, &why))?;
    if !metadata.is_file() {
        return warn("is no ordinary file, left alone");
    }
    let others = metadata.nlink().saturating_sub(1);
    if others > 0 && replaces && !settings.keep && !settings.force {
        return warn(&format!("has {others} other names, left alone (-f takes it)"));
    }
    Ok(path)
}

/// Where the output belongs. `None` if the file was only found in a directory and is not for us.
fn target(path: &Path, found: Found, settings: &Settings) -> Result<Option<Target>, Failure> {
    let stem = names::decompressed(path);
    let unfit = match settings.mode {
        Mode::Compress => stem.is_some().then_some("has the suffix of a compressed file already"),
        Mode::Decompress | Mode::Test => stem.is_none().then_some("has no suffix that is known"),
    };
    if unfit.is_some() && found == Found::Below {
        return Ok(None);
    }
    if settings.mode == Mode::Test {
        return Ok(Some(Target::Nowhere));
    }
    if settings.to_stdout {
        return Ok(Some(Target::Stdout));
    }
    let target = match settings.mode {
        // With -f, a compressed file is compressed once more, as in gzip.
        Mode::Compress if stem.is_none() || settings.force => Some(names::compressed(path)),
        Mode::Compress => None,
        Mode::Decompress | Mode::Test => stem,
    };
    let Some(target) = target else {
        let what = unfit.unwrap_or_default();
        return Err(Failure::warning(format!("{}: {what}, left alone", path.display())));
    };
    // Check now, so that no work is wasted. A file that appears later is noticed at the end.
    if !settings.force && fs::symlink_metadata(&target).is_ok() {
        return Err(taken(&target));
    }
    Ok(Some(Target::File(target)))
}

fn taken(target: &Path) -> Failure {
    Failure::warning(format!("{}: already exists, not overwritten (-f does)", target.display()))
}
