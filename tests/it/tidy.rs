//! Keeps the house in order: the floors of the design, the sizes of files, what every file must
//! say.
//!
//! The tables below are the rules that change; `floors.rs`, `rules.rs` and `cases.rs` hold those
//! that do not. `planted.rs` proves that each rule can fail.

mod cases;
mod floors;
mod planted;
mod rules;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use floors::Plan;
use source::Source;

/// The floors, from the ground up. A module uses only modules on lower floors; ARCHITECTURE.md says
/// why. A new module gets its place here.
const FLOORS: &[(&str, &[&str])] = &[
    (
        "ground",
        &[
            "sync",
            "unwind",
            "error",
            "counter_start",
            "id",
            "clock",
            "trampoline",
            "lineage",
            "spans",
            "affinity",
            "heritage",
        ],
    ),
    (
        "parts",
        &[
            "waiter",
            "parker",
            "timer",
            "cancel",
            "queue",
            "metrics",
            "event",
            "shared",
            "admission",
            "spin",
            "habit",
            "watch",
        ],
    ),
    ("meeting", &["signal", "idle", "offer"]),
    ("task", &["task", "config"]),
    ("common", &["hub"]),
    ("fork", &["fork"]),
    ("worker", &["worker"]),
    ("handle", &["handle"]),
    ("pool", &["pool"]),
    ("doors", &["builder", "global"]),
    (
        "shapes",
        &[
            "scope",
            "join",
            "install",
            "unpinned",
            "blocking",
            "slice",
            "borrows",
            "promise",
            "task_set",
            "windowed",
            "slice",
            "borrows",
            "batch",
            "promise",
            "task_set",
            "worker_local",
        ],
    ),
    ("face", &["lib", "schedules"]),
];

/// Which module may use which other one on the same floor. Keep it short. A cycle fails, and so
/// does a pair that is not needed.
const NEIGHBOURS: &[(&str, &str)] = &[
    ("sync", "clock"),
    ("affinity", "sync"),
    ("affinity", "clock"),
    ("error", "sync"),
    ("queue", "spin"),
    ("trampoline", "sync"),
    ("error", "id"),
    ("error", "unwind"),
    ("id", "counter_start"),
    ("admission", "parker"),
    ("shared", "parker"),
    ("timer", "parker"),
    ("cancel", "parker"),
    ("cancel", "timer"),
    ("watch", "parker"),
    ("task_set", "batch"),
    ("windowed", "task_set"),
];

/// The files, or folders with a `/` at the end, that may hold unsafe code, and why. Every other
/// file in src/ says `#![forbid(unsafe_code)]`.
const MAY_BE_UNSAFE: &[(&str, &str)] = &[
    ("src/lib.rs", "a forbid here would hold for every module below it"),
    (
        "src/task/",
        "one allocation holds closure, result and state; the state word says who owns what",
    ),
    ("src/queue/", "an intrusive list: its links lie inside the tasks"),
    ("src/heritage.rs", "signals and scheduling policies of threads, which only libc knows"),
    ("src/sync/", "the cell that models can watch; the kernel's fence in other threads"),
    ("src/affinity/mod.rs", "a forbid here would hold for the system calls below it"),
    ("src/affinity/mask.rs", "the system calls that read and set a thread's cores"),
    ("src/parker.rs", "a forbid here would hold for the futex below it"),
    ("src/parker/futex.rs", "the system call by which a thread sleeps on a word"),
    ("src/affinity/macos.rs", "the calls by which a thread asks for a place"),
    (
        "src/affinity/windows.rs",
        "the functions that read and set a thread's cores, declared by hand",
    ),
    ("src/affinity/thread_number.rs", "the system call that tells a thread's number"),
    (
        "src/shared/",
        "zeroed memory taken for atomics; its waiting has none, and each file there says so",
    ),
    (
        "src/cancel/",
        "listeners are known by address; only `listener.rs` has any, and each other file there says so",
    ),
    ("src/offer/", "an offer points into the frame of the thread that made it, which waits for it"),
    ("src/lineage.rs", "a page that the kernel empties in a forked child"),
    ("src/metrics/mod.rs", "a forbid here would hold for the clocks below it"),
    ("src/metrics/cpu_time.rs", "the clock of another thread, by the system's number of it"),
    ("src/install.rs", "the caller's frame, which waits, lends its closure to a worker"),
    ("src/scope/", "closures borrow from the scope's frame, which waits for them"),
    ("src/watch/", "a waker for each handle, all in one piece of memory"),
    ("src/batch/slot.rs", "closure and result in one place; the state word says which, and whose"),
    ("src/batch/mod.rs", "a forbid here would hold for the slots below it"),
    ("src/promise/", "a waker for each handle, all in one piece of memory"),
    ("src/slice/", "parts of a range reach into the frame that folds it, which waits for them"),
    ("src/fork/", "jobs lie in frames of the thread that calls; each frame outlives its job"),
];

