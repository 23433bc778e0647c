//! Plants a violation of each rule, and its lawful twin, to see that the rule tells them apart.

use super::cases;
use super::floors::{Import, Plan, imports};
use super::rules;
use super::source::Source;

const SMALL: Plan<'_> = Plan {
    floors: &[
        ("ground", &["sync", "id"]),
        ("task", &["task"]),
        ("pool", &["pool"]),
        ("face", &["lib"]),
    ],
    neighbours: &[("id", "sync")],
};

/// What the small plan has against one file, beside the use of its one pair.
fn complaints(path: &str, text: &str) -> Vec<String> {
    let pair = Source::new("src/id.rs", "use crate::sync::Mutex;");
    SMALL.complaints(&[Source::new(path, text), pair])
}

#[track_caller]
fn refused(path: &str, text: &str, said: &str) {
    let complaints = complaints(path, text);
    assert!(complaints.iter().any(|line| line.contains(said)), "{said:?} is not in {complaints:?}");
}

#[track_caller]
fn allowed(path: &str, text: &str) {
    assert_eq!(complaints(path, text), [""; 0]);
}

fn targets(path: &str, text: &str) -> Vec<String> {
    imports(&Source::new(path, text)).into_iter().map(|import| import.to).collect()
}

#[test]
fn a_climb_is_seen_with_its_line() {
    refused("src/task/raw.rs", "//! x\n\nuse crate::pool::Pool;", "src/task/raw.rs:3: `pool`");
    allowed("src/pool.rs", "use crate::task::Task; use crate::{sync, id::Id};");
    allowed("src/lib.rs", "pub use pool::Pool; pub use crate::task::Task;");
}

#[test]
fn a_climb_is_seen_in_every_form() {
    refused("src/task.rs", "fn f() { crate::pool::make() }", "`pool`");
    refused(
        "src/task.rs",
        "use crate::{id::Id,\n sync::{self, Mutex}, pool};",
        "src/task.rs:2: `pool`",
    );
    refused("src/task.rs", "use super::pool::Pool;", "`pool`");
    refused("src/task/raw.rs", "use super::super::pool::Pool;", "`pool`");
    refused("src/task/raw.rs", "use super::{state, super::pool::Pool};", "`pool`");
    refused("src/task.rs", "use self::super::pool::Pool;", "`pool`");
    refused("src/task.rs", "mod seat { use super::super::pool::Pool; }", "`pool`");
    refused("src/task.rs", "macro_rules! m { () => { $crate::pool::make() } }", "`pool`");
}

#[test]
fn super_inside_a_module_is_no_climb() {
    allowed("src/task/raw.rs", "use super::pool::Inner;");
    allowed("src/task.rs", "mod tests { use super::pool; }");
    allowed("src/task.rs", "mod a { fn f() {} } mod b { use super::pool; }");
    refused("src/task.rs", "mod a { fn f() {} } use super::pool;", "`pool`");
}

#[test]
fn comments_docs_and_strings_are_no_imports() {
    allowed("src/task.rs", "//! crate::pool::Pool\n/// [`p`](crate::pool::Pool)\nfn f() {}");
    allowed("src/task.rs", "/* a /* crate::pool::A */ crate::pool::B */ fn f() {}");
    allowed("src/task.rs", "const A: &str = \"\\\"crate::pool::A\"; const B: char = '\"';");
    allowed(
        "src/task.rs",
        "const A: &str = r#\"\" crate::pool::A\"#; const B: &[u8] = br\"crate::pool::B\";",
    );
    refused(
        "src/task.rs",
        "fn f<'a>(x: &'a str) {} const C: char = '\\''; use crate::pool::A;",
        "`pool`",
    );
    refused("src/task.rs", "const A: &str = \"// no comment\"; use crate::pool::A;", "`pool`");
    refused("src/task.rs", "fn r#match() {} /* c */ use crate::pool::A;", "`pool`");
}

