//! From stdin to stdout: gzip reads what we write, and we read what gzip writes.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::hint;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::program::{compress, gunzip, gzip, noise, run, text};

/// One block of the default size.
const BLOCK: usize = 128 << 10;

#[test]
fn every_level_gives_what_gzip_reads() {
    let text = text(3 * BLOCK + 17);
    let mut sizes = Vec::new();
    for level in 1..=9 {
        let packed = run(&mut compress(&[&format!("-{level}")]), &text).expect_out();
        assert!(gunzip(&packed) == text, "level {level}");
        sizes.push(packed.len());
    }
    assert!(sizes[8] < sizes[5] && sizes[5] < sizes[0], "{sizes:?}");
}

#[test]
fn every_length_around_a_block_comes_back() {
    let text = text(3 * BLOCK);
    let noise = noise(3 * BLOCK);
    let lengths = [0, 1, 2, 3, 4, 258, 32 << 10, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK];
    for length in lengths {
        for bytes in [&text[..length], &noise[..length], &vec![0; length]] {
            for level in ["-1", "-6"] {
                let packed = run(&mut compress(&[level]), bytes).expect_out();
                assert!(gunzip(&packed) == bytes, "{length} bytes at {level}");
            }
        }
    }
}

#[test]
fn any_number_of_workers_and_any_block_gives_the_same_bytes() {
    let text = text(1 << 20);
    let one = run(&mut compress(&["-p1", "-b", "64"]), &text).expect_out();
    for workers in ["2", "3", "8"] {
        let several = run(&mut compress(&["-p", workers, "-b64"]), &text).expect_out();
        assert!(one == several, "{workers} workers");
    }
    for block in ["32", "1000", "16384"] {
        let packed = run(&mut compress(&["-b", block, "--processes=2"]), &text).expect_out();
        assert!(gunzip(&packed) == text, "blocks of {block} KiB");
    }
}

/// Chance decides which worker gets which block after which other block, even more so beside
/// threads that compute. A compressor that kept state from block to block gave three different
/// outputs in 300 runs. `COREPOOL_RUNS` asks for more than 16 runs of each level.
#[test]
fn blocks_come_out_the_same_beside_load() {
    let text = text(512 << 10);
    let runs = env::var("COREPOOL_RUNS").map_or(16, |runs| runs.parse().expect("a number"));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        });
        let over = Over(&is_over);
        for level in ["-6", "-9"] {
            let one = run(&mut compress(&[level, "-p1", "-b32"]), &text).expect_out();
            for _ in 0..runs {
                let several = run(&mut compress(&[level, "-p3", "-b32"]), &text).expect_out();
                assert!(one == several, "level {level}");
            }
        }
        drop(over);
    });
}

/// Sets the flag on drop, also when a panic drops it.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Each block begins with what the block before ended with. So the output would hardly shrink if
/// blocks were not primed with the data before them.
#[test]
fn a_block_refers_to_the_one_before() {
    let piece = noise(16 << 10);
    let repeated = piece.repeat(64);
    for level in ["-1", "-6", "-9"] {
        let packed = run(&mut compress(&[level, "-b32"]), &repeated).expect_out();
        assert!(packed.len() < 3 * piece.len(), "{} bytes at {level}", packed.len());
        assert!(gunzip(&packed) == repeated);
    }
}

#[test]
fn what_gzip_wrote_is_read() {
    for bytes in [text(1 << 20), noise(1 << 20), vec![0; 8 << 20], Vec::new()] {
        for workers in ["-p1", "-p2"] {
            let back = run(&mut compress(&["-d", workers]), &gzip(&bytes)).expect_out();
            assert!(back == bytes);
        }
    }
}

#[test]
fn members_one_after_another_are_one_stream() {
    let (first, second) = (text(300_000), noise(1000));
    let mut packed = gzip(&first);
    packed.extend(gzip(&[]));
    packed.extend(run(&mut compress(&[]), &second).expect_out());
    assert!(run(&mut compress(&["-dc"]), &packed).expect_out() == [first, second].concat());
    // Zeros that fill up a tape block are not garbage.
    packed.extend([0; 999]);
    run(&mut compress(&["-t"]), &packed).expect_out();
}

/// A writer may hold the pipe open for hours. The blocks it has already sent must not wait for
/// that.
#[test]
fn a_silent_writer_does_not_hold_everything_back() {
    let mut child = compress(&["-b32", "-p1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let mut out = child.stdout.take().expect("piped");
    let noise = noise(4 * BLOCK / 4);
    stdin.write_all(&noise).expect("it reads");
    let mut packed = vec![0; BLOCK / 4];
    out.read_exact(&mut packed).expect("it writes");
    drop(stdin);
    out.read_to_end(&mut packed).expect("it writes");
    assert!(child.wait().expect("the child is ours").success());
    assert!(gunzip(&packed) == noise);
}

/// Memory does not grow with the stream. Zeros are used because they are fast even in unoptimized
/// builds.
#[test]
fn memory_is_bounded() {
    for (arguments, input) in
        [(["-1", "-p2"], vec![0; 1 << 20]), (["-d", "-p2"], gzip(&vec![0; 1 << 20]))]
    {
        let mut child = compress(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("piped");
        for _ in 0..96 {
            stdin.write_all(&input).expect("it reads");
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|kib| kib.trim().strip_suffix(" kB")).expect("Linux tells");
        let kib: u64 = peak.trim().parse().expect("a number");
        drop(stdin);
        assert!(child.wait().expect("the child is ours").success());
        assert!(kib < 64 << 10, "{kib} KiB for {arguments:?}");
    }
}
