//! Directories, and many small files.
#![forbid(unsafe_code)]

use std::os::unix::fs::symlink;

use crate::place::Place;
use crate::program::{compress, run, text};

#[test]
fn a_tree_is_compressed_and_comes_back() {
    let place = Place::new();
    let bytes = text(400_000);
    let mut names = Vec::new();
    for at in 0..120 {
        let name = format!("tree/{}/{at}", at % 7);
        // One file in ten is larger than a block.
        let length = if at % 10 == 0 { bytes.len() } else { at * 10 };
        place.write(&name, &bytes[..length]);
        names.push(name);
    }
    names.sort();
    run(&mut compress(&["-r", &place.name("tree")]), b"").expect_out();
    let expected: Vec<_> = names.iter().map(|name| format!("{name}.gz")).collect();
    assert_eq!(sorted(expected), place.names());
    run(&mut compress(&["-rt", &place.name("tree")]), b"").expect_out();
    // A second run: files that are already compressed are skipped silently.
    run(&mut compress(&["-r", &place.name("tree")]), b"").expect_out();
    run(&mut compress(&["-dr", &place.name("tree")]), b"").expect_out();
    assert_eq!(names, place.names());
    assert!(place.read("tree/0/0") == bytes);
    assert!(place.read("tree/1/1") == bytes[..10]);
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn a_directory_wants_the_option() {
    let place = Place::new();
    place.write("tree/a", b"a");
    run(&mut compress(&[&place.name("tree")]), b"").expect_line(2, "tree: is a directory");
    assert_eq!(place.names(), ["tree/a"]);
}

#[test]
fn a_link_in_a_tree_is_not_followed() {
    let place = Place::new();
    place.write("tree/a", b"a");
    symlink("..", place.path("tree/up")).unwrap();
    run(&mut compress(&["-r", &place.name("tree")]), b"").expect_line(2, "up: is a symbolic link");
    assert_eq!(place.names(), ["tree/a.gz", "tree/up"]);
}

/// One bad file among many: one error line, and all other files are compressed.
#[test]
fn a_failure_stops_nothing_else() {
    let place = Place::new();
    let mut names: Vec<_> =
        (0..50).map(|at| place.write(&format!("{at}"), &text(at * 100))).collect();
    names.insert(20, place.name("missing"));
    let arguments: Vec<_> = names.iter().map(String::as_str).collect();
    run(&mut compress(&arguments), b"").expect_line(1, "missing: No such file");
    assert_eq!(place.names().len(), 50);
    assert!(place.names().iter().all(|name| name.ends_with(".gz")));
}