#[test]
fn imports_are_found_with_line_and_target() {
    let file = Source::new("src/task/raw.rs", "\nuse crate::{a::{b, c}, d};\nuse super::state::S;");
    let to = |line, to: &str| Import { line, to: to.to_owned() };
    assert_eq!(imports(&file), [to(2, "a"), to(2, "d")]);
    assert_eq!(targets("src/a.rs", "pub(crate) fn f(); pub(in crate::b) fn g();"), ["b"]);
}

#[test]
fn neighbours_need_a_word() {
    refused("src/sync.rs", "use crate::id::Id;", "neighbour `id`");
    allowed("src/id.rs", "use crate::sync::Mutex;");
}

#[test]
fn a_reach_through_the_face_is_a_climb() {
    refused(
        "src/task.rs",
        "use crate::WorkerPool;",
        "`WorkerPool`: `task` (floor 1, task) reaches through",
    );
}

#[test]
fn a_module_without_a_floor_is_told() {
    refused(
        "src/cellar/wine.rs",
        "//! x",
        "src/cellar/wine.rs:1: module `cellar` stands on no floor",
    );
}

#[test]
fn a_bad_plan_is_told() {
    let faults = |neighbours| Plan { floors: SMALL.floors, neighbours }.faults();
    assert_eq!(faults(&[("id", "sync")]), [""; 0]);
    assert_eq!(faults(&[("id", "sync"), ("sync", "id")]).len(), 2);
    assert!(faults(&[("id", "task")])[0].contains("do not stand on one floor"));
    let unused = SMALL.complaints(&[]);
    assert!(unused[0].contains("`id` does not use `sync`"), "{unused:?}");
}

#[test]
fn a_long_file_is_told() {
    let file = Source::new("src/a.rs", &"x\n".repeat(11));
    assert!(rules::too_long(&file, 11).is_none());
    assert!(
        rules::too_long(&file, 10).is_some_and(|said| said.starts_with("src/a.rs:11: 11 lines"))
    );
}

#[test]
fn a_missing_opening_is_told() {
    assert!(rules::no_opening(&Source::new("src/a.rs", "//! x\n")).is_none());
    assert!(rules::no_opening(&Source::new("src/a.rs", "// x\n")).is_some());
    assert!(rules::no_opening(&Source::new("src/a.rs", "")).is_some());
}

#[test]
fn a_vague_name_is_told() {
    let vague = |path| rules::vague_name(&Source::new(path, "")).is_some();
    assert!(vague("src/util.rs") && vague("tests/it/common/mod.rs") && vague("benches/helpers.rs"));
    assert!(!vague("src/utility.rs") && !vague("src/task/mod.rs"));
}

#[test]
fn a_missing_forbid_is_told() {
    let rooms: &[(&str, &str)] = &[("src/task/", "raw"), ("src/lib.rs", "root")];
    let told = |path, text| rules::not_forbidden(&Source::new(path, text), rooms).is_some();
    assert!(told("src/a.rs", "//! x"));
    assert!(told("src/task.rs", "//! x"));
    assert!(told("src/a.rs", "// #![forbid(unsafe_code)]"));
    assert!(!told("src/a.rs", "#![forbid(unsafe_code)]"));
    assert!(!told("src/task/raw.rs", "//! x"));
    assert!(!told("src/lib.rs", "//! x"));
}

#[test]
fn an_unexplained_ordering_is_told() {
    let told = |path, text: &str| rules::unexplained_orderings(&Source::new(path, text)).len();
    assert_eq!(told("src/a.rs", "fn f() { x.load(Ordering::Acquire); }"), 1);
    assert_eq!(told("src/a.rs", "fn f() { x.load(Relaxed); }"), 1);
    assert_eq!(
        told("src/a.rs", "// ORDERING: partner of g.\nfn f() { x.load(Ordering::Acquire); }"),
        0
    );
    assert_eq!(told("src/a.rs", "let a = \"ORDERING:\"; x.load(Ordering::Acquire);"), 1);
    let far = |lines| format!("// ORDERING: y.{}x.load(Ordering::Acquire);", "\n".repeat(lines));
    assert_eq!(told("src/a.rs", &far(8)), 0);
    assert_eq!(told("src/a.rs", &far(9)), 1);
}

