//! Keeps the house in order: which folder of `src/` may use which, the sizes of files, what every
//! file must say.

mod cases;

use std::fs;
use std::path::{Path, PathBuf};

/// The folders of `src/`, in reading order. Each uses only itself and those above it;
/// ARCHITECTURE.md says what is in them.
const ROOMS: &[&str] =
    &["base", "os", "parts", "cancel", "shared", "task", "sched", "pool", "parallel", "sets"];
/// The only file in `src/` that asks the system for the time.
const CLOCK: &str = "src/base/clock.rs";
const LONGEST_FILE: usize = 500;
const LONGEST_LINE: usize = 100;
/// The most words that the README may have.
const LONGEST_README: usize = 800;
/// An explanation of an ordering may stand this many lines above it.
const EXPLAINED_WITHIN: usize = 8;

/// What a rule has against a line of a file: nothing, or what to do.
type Rule = fn(path: &str, lines: &[&str], at: usize) -> Option<String>;

/// A module may use the rooms above its own. Tests may use any, and so may `lib.rs`.
fn climbs(path: &str, lines: &[&str], at: usize) -> Option<String> {
    let place = |room: &str| ROOMS.iter().position(|known| *known == room);
    let own = path.strip_prefix("src/")?.split('/').next().and_then(place)?;
    let names = code(lines[at]).split("crate::").skip(1);
    let rooms = names.map(|name| name.split(|c: char| !is_of_name(c)).next().unwrap_or_default());
    let above = rooms.filter_map(|room| Some((room, place(room)?))).find(|(_, at)| *at > own)?;
    Some(format!("`{}` stands above `{}`, and must not use it", ROOMS[own], above.0))
}

fn forgets_its_idea(_: &str, lines: &[&str], at: usize) -> Option<String> {
    let says = at > 0 || lines[0].starts_with("//!");
    (!says).then(|| "begin with a `//!` line that says which idea the file owns".to_owned())
}

fn is_too_long(_: &str, lines: &[&str], at: usize) -> Option<String> {
    let is_over = at == LONGEST_FILE && lines.len() > LONGEST_FILE;
    is_over.then(|| format!("{} lines: split the file by ideas", lines.len()))
}

/// Comments and prose; the formatter sees to code.
fn is_too_wide(path: &str, lines: &[&str], at: usize) -> Option<String> {
    let line = lines[at].trim_start();
    // Comments in `tests/messages` are what the compiler should print.
    let is_comment = line.starts_with("//") && !path.contains("/messages/");
    let is_prose = is_comment || path.ends_with(".md");
    let is_table = line.trim_start_matches(['/', '!', ' ']).starts_with('|');
    let is_over =
        is_prose && !is_table && !line.contains("://") && lines[at].chars().count() > LONGEST_LINE;
    is_over.then(|| format!("more than {LONGEST_LINE} columns"))
}

/// A file without unsafe code and without submodules forbids it, so that none is added by chance.
fn does_not_forbid(_: &str, lines: &[&str], at: usize) -> Option<String> {
    let has = |what: &str| lines.iter().any(|line| code(line).contains(what));
    let has_submodule = || {
        lines.iter().any(|line| {
            code(line).ends_with(';') && {
                let line = code(line);
                line.starts_with("mod ") || line.contains(") mod ") || line.starts_with("pub mod ")
            }
        })
    };
    let may_forbid = at == 0 && !has("unsafe ") && !has("![forbid(unsafe_code)]");
    (may_forbid && !has_submodule()).then(|| "add `#![forbid(unsafe_code)]`".to_owned())
}

fn is_unexplained(path: &str, lines: &[&str], at: usize) -> Option<String> {
    let weak = ["::Relaxed", "::Acquire", "::Release", "::AcqRel"];
    let is_weak = |line: &str| {
        line.starts_with("ordering!(")
            || weak.iter().any(|order| line.contains(&format!("Ordering{order}")))
    };
    let is_test = path.contains("/models") || path.contains("tests") || is_in_tests(lines, at);
    let near = &lines[at.saturating_sub(EXPLAINED_WITHIN)..at];
    let is_explained = near.iter().any(|line| line.contains("// ORDERING:"));
    let is_bad = is_weak(code(lines[at])) && !is_test && !is_explained;
    is_bad
        .then(|| format!("needs an `// ORDERING:` comment at most {EXPLAINED_WITHIN} lines above"))
}

