//! On a terminal: a progress bar while it works, and no compressed bytes.
#![forbid(unsafe_code)]

use crate::place::Place;
use crate::program::{Ended, compress, noise, other, run};

/// Runs the program on a terminal that `script` makes. The output is what a user would see.
fn on_a_terminal(arguments: &str) -> Option<Ended> {
    let program = compress(&[]).get_program().to_string_lossy().into_owned();
    let line = format!("'{program}' {arguments}");
    let mut script = other("script", &["-qec", &line, "/dev/null"])?;
    Some(run(&mut script, b""))
}

#[test]
fn a_bar_is_shown_on_a_terminal_only() {
    let place = Place::new();
    let name = place.write("a", &noise(4 << 20));
    let Some(ended) = on_a_terminal(&format!("-9k '{name}'")) else { return };
    let seen = String::from_utf8_lossy(&ended.out).into_owned();
    assert_eq!(ended.status, Some(0), "{seen}");
    assert!(seen.contains("a [") && seen.contains('%'), "no bar: {seen:?}");
    let Some(ended) = on_a_terminal(&format!("-9fkq '{name}'")) else { return };
    assert_eq!(ended.out, b"", "quiet");
    run(&mut compress(&["-fk", &name]), b"").expect_out();
}

#[test]
fn no_compressed_bytes_go_to_a_terminal() {
    for arguments in ["", "-c /dev/null", "-d"] {
        let Some(ended) = on_a_terminal(arguments) else { return };
        let seen = String::from_utf8_lossy(&ended.out).into_owned();
        assert_eq!(ended.status, Some(1), "{seen}");
        assert!(seen.contains("a terminal"), "{seen}");
    }
}
