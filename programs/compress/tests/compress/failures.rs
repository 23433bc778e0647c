//! Errors from the system: missing and unreadable files, full disks, and wrong arguments.
#![forbid(unsafe_code)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::place::Place;
use crate::program::{compress, gzip, other, run, text};

#[test]
fn wrong_arguments_are_refused_in_one_line() {
    for arguments in [
        &["-x"][..],
        &["--no-such-thing"],
        &["-p"],
        &["-p", "0"],
        &["-pmany"],
        &["-b", "31"],
        &["-b", "16385"],
        &["--keep=yes"],
        &["-0"],
    ] {
        run(&mut compress(arguments), b"").expect_line(1, "--help");
    }
    let help = run(&mut compress(&["--help"]), b"").expect_out();
    assert!(String::from_utf8(help).unwrap().starts_with("usage: compress"));
}

#[test]
fn a_missing_file_is_an_error() {
    let place = Place::new();
    for flags in ["-k", "-d", "-t"] {
        let ended = run(&mut compress(&[flags, &place.name("nothing")]), b"");
        ended.expect_line(1, "nothing: No such file or directory");
    }
}

#[test]
fn an_unreadable_file_is_an_error() {
    // Its first page is not mapped, so even root cannot read it.
    run(&mut compress(&["-c", "/proc/self/mem"]), b"").expect_line(1, "/proc/self/mem: ");
    let place = Place::new();
    let name = place.write("secret", b"secret");
    fs::set_permissions(&name, Permissions::from_mode(0o000)).unwrap();
    if File::open(&name).is_ok() {
        return eprintln!("SKIPPED: to root every file is readable");
    }
    run(&mut compress(&[&name]), b"").expect_line(1, "secret: Permission denied");
    assert_eq!(place.names(), ["secret"]);
}

#[test]
fn a_full_disk_is_an_error() {
    let place = Place::new();
    let packed = gzip(&text(3 << 20));
    for length in [100, 3 << 20] {
        let name = place.write("a", &text(length));
        let mut command = compress(&["-c", &name]);
        run_into_full(&mut command, b"");
    }
    run_into_full(&mut compress(&["-d"]), &packed);
    run_into_full(&mut compress(&[]), &text(3 << 20));
}

fn run_into_full(command: &mut Command, input: &[u8]) {
    // Through a shell, because `run` uses stdout itself.
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" >/dev/full", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    run(&mut shell, input).expect_line(1, "stdout: No space left on device");
}

/// A limit on the file size stands in for a disk that becomes full half way.
#[test]
fn a_disk_that_becomes_full_leaves_nothing_behind() {
    let place = Place::new();
    let bytes = crate::program::noise(3 << 20);
    let name = place.write("a", &bytes);
    let packed = place.write("b.gz", &gzip(&bytes));
    for arguments in [vec![name.as_str()], vec!["-d", &packed]] {
        let mut shell = Command::new("sh");
        // 1024 blocks of 512 bytes or of 1 KiB, depending on the shell; the output needs more than
        // either.
        shell.args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$@\"", "sh"]);
        let command = compress(&arguments);
        shell.arg(command.get_program()).args(command.get_args());
        run(&mut shell, b"").expect_line(1, "File too large");
        assert_eq!(place.names(), ["a", "b.gz"]);
    }
    assert!(place.read("a") == bytes);
}

#[test]
fn a_place_that_can_not_be_written_is_an_error() {
    // No user can create files there, not even root.
    let ended = run(&mut compress(&["-k", "/proc/self/status"]), b"");
    ended.expect_line(1, "/proc/self/status.gz: ");
}

#[test]
fn gzip_would_end_with_the_same_status() {
    let place = Place::new();
    let name = place.write("a", b"a");
    place.write("a.gz", b"in the way");
    let tries = [vec!["-t", &name], vec![&name], vec!["missing"], vec!["-d", "/tmp"]];
    for arguments in tries {
        let Some(mut gzip) = other("gzip", &arguments) else { return };
        let theirs = run(&mut gzip, b"").status;
        assert_eq!(run(&mut compress(&arguments), b"").status, theirs, "{arguments:?}");
    }
}
