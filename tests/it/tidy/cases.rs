//! Reads the table of failures in docs/reliability.md: each case stands in it once, and every test
//! that it names exists.
//!
//! A row is `| number | what must hold | tests | tools |`. In its third column whatever stands in
//! backquotes is the path of a file, or a test's path as `cargo test` prints it, with the name of
//! its binary and a colon in front unless that is `it`.

/// How many failures there are to begin with; more may be added behind them.
const CASES: usize = 91;

/// What the tree holds: the text of a file, if there is one with this path.
pub(super) type Files<'a> = &'a dyn Fn(&str) -> Option<String>;

struct Row<'a> {
    line: usize,
    case: usize,
    /// Why there is no test for it, or what else the third column says.
    text: &'a str,
    tests: Vec<&'a str>,
}

/// All that is wrong with the table, each with its line.
pub(super) fn complaints(table: &str, files: Files<'_>) -> Vec<String> {
    let rows = rows(table);
    let mut complaints = Vec::new();
    for case in 1..=CASES {
        if !rows.iter().any(|row| row.case == case) {
            complaints.push(format!("docs/reliability.md: case {case} has no row"));
        }
    }
    for (at, row) in rows.iter().enumerate() {
        let mut say = |what: String| {
            complaints.push(format!("docs/reliability.md:{}: {what}", row.line));
        };
        if rows[..at].iter().any(|earlier| earlier.case == row.case) {
            say(format!("case {} has a row already", row.case));
        }
        if row.tests.is_empty() && !row.text.contains("No test:") {
            say(format!("case {} has no test; say `No test:` and why", row.case));
        }
        let missing = row.tests.iter().filter(|test| !exists(test, files));
        missing.for_each(|test| say(format!("there is no `{test}`")));
    }
    complaints
}

fn rows(table: &str) -> Vec<Row<'_>> {
    table.lines().enumerate().filter_map(|(at, line)| row(at + 1, line)).collect()
}

/// The row in this line, if its first column is a number.
fn row(line: usize, text: &str) -> Option<Row<'_>> {
    let mut columns = text.strip_prefix('|')?.split('|');
    let case = columns.next()?.trim().parse().ok()?;
    let text = columns.nth(1).unwrap_or_default();
    Some(Row { line, case, text, tests: quoted(text) })
}

/// What stands in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn exists(test: &str, files: Files<'_>) -> bool {
    if test.contains('/') {
        return files(test).is_some();
    }
    let (binary, path) = test.split_once(": ").unwrap_or(("it", test));
    let (module, name) = path.rsplit_once("::").unwrap_or(("", path));
    let head = format!("fn {name}(");
    homes(binary, module).iter().filter_map(|home| files(home)).any(|text| text.contains(&head))
}

/// Where the functions of a module may stand: in a binary of tests, or in the library's own models
/// and tests.
fn homes(binary: &str, module: &str) -> Vec<String> {
    let mut homes = Vec::new();
    let mut add = |root: &str, module: &str| {
        let path = format!("{root}/{}", module.replace("::", "/"));
        homes.push(format!("{path}.rs"));
        homes.push(format!("{path}/mod.rs"));
    };
    if module.is_empty() {
        return vec![format!("tests/{binary}.rs"), format!("tests/{binary}/main.rs")];
    }
    add(&format!("tests/{binary}"), module);
    if binary == "it" {
        add("src", module);
        // Often the module `tests` stands in the file that it tests.
        if let Some(tested) = module.strip_suffix("::tests") {
            add("src", tested);
        }
    }
    homes
}
