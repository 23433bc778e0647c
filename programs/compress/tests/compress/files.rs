//! Files: names, times and modes, and what is kept or replaced.
#![forbid(unsafe_code)]

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use crate::place::Place;
use crate::program::{compress, gunzip, gzip, noise, run, text};

#[test]
fn a_file_is_replaced_and_comes_back_as_it_was() {
    for length in [100, 1 << 20] {
        let place = Place::new();
        let bytes = text(length);
        let name = place.write("source.rs", &bytes);
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
        let file = File::options().write(true).open(&name).unwrap();
        file.set_times(FileTimes::new().set_modified(then)).unwrap();
        file.set_permissions(Permissions::from_mode(0o640)).unwrap();

        run(&mut compress(&[&name]), b"").expect_out();
        assert_eq!(place.names(), ["source.rs.gz"]);
        let packed = place.read("source.rs.gz");
        assert!(gunzip(&packed) == bytes);
        // The header holds the file's name and its time.
        assert_eq!(packed[4..8], 1_234_567_890_u32.to_le_bytes());
        assert_eq!(&packed[10..20], b"source.rs\0");
        expect_metadata(&place, "source.rs.gz", then);

        run(&mut compress(&["-d", &(name + ".gz")]), b"").expect_out();
        assert_eq!(place.names(), ["source.rs"]);
        assert!(place.read("source.rs") == bytes);
        expect_metadata(&place, "source.rs", then);
    }
}

#[track_caller]
fn expect_metadata(place: &Place, name: &str, modified: SystemTime) {
    let metadata = fs::metadata(place.path(name)).unwrap();
    assert_eq!(metadata.modified().unwrap(), modified);
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
}

#[test]
fn what_is_to_be_kept_is_kept() {
    let place = Place::new();
    let name = place.write("a", b"hello");
    run(&mut compress(&["-k", &name]), b"").expect_out();
    assert_eq!(place.names(), ["a", "a.gz"]);
    let packed = run(&mut compress(&["-c", &name]), b"").expect_out();
    assert_eq!(gunzip(&packed), b"hello");
    run(&mut compress(&["-t", &place.name("a.gz")]), b"").expect_out();
    assert_eq!(place.names(), ["a", "a.gz"]);
}

#[test]
fn nothing_is_overwritten_unless_forced() {
    for length in [5, 1 << 20] {
        let place = Place::new();
        let bytes = text(length);
        let name = place.write("a", &bytes);
        place.write("a.gz", b"precious");
        run(&mut compress(&[&name]), b"").expect_line(2, "a.gz: already exists");
        assert_eq!(place.read("a.gz"), b"precious");
        assert!(place.read("a") == bytes);
        run(&mut compress(&["-f", &name]), b"").expect_out();
        assert_eq!(place.names(), ["a.gz"]);
        place.write("a", b"precious");
        run(&mut compress(&["-d", &place.name("a.gz")]), b"").expect_line(2, "a: already exists");
        assert_eq!(place.read("a"), b"precious");
        run(&mut compress(&["-df", &(name + ".gz")]), b"").expect_out();
        assert!(place.read("a") == bytes);
    }
}

#[test]
fn several_files_become_one_stream_in_order() {
    let place = Place::new();
    let (small, large) = (text(100), text(700_000));
    let names = [place.write("1", &small), place.write("2", &large), place.write("3", &small)];
    let [first, second, third] = &names;
    let packed = run(&mut compress(&["-c", first, second, "-", third]), b"stdin").expect_out();
    let expected = [&small[..], &large, b"stdin", &small].concat();
    assert!(gunzip(&packed) == expected);
    assert!(run(&mut compress(&["-dc"]), &packed).expect_out() == expected);
}

#[test]
fn suffixes_say_what_is_what() {
    let place = Place::new();
    place.write("a.tgz", &gzip(b"tape"));
    run(&mut compress(&["-d", &place.name("a.tgz")]), b"").expect_out();
    assert_eq!(place.read("a.tar"), b"tape");
    let packed = place.write("b.gz", &gzip(b"b"));
    run(&mut compress(&[&packed]), b"").expect_line(2, "already");
    let plain = place.write("c", &gzip(b"c"));
    run(&mut compress(&["-d", &plain]), b"").expect_line(2, "no suffix");
    // The suffix does not matter where no output name is made from it, and it may be left out.
    assert_eq!(run(&mut compress(&["-dc", &plain]), b"").expect_out(), b"c");
    assert_eq!(run(&mut compress(&["-dc", &place.name("b")]), b"").expect_out(), b"b");
    assert_eq!(place.names(), ["a.tar", "b.gz", "c"]);
}

#[test]
fn links_and_pipes_are_left_alone() {
    let place = Place::new();
    let name = place.write("a", b"hello");
    symlink(&name, place.path("link")).unwrap();
    run(&mut compress(&[&place.name("link")]), b"").expect_line(2, "link: is a symbolic link");
    fs::hard_link(&name, place.path("twin")).unwrap();
    run(&mut compress(&[&name]), b"").expect_line(2, "a: has 1 other name");
    run(&mut compress(&["/dev/null"]), b"").expect_line(2, "no ordinary file");
    assert_eq!(place.names(), ["a", "link", "twin"]);
    let packed = run(&mut compress(&["-c", &place.name("link")]), b"").expect_out();
    assert_eq!(gunzip(&packed), b"hello");
}

#[test]
fn a_name_may_hold_anything() {
    let place = Place::new();
    let name = place.write("-d \n\u{1b}[31m ü", b"odd");
    run(&mut compress(&["--", &name]), b"").expect_out();
    run(&mut compress(&["--", &name]), b"").expect_line(1, "-d \\n\\u{1b}[31m ü");
    let long = place.write(&"n".repeat(252), b"long");
    run(&mut compress(&[&long]), b"").expect_out();
    assert_eq!(place.names().len(), 2);
}

/// The file shrinks while it is read. This must be reported as an error.
#[test]
fn a_file_that_is_cut_off_meanwhile_is_an_error() {
    let place = Place::new();
    let name = place.write("a", &noise(4 << 20));
    // The pipe is full long before all input is read, so the program is in the middle of its work
    // when the file changes.
    let mut child = compress(&["-c", "-1", "-b32", "-p2", &name])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut head = [0; 10];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut head).unwrap();
    File::options().write(true).open(&name).unwrap().set_len(2 << 20).unwrap();
    let ended = crate::program::end(child);
    ended.expect_line(1, "became shorter while it was read");
    assert_eq!(place.read("a").len(), 2 << 20);
}
