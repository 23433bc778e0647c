//! The rules that look at one file: length, first line, name, unsafe code, orderings, clocks,
//! versions.

use super::source::Source;

const VAGUE: &[&str] = &["util", "utils", "common", "misc", "helper", "helpers"];

const WEAK: &[&str] = &["Relaxed", "Acquire", "Release", "AcqRel"];

/// An explanation may stand this many lines above the access: a call can be spread over several.
const EXPLAINED_WITHIN: usize = 8;

pub(super) fn too_long(file: &Source, longest: usize) -> Option<String> {
    let lines = file.text.lines().count();
    (lines > longest).then(|| {
        format!(
            "{}:{}: {lines} lines, at most {longest}: split it by ideas",
            file.path,
            longest + 1
        )
    })
}

pub(super) fn no_opening(file: &Source) -> Option<String> {
    (!file.text.starts_with("//!")).then(|| {
        format!("{}:1: begin with a `//!` line that says which idea the file owns", file.path)
    })
}

pub(super) fn vague_name(file: &Source) -> Option<String> {
    let vague = |name: &&str| VAGUE.contains(name);
    file.path.trim_end_matches(".rs").split('/').find(vague).map(|name| {
        format!("{}:1: `{name}` says nothing: name it after the idea it owns", file.path)
    })
}

pub(super) fn not_forbidden(file: &Source, may_be_unsafe: &[(&str, &str)]) -> Option<String> {
    let allowed = may_be_unsafe.iter().any(|(place, _)| {
        file.path == *place || place.ends_with('/') && file.path.starts_with(place)
    });
    let words: Vec<_> = file.words.iter().map(|word| word.text.as_str()).collect();
    let attribute = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];
    let forbids = words.windows(attribute.len()).any(|window| window == attribute);
    (!allowed && !forbids).then(|| {
        format!(
            "{}:1: add `#![forbid(unsafe_code)]`, or a reason to MAY_BE_UNSAFE in tests/it/tidy.rs",
            file.path
        )
    })
}

/// Weak orderings outside tests and models without an `// ORDERING:` comment near above.
pub(super) fn unexplained_orderings(file: &Source) -> Vec<String> {
    let is_test = |name: &str| name == "tests" || name == "models";
    if file.home().iter().any(|name| is_test(name)) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    let mut importing = false;
    for (at, word) in file.words.iter().enumerate() {
        match word.text.as_str() {
            "use" => importing = true,
            ";" => importing = false,
            _ => {}
        }
        let in_tests = word.inside.iter().any(|name| is_test(name));
        if importing || in_tests || !is_weak_ordering(file, at) {
            continue;
        }
        if is_explained(file, word.line) {
            continue;
        }
        complaints.push(format!(
            "{}:{}: `{}` needs an `// ORDERING:` comment that names its partner, at most \
             {EXPLAINED_WITHIN} lines above",
            file.path, word.line, word.text
        ));
    }
    complaints.dedup();
    complaints
}

/// `Ordering::Release`, or `Release` alone; not `Lease::Release`, and not a variant's declaration.
fn is_weak_ordering(file: &Source, at: usize) -> bool {
    WEAK.contains(&file.word(at))
        && (at < 2 || file.word(at - 1) != "::" || file.word(at - 2) == "Ordering")
}

fn is_explained(file: &Source, line: usize) -> bool {
    let first = line.saturating_sub(1 + EXPLAINED_WITHIN);
    file.comments[first..line].iter().any(|comment| comment.contains("ORDERING:"))
}

/// Calls of a clock outside the one file that may. What moves with a user's settings is not for
/// pools at all.
pub(super) fn asks_for_the_time(file: &Source, clock: &str) -> Vec<String> {
    let asks = |at: usize| match file.word(at) {
        "Instant" => file.path != clock && file.word(at + 1) == "::" && file.word(at + 2) == "now",
        "SystemTime" => true,
        _ => false,
    };
    let said = |at: usize| {
        format!("{}:{}: ask {clock} for the time: it is monotonic", file.path, file.words[at].line)
    };
    (0..file.words.len()).filter(|&at| asks(at)).map(said).collect()
}

pub(super) fn version_missing(changelog: &str, version: &str) -> Option<String> {
    let is_heading = |line: &str| {
        let name = line.strip_prefix("## ").unwrap_or_default();
        name.split_whitespace()
            .next()
            .is_some_and(|first| first.trim_matches(['[', ']']) == version)
    };
    (!changelog.lines().any(is_heading))
        .then(|| format!("CHANGELOG.md: no heading `## [{version}]`, the version in Cargo.toml"))
}
