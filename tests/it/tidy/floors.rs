//! The floors: which module may use which, and who climbs.

use super::source::Source;

/// The floors from the ground up, and the pairs that may use one another on the same floor.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) floors: &'a [(&'a str, &'a [&'a str])],
    pub(super) neighbours: &'a [(&'a str, &'a str)],
}

/// A path in the code that leads to a module under the crate's root.
#[derive(Debug, PartialEq)]
pub(super) struct Import {
    pub(super) line: usize,
    pub(super) to: String,
}

impl Plan<'_> {
    /// What is wrong with the files of src/, as lines.
    pub(super) fn complaints(&self, files: &[Source]) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut used = Vec::new();
        for file in files {
            let from = file.top();
            if self.floor(&from).is_none() {
                complaints.push(format!(
                    "{}:1: module `{from}` stands on no floor: give it one in FLOORS, tests/it/tidy.rs",
                    file.path
                ));
                continue;
            }
            for Import { line, to } in imports(file) {
                // A name that is no module is one that lib.rs hands out.
                let module = if self.floor(&to).is_some() { to.as_str() } else { "lib" };
                used.push((from.clone(), module.to_owned()));
                if let Some(fault) = self.climbs(&from, module) {
                    complaints.push(format!("{}:{line}: `{to}`: {fault}", file.path));
                }
            }
        }
        let unused =
            |pair: &&(&str, &str)| !used.iter().any(|(from, to)| (&**from, &**to) == **pair);
        complaints.extend(self.neighbours.iter().filter(unused).map(|(from, to)| {
            format!(
                "tests/it/tidy.rs: `{from}` does not use `{to}`: take the pair out of NEIGHBOURS"
            )
        }));
        complaints
    }

    /// Why `from` may not use `to`, if so.
    fn climbs(&self, from: &str, to: &str) -> Option<String> {
        let (lower, upper) = (self.floor(from)?, self.floor(to)?);
        if from == to || upper < lower || self.neighbours.contains(&(from, to)) {
            return None;
        }
        let ((above, _), (here, _)) = (self.floors[upper], self.floors[lower]);
        Some(match (upper == lower, to) {
            (_, "lib") => format!(
                "`{from}` (floor {lower}, {here}) reaches through lib.rs: name the module that owns it"
            ),
            (true, _) => format!(
                "`{from}` uses its neighbour `{to}` on floor {lower}, {here}: move what both need down, \
                 or add the pair to NEIGHBOURS in tests/it/tidy.rs"
            ),
            (false, _) => format!(
                "`{from}` (floor {lower}, {here}) climbs to `{to}` (floor {upper}, {above}): move what it \
                 needs down, or let the upper one hand it in"
            ),
        })
    }

    fn floor(&self, module: &str) -> Option<usize> {
        self.floors.iter().position(|(_, modules)| modules.contains(&module))
    }

    /// What is wrong with the plan itself.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (from, to) in self.neighbours {
            if self.floor(from).is_none() || self.floor(from) != self.floor(to) {
                faults.push(format!("NEIGHBOURS: `{from}` and `{to}` do not stand on one floor"));
            }
            if self.leads(to, from, self.neighbours.len()) {
                faults.push(format!("NEIGHBOURS: `{from}` and `{to}` are part of a circle"));
            }
        }
        faults
    }

    /// Whether pairs lead from one module to the other in at most so many steps.
    fn leads(&self, from: &str, to: &str, steps: usize) -> bool {
        from == to
            || steps > 0
                && self
                    .neighbours
                    .iter()
                    .any(|(start, next)| *start == from && self.leads(next, to, steps - 1))
    }
}

/// All paths of the file that lead to a module under the crate's root, by `crate::` or by
/// `super::`.
pub(super) fn imports(file: &Source) -> Vec<Import> {
    let mut found = Vec::new();
    let home = file.home().len();
    for (at, word) in file.words.iter().enumerate() {
        let starts = file.word(at + 1) == "::" && (at == 0 || file.word(at - 1) != "::");
        match word.text.as_str() {
            "crate" if starts => follow(file, at + 2, 0, &mut found),
            "super" | "self" if starts => follow(file, at, home + word.inside.len(), &mut found),
            _ => {}
        }
    }
    found
}

/// Follows a path, and each branch of a group, until it leaves the crate's root downwards.
fn follow(file: &Source, at: usize, depth: usize, found: &mut Vec<Import>) {
    match file.word(at) {
        "{" => {
            for branch in branches(file, at) {
                follow(file, branch, depth, found);
            }
        }
        "super" if depth > 0 && file.word(at + 1) == "::" => follow(file, at + 2, depth - 1, found),
        "self" if file.word(at + 1) == "::" => follow(file, at + 2, depth, found),
        name if depth == 0 && !name.is_empty() => {
            found.push(Import { line: file.words[at].line, to: name.to_owned() });
        }
        _ => {}
    }
}

/// Where each path of the group begins whose brace stands here.
fn branches(file: &Source, brace: usize) -> Vec<usize> {
    let mut starts = vec![brace + 1];
    let mut depth = 0;
    for at in brace..file.words.len() {
        match file.word(at) {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => starts.push(at + 1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    starts.retain(|&start| file.word(start) != "}");
    starts
}
