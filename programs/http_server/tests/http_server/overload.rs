//! More work than there is room for, work that takes too long, and clients that do not wait for it.
#![forbid(unsafe_code)]

use crate::program::{Server, wait_until};

const ROOM_FOR_ONE: [&str; 4] = ["--workers", "1", "--queue", "1"];

/// Refusals come at once: the work in the way does not end while they are read.
#[test]
fn a_full_queue_says_so_at_once() {
    let server = Server::start(&["--workers", "1", "--queue", "2"]);
    let _running = server.occupy();
    let mut waiting = [server.connect(), server.connect()];
    for client in &mut waiting {
        client.send("GET", "/fib/10", b"").expect("the server reads");
    }
    server.wait_for("corepool_queue_depth", |depth| depth == 2.0);
    for (method, path) in [("GET", "/fib/10"), ("POST", "/hash"), ("POST", "/compress")] {
        let answer = server.connect().ask(method, path, b"");
        assert_eq!(answer.status, 503, "{path}");
        let seconds = answer.header("retry-after").expect("it says when to come again");
        assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0), "{seconds:?}");
    }
    assert_eq!(server.metric(r#"corepool_tasks_total{outcome="rejected"}"#), 3.0);
    assert_eq!(server.metric("http_requests_open"), 4.0);
}

#[test]
fn a_client_that_goes_away_ends_its_running_work() {
    let server = Server::start(&ROOM_FOR_ONE);
    drop(server.occupy());
    // Otherwise the only worker would be busy for many minutes.
    let answer = server.connect().ask("GET", "/fib/10", b"");
    assert_eq!((answer.status, answer.text()), (200, "55\n"));
    assert_eq!(server.metric("http_requests_gone_total"), 1.0);
}

#[test]
fn a_client_that_goes_away_leaves_the_queue() {
    let server = Server::start(&ROOM_FOR_ONE);
    let _running = server.occupy();
    let mut waiting = server.connect();
    waiting.send("GET", "/fib/10", b"").expect("the server reads");
    server.wait_for("corepool_queue_depth", |depth| depth == 1.0);
    drop(waiting);
    server.wait_for("corepool_queue_depth", |depth| depth == 0.0);
    server.wait_for(r#"corepool_tasks_total{outcome="cancelled"}"#, |count| count == 1.0);
    // The client's place in the queue is free again.
    let mut next = server.connect();
    next.send("GET", "/fib/10", b"").expect("the server reads");
    server.wait_for("corepool_queue_depth", |depth| depth == 1.0);
}

#[test]
fn what_takes_too_long_is_told_so() {
    let server = Server::start(&[&ROOM_FOR_ONE[..], &["--deadline", "200"]].concat());
    let (mut running, mut waiting) = (server.connect(), server.connect());
    running.send("GET", "/fib/60", b"").expect("the server reads");
    waiting.send("GET", "/fib/60", b"").expect("the server reads");
    for client in [&mut running, &mut waiting] {
        assert_eq!(client.receive().expect("the server answers").status, 504);
    }
    // Under load this request may be too late as well, but not forever.
    let is_free = || server.connect().ask("GET", "/fib/10", b"").status == 200;
    wait_until("the worker is free again", is_free);
}
