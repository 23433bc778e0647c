//! Prints the public items of a crate from the JSON file that rustdoc made of it, to be read by
//! people: types with their members below them, and short names instead of paths.
//!
//! Left out are auto traits, blanket and derived impls, `Debug`, `Drop`, and the methods of trait
//! impls, which the traits define. What the root shows of a module's type is a `pub use`.

use std::error::Error;

/// Traits that say little: every type has them, or nobody calls them, or other tests hold them.
const NOISE: [&str; 7] = ["Debug", "Drop", "RefUnwindSafe", "Send", "Sync", "Unpin", "UnwindSafe"];

/// The last segments of paths that mean little without the one before.
const VAGUE: [&str; 4] = ["io::error::Error", "fmt::Error", "fmt::Result", "io::error::Result"];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("which file of rustdoc JSON?")?;
    let api = public_api::Builder::from_rustdoc_json(path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    let mut list = List::default();
    api.items().for_each(|item| list.add(&item.to_string()));
    Ok(())
}

/// Where the line that comes next stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Inside {
    #[default]
    Item,
    TraitImpl,
    /// Something that is not shown.
    Nothing,
}

#[derive(Debug, Default)]
struct List {
    inside: Inside,
    /// The current item stands in the root.
    is_in_root: bool,
    /// The current item was shown before, in its module.
    is_again: bool,
    /// The paths of the types shown so far.
    shown: Vec<String>,
}

impl List {
    fn add(&mut self, line: &str) {
        if let Some(path) = path_of_item(line) {
            self.add_item(line, path);
        } else if self.is_again {
        } else if line.starts_with("impl") || line.starts_with("unsafe impl") {
            self.add_impl(&short(line));
        } else if self.inside == Inside::Item {
            println!("    {}", short(line));
        } else if self.inside == Inside::TraitImpl && line.starts_with("pub type ") {
            println!("        {}", short(line));
        }
    }

    fn add_item(&mut self, line: &str, path: &str) {
        let name = path.rsplit("::").next().unwrap_or(path);
        let is_type = name.starts_with(|first: char| first.is_uppercase());
        let in_module = self.shown.iter().find(|shown| shown.ends_with(&format!("::{name}")));
        let is_in_root = path.matches("::").count() == 1 && !line.contains("pub mod ");
        if is_in_root != self.is_in_root || line.starts_with("pub mod ") && path != "corepool" {
            println!();
        }
        self.is_in_root = is_in_root;
        self.is_again = is_type && is_in_root && in_module.is_some();
        self.inside = Inside::Item;
        if let (true, Some(first)) = (self.is_again, in_module) {
            println!("pub use {first}");
            return;
        }
        let (before, after) = line.split_once(path).unwrap_or((line, ""));
        println!("{before}{path}{}", short(after));
        self.shown.push(path.to_owned());
    }

    fn add_impl(&mut self, line: &str) {
        let Some((before, _)) = line.split_once(" for ").filter(|_| !line.contains(" for<")) else {
            self.inside = Inside::Item;
            return;
        };
        let is_noise = NOISE.iter().any(|noise| before.ends_with(&format!(" {noise}")));
        self.inside = if is_noise { Inside::Nothing } else { Inside::TraitImpl };
        if !is_noise {
            println!("    {line}");
        }
    }
}

/// The path of a module, type or free function, if the line is about one: an item that stands in a
/// module, and not in a type.
fn path_of_item(line: &str) -> Option<&str> {
    let mut rest = line;
    while let Some((_, after)) = rest.strip_prefix("#[").and_then(|rest| rest.split_once("] ")) {
        rest = after;
    }
    let rest = rest.strip_prefix("pub ")?;
    let start = rest.find("corepool")?;
    let (kind, path) = rest.split_at(start);
    if !kind.chars().all(|c| c.is_lowercase() || c == ' ') {
        return None;
    }
    let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let (path, after) = path.split_at(end.unwrap_or(path.len()));
    if after_generics(after).starts_with("::") {
        return None;
    }
    let (module, _) = path.rsplit_once("::").unwrap_or(("", path));
    let in_module = !module.contains(|c: char| c.is_uppercase());
    (in_module && !kind.is_empty()).then_some(path)
}

/// What follows `<..>`, if the text begins with that.
fn after_generics(text: &str) -> &str {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if !text[..at].ends_with('-') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return if c == '>' { &text[at + 1..] } else { text };
        }
    }
    text
}

/// The line with names instead of paths.
fn short(line: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut out = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(is_part) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        out.push_str(&short_path(&rest[..end]));
        rest = &rest[end..];
    }
    out + rest
}

fn short_path(path: &str) -> String {
    if VAGUE.iter().any(|vague| path.ends_with(&format!("::{vague}"))) {
        let mut segments = path.split("::").skip(1);
        let (first, last) = (segments.next(), segments.last());
        return format!("{}::{}", first.unwrap_or_default(), last.unwrap_or_default());
    }
    let is_module = |segment: &str| segment.starts_with(|c: char| c.is_lowercase());
    let mut segments: Vec<_> = path.split("::").collect();
    while segments.len() > 1 && !segments[0].is_empty() && is_module(segments[0]) {
        segments.remove(0);
    }
    segments.join("::")
}