#[test]
fn only_orderings_of_our_own_code_count() {
    let told = |path, text: &str| rules::unexplained_orderings(&Source::new(path, text)).len();
    assert_eq!(told("src/a.rs", "x.load(Ordering::SeqCst); Lease::Release; // Relaxed"), 0);
    assert_eq!(told("src/a.rs", "use core::sync::atomic::Ordering::{Acquire, Release};"), 0);
    assert_eq!(told("src/a.rs", "mod tests { fn f() { x.load(Ordering::Relaxed); } }"), 0);
    assert_eq!(told("src/a.rs", "mod tests { } fn f() { x.load(Ordering::Relaxed); }"), 1);
    assert_eq!(told("src/task/models.rs", "x.load(Ordering::Relaxed);"), 0);
}

#[test]
fn who_asks_for_the_time_is_told() {
    let told =
        |path, text| rules::asks_for_the_time(&Source::new(path, text), "src/clock.rs").len();
    assert_eq!(told("src/a.rs", "let now = Instant::now();"), 1);
    assert_eq!(told("src/a.rs", "let now = std::time::SystemTime::now();"), 1);
    assert_eq!(told("src/clock.rs", "Instant::now()"), 0);
    assert_eq!(told("src/a.rs", "fn f(end: Instant) { clock::now(); } // Instant::now()"), 0);
}

/// What the check of the table says of rows 2 to 85, which are in order, behind these.
fn of_table(rows: &str) -> Vec<String> {
    let rest = |case: usize| format!("| {case} | it holds | `a::b` | plain |\n");
    let table =
        format!("| case | … |\n| --- |\n{rows}\n{}", (2..=85).map(rest).collect::<String>());
    let files = |path: &str| match path {
        "tests/it/a.rs" | "src/q/models.rs" | "src/t.rs" | "tests/process/a/c.rs" => {
            Some("fn b() {")
        }
        "tests/process.rs" => Some("fn alone() {"),
        "ci/a.sh" => Some(""),
        _ => None,
    };
    cases::complaints(&table, &|path| files(path).map(str::to_owned))
}

#[test]
fn a_case_without_its_test_is_told() {
    let lawful =
        ["a::b", "q::models::b", "t::tests::b", "process: a::c::b", "process: alone", "ci/a.sh"];
    for test in lawful {
        let row = format!("| 1 | it holds | `{test}`, and more | plain |");
        assert_eq!(of_table(&row), [""; 0]);
    }
    for test in ["a::bb", "a::c", "alone", "process: a::b", "q::b", "ci/b.sh"] {
        let row = format!("| 1 | it `holds` | `a::b`, `{test}` | plain |");
        assert_eq!(of_table(&row), [format!("docs/reliability.md:3: there is no `{test}`")]);
    }
}

#[test]
fn a_case_that_is_missing_or_stands_twice_is_told() {
    assert_eq!(of_table(""), ["docs/reliability.md: case 1 has no row"]);
    let one = "| 1 | it holds | `a::b` | plain |";
    let twice = of_table(&format!("{one}\n{one}"));
    assert_eq!(twice, ["docs/reliability.md:4: case 1 has a row already"]);
    assert_eq!(of_table("| 1 | it holds | a test | plain |").len(), 1);
    assert_eq!(of_table("| 1 | it holds | No test: it can't be done here | |"), [""; 0]);
}

#[test]
fn a_version_without_a_heading_is_told() {
    assert!(rules::version_missing("## [0.1.0] - 2026-01-01\n", "0.1.0").is_none());
    assert!(rules::version_missing("## 0.1.0\n", "0.1.0").is_none());
    assert!(rules::version_missing("## [0.1.0]\n", "0.1").is_some());
    assert!(rules::version_missing("about 0.1.0\n## [Unreleased]\n", "0.1.0").is_some());
}
