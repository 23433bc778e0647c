//! Input that is not complete gzip: one line, gzip's exit status, and no partial output.
#![forbid(unsafe_code)]

use crate::place::Place;
use crate::program::{compress, gzip, other, run, text};

/// Expects the same line from a file and from a pipe, and no output under the final name.
#[track_caller]
fn expect_damage(bytes: &[u8], words: &str) {
    let place = Place::new();
    let name = place.write("a.gz", bytes);
    for flags in ["-d", "-t"] {
        run(&mut compress(&[flags, &name]), b"").expect_line(1, words);
        run(&mut compress(&[flags]), bytes).expect_line(1, words);
    }
    assert_eq!(place.names(), ["a.gz"]);
    assert!(place.read("a.gz") == bytes);
    // gzip agrees that the input is damaged.
    if let Some(mut gzip) = other("gzip", &["-t"]) {
        assert_eq!(run(&mut gzip, bytes).status, Some(1));
    }
}

#[test]
fn a_truncated_file_is_told_as_such() {
    for length in [100, 600_000] {
        let packed = gzip(&text(length));
        for end in [1, 2, 9, 11, packed.len() / 2, packed.len() - 9, packed.len() - 1] {
            let words = if end == 1 { "not in gzip format" } else { "unexpected end of file" };
            expect_damage(&packed[..end], words);
        }
    }
}

#[test]
fn an_empty_file_is_no_gzip() {
    expect_damage(b"", "unexpected end of file");
}

#[test]
fn another_format_is_told_as_such() {
    expect_damage(b"PK\x03\x04 and so on", "not in gzip format");
    expect_damage(&[0; 5000], "not in gzip format");
}

#[test]
fn wrong_checksums_and_lengths_are_found() {
    for length in [100, 600_000] {
        let packed = gzip(&text(length));
        let mut wrong = packed.clone();
        wrong[packed.len() - 8] ^= 1;
        expect_damage(&wrong, "wrong checksum");
        let mut wrong = packed.clone();
        wrong[packed.len() - 1] ^= 1;
        expect_damage(&wrong, "wrong length");
        let mut wrong = packed.clone();
        wrong[packed.len() / 2] ^= 0xff;
        expect_damage(&wrong, "invalid compressed data");
    }
}

#[test]
fn a_header_that_gzip_does_not_have_is_refused() {
    let mut packed = gzip(b"hello");
    packed[2] = 7;
    expect_damage(&packed, "method");
    packed[2] = 8;
    packed[3] |= 0x80;
    expect_damage(&packed, "flags");
}

#[test]
fn a_header_with_everything_is_understood() {
    let plain = gzip(b"hello");
    let mut packed = plain[..10].to_vec();
    packed[3] = 0b1_1110;
    packed.extend([3, 0, 1, 2, 3]);
    packed.extend(b"name\0comment\0");
    let sum = zlib_rs::crc32::crc32(0, &packed) as u16;
    packed.extend(sum.to_le_bytes());
    packed.extend(&plain[10..]);
    assert_eq!(run(&mut compress(&["-d"]), &packed).expect_out(), b"hello");
    packed[25] ^= 1;
    expect_damage(&packed, "checksum of the header");
}

/// The output is complete, so it is written. The garbage after it is in no output, so the input
/// stays.
#[test]
fn garbage_behind_the_last_member_is_a_warning() {
    for length in [100, 600_000] {
        let place = Place::new();
        let bytes = text(length);
        let mut packed = gzip(&bytes);
        packed.extend(b"garbage");
        let name = place.write("a.gz", &packed);
        run(&mut compress(&["-t", &name]), b"").expect_line(2, "not gzip");
        run(&mut compress(&["-d", &name]), b"").expect_line(2, "not gzip");
        assert_eq!(place.names(), ["a", "a.gz"]);
        assert!(place.read("a") == bytes);
        let quiet = run(&mut compress(&["-dqc", &name]), b"");
        assert_eq!((quiet.status, quiet.err.as_str()), (Some(2), ""));
        assert!(quiet.out == bytes);
    }
}
