//! Runs the program, and gzip for comparison.
#![forbid(unsafe_code)]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than anything here takes, even on a machine under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ended {
    /// Asserts success without any message, and returns what was written to stdout.
    #[track_caller]
    pub(crate) fn expect_out(self) -> Vec<u8> {
        assert_eq!((self.status, self.err.as_str()), (Some(0), ""));
        self.out
    }

    /// Asserts this exit status, and exactly one line on stderr that contains these words.
    #[track_caller]
    pub(crate) fn expect_line(&self, status: i32, words: &str) {
        assert_eq!(self.status, Some(status), "{}", self.err);
        assert_eq!(self.err.lines().count(), 1, "not one line: {}", self.err);
        assert!(self.err.starts_with("compress: "), "{}", self.err);
        assert!(self.err.contains(words), "{:?} is not in {}", words, self.err);
    }
}

/// The program with these arguments.
pub(crate) fn compress(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compress"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the command to its end with this input on stdin.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    thread::scope(|scope| {
        // If the program stops reading early, this sees a closed pipe.
        scope.spawn(move || stdin.write_all(input));
        end(child)
    })
}

/// Waits until the child has ended.
pub(crate) fn end(child: Child) -> Ended {
    let output = child.wait_with_output().expect("the child is ours");
    Ended {
        status: output.status.code(),
        signal: output.status.signal(),
        out: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Another program if it is installed; otherwise reports loudly that it is missing.
pub(crate) fn other(name: &str, arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new(name);
    let found = Command::new(name).arg("--version").output();
    if found.is_err() {
        eprintln!("SKIPPED: there is no {name} here");
        return None;
    }
    command.args(arguments);
    Some(command)
}

/// What gzip makes of the bytes or, without gzip, what our own program makes of them.
#[track_caller]
pub(crate) fn gunzip(packed: &[u8]) -> Vec<u8> {
    let mut judge = other("gzip", &["-dc"]).unwrap_or_else(|| compress(&["-dc"]));
    run(&mut judge, packed).expect_out()
}

/// The bytes as gzip compresses them.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut maker = other("gzip", &["-c"]).unwrap_or_else(|| compress(&["-c"]));
    run(&mut maker, bytes).expect_out()
}

/// Polls until the condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never came: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Text that compresses about as well as source code, the same each time.
pub(crate) fn text(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(length + 32);
    while bytes.len() < length {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = (state >> 33) % 3000;
        // Low numbers are more frequent, as words are.
        let word = word * word / 3000;
        bytes.extend(
            format!("word{word:x}{}", if word.is_multiple_of(7) { "\n" } else { " " }).bytes(),
        );
    }
    bytes.truncate(length);
    bytes
}

/// Incompressible bytes, the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}
