//! The program as a child process: started on a port of its own, queried, and ended.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Client, PATIENCE};

const PROGRAM: &str = env!("CARGO_BIN_EXE_http_server");

/// Settings that make a machine under load harmless. Nice workers would give way for minutes to
/// whatever else runs here, and work would be too late. Later arguments override these.
const PATIENT: [&str; 8] =
    ["--port", "0", "--nice", "0", "--deadline", "600000", "--drain", "600000"];

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    said: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// What it printed after its address, errors included.
    pub(crate) said: String,
}

impl Server {
    /// Starts it on a free port. When this returns, the server listens and handles signals.
    pub(crate) fn start(words: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(PATIENT).args(words).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("the program prints");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.and_then(|word| word.parse().ok());
        let address = address.unwrap_or_else(|| panic!("there is no address in {line:?}"));
        Self { child, said, address }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Reads one metric, labels included; 0 if it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let answer = self.connect().ask("GET", "/metrics", b"");
        let line =
            answer.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a metric is a number"))
    }

    /// Waits until a metric satisfies the condition.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, is_right: impl Fn(f64) -> bool) {
        wait_until(name, || is_right(self.metric(name)));
    }

    /// Starts work that does not end by itself, and waits until the only worker runs it.
    pub(crate) fn occupy(&self) -> Client {
        let busy = r#"corepool_worker_busy_seconds_total{worker="0"}"#;
        let before = self.metric(busy);
        let mut client = self.connect();
        client.send("GET", "/fib/60", b"").expect("the server reads");
        self.wait_for(busy, |seconds| seconds > before + 0.05);
        client
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a child has a number"), signal).expect("the child is ours");
    }

    /// Reads its output until a line contains these words.
    pub(crate) fn wait_to_say(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            let read = self.said.read_line(&mut line).expect("the program prints");
            assert!(read > 0, "it ended without {words:?}");
        }
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ended {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().expect("the child is ours");
            status.is_some()
        });
        let mut said = String::new();
        self.said.read_to_string(&mut said).expect("the program prints text");
        let mut errors = self.child.stderr.take().expect("piped");
        errors.read_to_string(&mut said).expect("the program prints text");
        Ended { code: status.and_then(|status| status.code()), said }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Polls until the condition holds, for a long time.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs the program to its end, which it must reach by itself.
pub(crate) fn run(words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).stdin(Stdio::null()).output().expect("the program starts")
}
