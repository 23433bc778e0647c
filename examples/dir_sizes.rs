//! Reports which directories below a path hold the most bytes, by walking the tree with every level
//! in parallel.
//!
//! ```text
//! cargo run --release --example dir_sizes [DIR] [TOP]
//! ```
//!
//! `corepool::map` walks the subdirectories of each directory, on a borrowed slice of their paths.
//! The program chooses no split depth: a small directory is walked on the spot, and a large one
//! spreads over the workers.

use std::cmp::Reverse;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use corepool::WorkerPool;

const USAGE: &str = "\
usage: dir_sizes [DIR] [TOP]

Walks the tree below DIR, first on one thread and then on a pool, and prints the directories that
hold the most.

  DIR  by default the current directory
  TOP  how many directories to print, 1 to 1000, by default 10
";

/// What was found in one directory.
struct Dir {
    path: PathBuf,
    /// The bytes in the files directly in this directory.
    bytes: u64,
    files: u64,
    /// How many entries could not be read.
    unreadable: u64,
    below: Vec<Dir>,
}

/// Sums over a tree.
#[derive(Default, PartialEq, Eq, Clone, Copy)]
struct Total {
    bytes: u64,
    files: u64,
    dirs: u64,
    unreadable: u64,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err((line, status)) => {
            eprintln!("dir_sizes: {line}");
            ExitCode::from(status)
        }
    }
}

fn run() -> Result<(), (String, u8)> {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if words.iter().any(|word| word == "-h" || word == "--help") {
        return show(|out| out.write_all(USAGE.as_bytes()));
    }
    let top = match words.get(1).map(|word| word.to_string_lossy()) {
        None => 10,
        Some(word) => match word.parse::<usize>() {
            Ok(top @ 1..=1000) => top,
            _ => {
                return Err((
                    format!("TOP must be a number from 1 to 1000, not {word:?} (try --help)"),
                    2,
                ));
            }
        },
    };
    if let Some(word) = words.get(2) {
        return Err((format!("{word:?} is one argument too many (try --help)"), 2));
    }
    let root = words.first().map_or_else(|| PathBuf::from("."), PathBuf::from);
    if let Err(why) = fs::read_dir(&root) {
        return Err((format!("{}: {why}", root.display()), 1));
    }
    let pool = WorkerPool::new().map_err(other)?;
    // One unmeasured walk first, so that both measured walks find the same system cache.
    let _warm = walk_alone(&root);
    let (_, alone) = timed(|| walk_alone(&root));
    let (tree, pooled) = timed(|| pool.install(|| walk(&root)));
    report(&tree, top, alone, pooled, pool.worker_count())
}

/// Walks a tree, on as many threads as are free.
fn walk(path: &Path) -> Dir {
    let (mut dir, below) = read(path);
    dir.below = corepool::map(&below, |path| walk(path));
    dir
}

/// Does the same on this thread only.
fn walk_alone(path: &Path) -> Dir {
    let (mut dir, below) = read(path);
    dir.below = below.iter().map(|path| walk_alone(path)).collect();
    dir
}

/// Reads one directory. Returns the paths of its subdirectories too. Links are not followed.
fn read(path: &Path) -> (Dir, Vec<PathBuf>) {
    let path = path.to_owned();
    let mut dir = Dir { path, bytes: 0, files: 0, unreadable: 0, below: Vec::new() };
    let mut below = Vec::new();
    let Ok(entries) = fs::read_dir(&dir.path) else {
        dir.unreadable += 1;
        return (dir, below);
    };
    for entry in entries {
        let known = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)));
        match known {
            Ok((path, metadata)) if metadata.is_dir() => below.push(path),
            Ok((_, metadata)) => {
                dir.files += 1;
                dir.bytes += metadata.len();
            }
            Err(_) => dir.unreadable += 1,
        }
    }
    (dir, below)
}

impl Dir {
    fn total(&self) -> Total {
        let own =
            Total { bytes: self.bytes, files: self.files, dirs: 1, unreadable: self.unreadable };
        self.below.iter().map(Self::total).fold(own, Total::plus)
    }

    /// Lists every directory of the tree with the bytes in it and below it. Returns the total.
    fn list<'a>(&'a self, found: &mut Vec<(u64, &'a Path)>) -> u64 {
        let below: u64 = self.below.iter().map(|dir| dir.list(found)).sum();
        found.push((self.bytes + below, &self.path));
        self.bytes + below
    }
}

impl Total {
    fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            files: self.files + other.files,
            dirs: self.dirs + other.dirs,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

fn report(
    tree: &Dir,
    top: usize,
    alone: Duration,
    pooled: Duration,
    workers: usize,
) -> Result<(), (String, u8)> {
    let total = tree.total();
    let mut dirs = Vec::new();
    tree.list(&mut dirs);
    dirs.sort_by_key(|&(bytes, path)| (Reverse(bytes), path));
    show(|out| {
        for (bytes, path) in dirs.iter().take(top) {
            writeln!(out, "{:>12}  {}", size(*bytes), path.display())?;
        }
        writeln!(
            out,
            "\n{} in {} files, {} directories",
            size(total.bytes),
            total.files,
            total.dirs
        )?;
        if total.unreadable > 0 {
            writeln!(out, "{} could not be read", total.unreadable)?;
        }
        let speed_up = alone.as_secs_f64() / pooled.as_secs_f64();
        writeln!(
            out,
            "one thread {alone:.1?}, {workers} workers {pooled:.1?}, speed-up {speed_up:.2}"
        )
    })
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// Writes to stdout. A write error, such as a closed pipe, is returned and does not panic.
fn show(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), (String, u8)> {
    write(&mut io::stdout().lock()).map_err(other)
}

fn other(why: impl Display) -> (String, u8) {
    (why.to_string(), 1)
}
