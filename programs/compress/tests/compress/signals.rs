//! Ctrl-C and similar signals in the middle of the work.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::place::Place;
use crate::program::{compress, end, text, wait_until};

/// A shell script that runs the tests in the background ignores some of these signals, and a child
/// inherits what its parent ignores.
const NONE_IGNORED: &str = "--default-signal=HUP,INT,PIPE,TERM";

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;

fn send(child: &Child, signal: i32) {
    let line = format!("kill -{signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &line]).status().expect("a shell").success());
}

/// A sparse file of zeros, which takes no space on disk and is too long to be compressed during the
/// test.
fn endless(place: &Place, name: &str) -> String {
    let file = File::create(place.path(name)).expect("created");
    file.set_len(1 << 40).expect("sparse files are possible");
    place.name(name)
}

#[test]
fn an_interrupted_run_loses_nothing_and_leaves_nothing() {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let place = Place::new();
        let name = endless(&place, "a");
        let child = start(&["-1", &name]);
        wait_until("a draft", || place.names().iter().any(|name| name.ends_with(".part")));
        send(&child, signal);
        let ended = end(child);
        assert_eq!((ended.signal, ended.err.as_str()), (Some(signal), ""));
        assert_eq!(place.names(), ["a"]);
    }
}

#[test]
fn an_interrupted_decompression_leaves_nothing() {
    let place = Place::new();
    // Many members one after another, so that the decompression takes a while.
    let packed = crate::program::gzip(&text(1 << 20)).repeat(300);
    let name = place.write("a.gz", &packed);
    let child = start(&["-d", &name]);
    wait_until("a draft", || place.names().iter().any(|name| name.ends_with(".part")));
    send(&child, SIGINT);
    let ended = end(child);
    let interrupted = (ended.signal, place.names()) == (Some(SIGINT), vec!["a.gz".to_owned()]);
    // A fast machine may finish before the signal arrives.
    let done = (ended.status, place.names()) == (Some(0), vec!["a".to_owned()]);
    assert!(interrupted || done, "{ended:?}, {:?}", place.names());
}

/// The program sits in a read that never returns. A flag checked only between blocks would be
/// missed.
#[test]
fn a_silent_pipe_holds_nobody() {
    for arguments in [&["-p1"][..], &["-d"], &["-t"]] {
        let mut child = start(arguments);
        let stdin = child.stdin.take();
        wait_until("the watcher", || catches(&child, SIGINT));
        send(&child, SIGINT);
        assert_eq!(child.wait().map(|status| status.code()).expect("ours"), None);
        drop(stdin);
    }
}

/// Whether the process has a handler for the signal, according to the system.
fn catches(child: &Child, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("Linux tells");
    u64::from_str_radix(mask.trim(), 16).expect("a mask") & 1 << (signal - 1) != 0
}

#[test]
fn what_the_parent_ignores_stays_ignored() {
    let mut command = Command::new("env");
    let program = compress(&[]);
    command.args([
        NONE_IGNORED,
        "sh",
        "-c",
        "trap '' HUP; exec \"$0\"",
        &program.get_program().to_string_lossy(),
    ]);
    let child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    wait_until("the watcher", || catches(&child, SIGINT));
    send(&child, SIGHUP);
    // It is still there and finishes its work.
    let ended = end(child);
    assert_eq!(ended.status, Some(0));
    assert_eq!(crate::program::gunzip(&ended.out), b"");
}

/// A reader that closes the pipe ends the program silently, as `head` does with every program.
#[test]
fn a_closed_pipe_ends_it_quietly() {
    let place = Place::new();
    let name = endless(&place, "a");
    let mut child = start(&["-c", "-1", &name]);
    let mut out = child.stdout.take().expect("piped");
    out.read_exact(&mut [0; 10]).expect("it writes");
    drop(out);
    let ended = end(child);
    assert_eq!((ended.signal, ended.err.as_str()), (Some(SIGPIPE), ""));
}

fn start(arguments: &[&str]) -> Child {
    Command::new("env")
        .arg(NONE_IGNORED)
        .arg(compress(&[]).get_program())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}
