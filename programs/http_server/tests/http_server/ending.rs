//! The end: accepted requests are answered, work that takes too long is named, and no wait lasts
//! forever.
#![forbid(unsafe_code)]

use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::program::{Server, wait_until};

/// Less than the time for which the server keeps connections open after the signal.
const SURELY_HEARD: Duration = Duration::from_millis(100);

const SMALL: [&str; 4] = ["--workers", "1", "--queue", "2"];

#[test]
fn an_idle_server_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start(&[]);
        server.signal(signal);
        let ended = server.ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.said.contains("nothing was left"), "{ended:?}");
    }
}

#[test]
fn what_was_accepted_is_answered() {
    for way in [&["--workers", "1"][..], &["--spawn-blocking"]] {
        let server = Server::start(way);
        let mut clients: Vec<_> = (0..12).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send("GET", "/fib/25", b"").expect("the server reads");
        }
        // All of the requests have come in, and most of them wait for a worker.
        let answered = r#"http_requests_total{route="/fib/{n}",status="200"}"#;
        // Read in this order, no request is counted twice. The request for the metrics is open too.
        let come = || server.metric(answered) + server.metric("http_requests_open") - 1.0;
        wait_until("12 requests have come", || come() >= 12.0);
        server.signal(Signal::TERM);
        for client in &mut clients {
            let answer = client.receive().expect("it was accepted");
            assert_eq!((answer.status, answer.text()), (200, "75025\n"));
        }
        let address = server.address;
        let ended = server.ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.said.contains("nothing was left"), "{ended:?}");
        assert!(TcpStream::connect(address).is_err(), "somebody listens still");
    }
}

/// The one thread accepts nothing while it computes. Clients that connect or ask meanwhile are
/// answered anyway.
#[test]
fn who_stands_in_line_is_answered() {
    let server = Server::start(&["--inline"]);
    let (mut busy, mut waiting) = (server.connect(), Vec::new());
    for _ in 0..8 {
        let mut known = server.connect();
        assert_eq!(known.ask("GET", "/health", b"").status, 200);
        waiting.push(known);
    }
    busy.send("GET", "/fib/36", b"").expect("the system takes it");
    waiting.extend((0..8).map(|_| server.connect()));
    for client in &mut waiting {
        client.send("GET", "/fib/10", b"").expect("the system takes it");
    }
    server.signal(Signal::TERM);
    assert_eq!(busy.receive().expect("it came first").text(), "14930352\n");
    for client in &mut waiting {
        assert_eq!(client.receive().expect("it stood in line").text(), "55\n");
    }
    assert_eq!(server.ended().code, Some(0));
}

/// Clients ask again and again until an answer says that it is the last one.
#[test]
fn connections_in_use_lose_no_request() {
    let server = Server::start(&[]);
    let begun = Barrier::new(7);
    thread::scope(|scope| {
        let ask = || {
            let mut client = server.connect();
            for n in 0_u32.. {
                let sending = client.send("GET", "/fib/15", b"");
                let sent = Instant::now();
                let Ok(answer) = sending.and_then(|()| client.receive()) else { return Some(sent) };
                assert_eq!((answer.status, answer.text()), (200, "610\n"));
                if n == 3 {
                    begun.wait();
                }
                if answer.header("connection") == Some("close") {
                    return None;
                }
            }
            unreachable!("it goes on until the server ends")
        };
        let clients: Vec<_> = (0..6).map(|_| scope.spawn(ask)).collect();
        begun.wait();
        let signalled = Instant::now();
        server.signal(Signal::TERM);
        for client in clients {
            // A machine under load may stop a client for so long that its request comes too late.
            let unheard = client.join().expect("every answer is right");
            let late = unheard.is_none_or(|sent| sent - signalled > SURELY_HEARD);
            assert!(late, "a request was lost that came in time");
        }
    });
    assert_eq!(server.ended().code, Some(0));
}

#[test]
fn after_the_limit_it_says_what_was_left() {
    let server = Server::start(&[&SMALL[..], &["--drain", "300"]].concat());
    let mut running = server.occupy();
    let mut waiting = server.connect();
    waiting.send("POST", "/hash", b"hello").expect("the server reads");
    server.wait_for("corepool_queue_depth", |depth| depth == 1.0);
    server.signal(Signal::TERM);
    // Their work was stopped, and the clients are told so unless the machine is too slow.
    for client in [&mut running, &mut waiting] {
        if let Ok(answer) = client.receive() {
            assert_eq!(answer.status, 503);
        }
    }
    let ended = server.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.said.contains("2 requests unanswered"), "{ended:?}");
    // The work is asked to stop when the limit has passed, and may have just seen that.
    let left = ["1 cancelled, 1 stopped", "1 cancelled, abandoned: fib 60 (worker 0)"];
    assert!(left.iter().any(|left| ended.said.contains(left)), "{ended:?}");
}

#[test]
fn a_second_signal_ends_it_before_the_limit() {
    let mut server = Server::start(&SMALL);
    let _running = server.occupy();
    server.signal(Signal::TERM);
    server.wait_to_say("ending");
    server.signal(Signal::INT);
    let ended = server.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    // The work is asked to stop, and may have just seen that.
    let left = ["abandoned: fib 60", "1 stopped"];
    assert!(left.iter().any(|left| ended.said.contains(left)), "{ended:?}");
}

/// Running `spawn_blocking` work cannot be stopped. The process ends anyway.
#[test]
fn blocking_work_does_not_hold_the_process() {
    let server = Server::start(&["--spawn-blocking", "--drain", "300"]);
    let mut client = server.connect();
    client.send("GET", "/fib/60", b"").expect("the server reads");
    server.wait_for("http_requests_open", |open| open == 2.0);
    server.signal(Signal::TERM);
    let ended = server.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.said.contains("1 requests unanswered"), "{ended:?}");
}