/// The only file in src/ that asks the system for the time.
const CLOCK: &str = "src/clock.rs";

/// The longest that a code file may be, in lines.
const LONGEST_FILE: usize = 500;
/// The most words that the README may have.
const LONGEST_README: usize = 800;

const PLAN: Plan<'_> = Plan { floors: FLOORS, neighbours: NEIGHBOURS };

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All `.rs` files below the folders, in a fixed order.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut paths);
    }
    paths.sort();
    let name = |path: &Path| path.strip_prefix(root()).unwrap_or(path).display().to_string();
    paths.iter().map(|path| Source::new(&name(path), &read(path))).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a folder of the crate can be read").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails with all complaints at once; each says where, and what to do.
#[track_caller]
fn expect_none(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<_> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "the house is not tidy:\n  {}\n", complaints.join("\n  "));
}

const EVERYWHERE: &[&str] = &["src", "tests", "benches", "examples"];

#[test]
fn modules_use_only_lower_floors() {
    expect_none(PLAN.complaints(&sources(&["src"])));
}

#[test]
fn neighbours_stand_on_one_floor_and_make_no_circle() {
    expect_none(PLAN.faults());
}

#[test]
fn files_are_short() {
    expect_none(sources(EVERYWHERE).iter().filter_map(|file| rules::too_long(file, LONGEST_FILE)));
}

#[test]
fn files_say_which_idea_they_own() {
    expect_none(sources(&["src"]).iter().filter_map(rules::no_opening));
}

#[test]
fn files_are_named_after_an_idea() {
    expect_none(sources(EVERYWHERE).iter().filter_map(rules::vague_name));
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let files = sources(&["src"]);
    expect_none(files.iter().filter_map(|file| rules::not_forbidden(file, MAY_BE_UNSAFE)));
}

#[test]
fn weak_orderings_are_explained() {
    expect_none(sources(&["src"]).iter().flat_map(rules::unexplained_orderings));
}

#[test]
fn only_the_clock_asks_for_the_time() {
    let files = sources(&["src"]);
    expect_none(files.iter().flat_map(|file| rules::asks_for_the_time(file, CLOCK)));
}

#[test]
fn every_case_of_failure_has_its_tests() {
    let table = read(&root().join("docs/reliability.md"));
    // The published package has no such folder, and its tests must pass there too.
    let has_scripts = root().join("ci").exists();
    let files = |path: &str| match path.starts_with("ci/") && !has_scripts {
        true => Some(String::new()),
        false => fs::read_to_string(root().join(path)).ok(),
    };
    expect_none(cases::complaints(&table, &files));
}

#[test]
fn the_changelog_knows_this_version() {
    let changelog = read(&root().join("CHANGELOG.md"));
    expect_none(rules::version_missing(&changelog, env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_readme_is_short() {
    let words = read(&root().join("README.md")).split_whitespace().count();
    assert!(words <= LONGEST_README, "README.md has {words} words, at most {LONGEST_README}");
}