fn asks_for_the_time(path: &str, lines: &[&str], at: usize) -> Option<String> {
    let asks = code(lines[at]).contains("Instant::now") || code(lines[at]).contains("SystemTime");
    (asks && path != CLOCK).then(|| format!("ask {CLOCK} for the time: it is monotonic"))
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default().trim()
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Unit tests stand at the end of their file.
fn is_in_tests(lines: &[&str], at: usize) -> bool {
    let is_start =
        |line: &&str| line.starts_with("mod tests {") || line.starts_with("mod models {");
    lines[..at].iter().any(is_start)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below the folders with one of these endings, in a fixed order.
fn files(folders: &[&str], endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("a folder of the crate can be read").path();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            match path.is_dir() {
                true => folders.push(path),
                false if endings.contains(&ending) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn complaints(rule: Rule, path: &str, text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    let at_line = |at: usize| Some(format!("{path}:{}: {}", at + 1, rule(path, &lines, at)?));
    (0..lines.len()).filter_map(at_line).collect()
}

/// Fails with all complaints at once; each says where, and what to do.
#[track_caller]
fn holds(rule: Rule, folders: &[&str], endings: &[&str]) {
    let of_file = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        complaints(rule, &name.replace('\\', "/"), &read(&path))
    };
    expect_none(files(folders, endings).into_iter().flat_map(of_file).collect());
}

#[track_caller]
fn expect_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "the house is not tidy:\n  {}\n", complaints.join("\n  "));
}

const EVERYWHERE: &[&str] = &["src", "tests", "benches", "examples", "programs"];

#[test]
fn folders_use_only_those_above_them() {
    holds(climbs, &["src"], &["rs"]);
}

#[test]
fn files_are_short_and_say_which_idea_they_own() {
    holds(is_too_long, EVERYWHERE, &["rs"]);
    holds(forgets_its_idea, &["src"], &["rs"]);
    holds(is_too_wide, &["src", "tests", "docs", "programs"], &["rs", "md"]);
}

#[test]
fn files_without_unsafe_code_forbid_it() {
    holds(does_not_forbid, &["src"], &["rs"]);
}

#[test]
fn weak_orderings_are_explained() {
    holds(is_unexplained, &["src"], &["rs"]);
}

#[test]
fn only_the_clock_asks_for_the_time() {
    holds(asks_for_the_time, &["src"], &["rs"]);
}

/// Each rule tells a planted violation from its lawful twin.
#[test]
fn the_rules_can_fail() {
    let told = |rule: Rule, text: &str| complaints(rule, "src/task/raw.rs", text).len();
    assert_eq!(told(climbs, "use crate::pool::A;\nuse crate::base::sync;"), 1);
    assert_eq!(
        told(climbs, "// crate::pool::A\nuse crate::task::B; fn f() { crate::sets::c() }"),
        1
    );
    assert_eq!(told(forgets_its_idea, "use a::B;"), 1);
    assert_eq!(told(forgets_its_idea, "//! An idea."), 0);
    assert_eq!(told(is_too_long, &"a\n".repeat(LONGEST_FILE)), 0);
    assert_eq!(told(is_too_long, &"a\n".repeat(LONGEST_FILE + 1)), 1);
    assert_eq!(told(is_too_wide, &format!("// {}\n// a", "a".repeat(LONGEST_LINE))), 1);
    assert_eq!(told(does_not_forbid, "fn f() {}"), 1);
    assert_eq!(told(does_not_forbid, "#![forbid(unsafe_code)]\nfn f() {}"), 0);
    assert_eq!(told(does_not_forbid, "unsafe fn f() {}"), 0);
    assert_eq!(told(does_not_forbid, "pub(crate) mod a;"), 0);
    assert_eq!(told(is_unexplained, "x.load(Ordering::Acquire);"), 1);
    assert_eq!(told(is_unexplained, "// ORDERING: why.\nx.load(Ordering::Acquire);"), 0);
    assert_eq!(told(is_unexplained, "ordering!(A = AcqRel, planted \"a\": Acquire);"), 1);
    assert_eq!(told(is_unexplained, "mod tests {\nx.load(Ordering::Acquire);"), 0);
    assert_eq!(told(asks_for_the_time, "let now = Instant::now();"), 1);
    assert_eq!(told(asks_for_the_time, "// Instant::now"), 0);
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
    let heading = format!("## [{}]", env!("CARGO_PKG_VERSION"));
    let is_known = |line: &str| line.starts_with(&heading);
    assert!(read(&root().join("CHANGELOG.md")).lines().any(is_known), "no line `{heading}`");
}

#[test]
fn the_readme_is_short() {
    let words = read(&root().join("README.md")).split_whitespace().count();
    assert!(words <= LONGEST_README, "README.md has {words} words, at most {LONGEST_README}");
}
