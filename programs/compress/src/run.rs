//! A whole run: all inputs in order, small ones in parallel, and the exit status at the end.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;

use corepool::WorkerPool;

use crate::arguments::{Mode, Settings};
use crate::failure::{Failure, Gravity};
use crate::format::Origin;
use crate::inputs::{Input, Inputs};
use crate::interrupt;
use crate::job::{Engine, Job, Way};
use crate::pack::Packer;
use crate::progress::Progress;

/// Small files in flight for each worker.
const FILES_A_WORKER: usize = 4;

/// Does everything that is asked for, and returns the exit status.
pub(crate) fn run(settings: Settings, names: Vec<OsString>) -> i32 {
    let mut report = Report { status: 0, quiet: settings.quiet };
    if let Err(failure) = try_run(settings, names, &mut report) {
        report.note(&failure);
    }
    report.status
}

/// Returns only the errors that end the run.
fn try_run(settings: Settings, names: Vec<OsString>, report: &mut Report) -> Result<(), Failure> {
    let inputs = Inputs::new(names, settings.recursive);
    check_terminals(&settings, inputs.have_stdin())?;
    let other = |why: &dyn std::fmt::Display| Failure::error(why.to_string());
    interrupt::watch().map_err(|why| other(&why))?;
    let builder = WorkerPool::builder().thread_name(|id| format!("compress-{id}"));
    let builder = match settings.workers {
        Some(workers) => builder.workers(workers),
        None => builder,
    };
    let pool = builder.build().map_err(|why| other(&why))?;
    let packer = Packer::new(settings.level, settings.block);
    let engine = Engine { settings, packer };
    let window = pool.worker_count() * FILES_A_WORKER;
    let begins = engine.clone();
    for begun in pool.map_ordered(inputs, window, move |input| begin(input, &begins)) {
        let result = match begun {
            Ok(begun) => begun.finish(&engine, &pool),
            Err(why) => Err(other(&why)),
        };
        if let Err(failure) = result {
            report.note(&failure);
        }
    }
    Ok(())
}

/// How far a worker has got with an input.
enum Begun {
    Done(Result<(), Failure>),
    /// Compressed, to be written to stdout in its turn.
    Packed(Vec<u8>),
    /// Too large for one worker.
    Large(Job),
    Stdin,
}

/// In a task: processes a small input completely, and opens a large one.
fn begin(input: Input, engine: &Engine) -> Begun {
    let (path, found) = match input {
        Input::Stdin => return Begun::Stdin,
        Input::Failed(failure) => return Begun::Done(Err(failure)),
        Input::File(path, found) => (path, found),
    };
    let job = match Job::open(path, found, &engine.settings) {
        Ok(Some(job)) => job,
        Ok(None) => return Begun::Done(Ok(())),
        Err(failure) => return Begun::Done(Err(failure)),
    };
    if job.length() > engine.packer.block as u64 {
        return Begun::Large(job);
    }
    if !job.is_for_stdout() {
        return Begun::Done(job.run(engine, Way::Here));
    }
    // A small file can become very large when it is decompressed, so do not hold the result in
    // memory.
    if engine.settings.mode == Mode::Decompress {
        return Begun::Large(job);
    }
    let mut packed = Vec::new();
    match job.run_to(&mut packed, engine, Way::Here) {
        Ok(()) => Begun::Packed(packed),
        Err(failure) => Begun::Done(Err(failure)),
    }
}

impl Begun {
    /// On the main thread: does the rest.
    fn finish(self, engine: &Engine, pool: &WorkerPool) -> Result<(), Failure> {
        let settings = &engine.settings;
        match self {
            Self::Done(result) => result,
            Self::Packed(packed) => {
                let told = |why| crate::failure::Broken::Write(why);
                let result = stdout()?.write_all(&packed).map_err(told);
                result.map_err(|why| why.into_failure(Path::new("stdin"), Path::new("stdout")))
            }
            Self::Large(job) => {
                let progress = Progress::new(settings, &job.source, Some(job.length()));
                let result = job.run(engine, Way::Wide(pool, &progress));
                progress.clear();
                result
            }
            Self::Stdin => {
                let progress = Progress::new(settings, Path::new("stdin"), None);
                let way = Way::Wide(pool, &progress);
                let input = stdin()?;
                let origin = Origin::default();
                let result = match settings.mode {
                    Mode::Test => engine.convert(input, 0, &mut io::sink(), &origin, way),
                    _ => engine.convert(input, 0, &mut stdout()?, &origin, way),
                };
                progress.clear();
                result.map_err(|why| why.into_failure(Path::new("stdin"), Path::new("stdout")))
            }
        }
    }
}

/// Compressed bytes garble a terminal, and no user types them.
fn check_terminals(settings: &Settings, stdin_is_input: bool) -> Result<(), Failure> {
    let to_stdout = settings.to_stdout || stdin_is_input;
    let refuse = |line| Err(Failure::error(line));
    if settings.force {
        return Ok(());
    }
    if settings.mode == Mode::Compress && to_stdout && io::stdout().is_terminal() {
        return refuse("compressed data is not written to a terminal (try --help, or -f)");
    }
    if settings.mode != Mode::Compress && stdin_is_input && io::stdin().is_terminal() {
        return refuse("compressed data is not read from a terminal (try --help, or -f)");
    }
    Ok(())
}

/// Bypasses the standard library's buffer, which searches the output for line ends.
pub(crate) fn stdout() -> Result<File, Failure> {
    let owned = io::stdout().as_fd().try_clone_to_owned();
    owned.map(File::from).map_err(|why| Failure::of(Path::new("stdout"), &why))
}

fn stdin() -> Result<File, Failure> {
    let owned = io::stdin().as_fd().try_clone_to_owned();
    owned.map(File::from).map_err(|why| Failure::of(Path::new("stdin"), &why))
}

/// Reports what went wrong, and remembers how bad it was.
struct Report {
    status: i32,
    quiet: bool,
}

impl Report {
    fn note(&mut self, failure: &Failure) {
        if failure.reader_is_gone {
            interrupt::end_for_lack_of_readers();
        }
        if failure.gravity == Gravity::Error || !self.quiet {
            failure.print();
        }
        // An error outweighs any number of warnings.
        if self.status != Gravity::Error as i32 {
            self.status = failure.gravity as i32;
        }
    }
}
