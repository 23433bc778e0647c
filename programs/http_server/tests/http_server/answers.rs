//! Right answers to right requests in every mode, and metrics that match what happened.
#![forbid(unsafe_code)]

use std::fs;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use rustix::process::getpriority_process;

use crate::program::Server;

const WAYS: [&[&str]; 3] = [&[], &["--inline"], &["--spawn-blocking"]];

/// `hello` through SHA-256, 20,000 times; computed with Python's hashlib.
const HASH: &str = "ea3079355930ed0581d35add6d3defd2c7d0a2b8bd2d4578e5161e03f419b1d7\n";

#[test]
fn fibonacci_numbers_are_right() {
    for way in WAYS {
        let server = Server::start(way);
        let mut client = server.connect();
        for (n, number) in [(0, 0), (1, 1), (2, 1), (15, 610), (16, 987), (17, 1_597), (24, 46_368)]
        {
            let answer = client.ask("GET", &format!("/fib/{n}"), b"");
            assert_eq!((answer.status, answer.text()), (200, format!("{number}\n").as_str()));
        }
    }
}

#[test]
fn what_is_compressed_comes_back_whole() {
    let text = "a line that comes again and again\n".repeat(2_000);
    let noise: Vec<u8> = std::iter::repeat_with({
        let mut state = 1_u32;
        move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }
    })
    .take(20_000)
    .collect();
    for way in WAYS {
        let server = Server::start(way);
        for body in [&b""[..], b"x", text.as_bytes(), &noise] {
            let answer = server.connect().ask("POST", "/compress", body);
            assert_eq!(answer.status, 200);
            let mut whole = Vec::new();
            MultiGzDecoder::new(answer.body.as_slice()).read_to_end(&mut whole).expect("gzip");
            assert!(whole == body, "{} bytes came back as {}", body.len(), whole.len());
        }
    }
}

#[test]
fn hashes_are_right() {
    for way in WAYS {
        let server = Server::start(way);
        let answer = server.connect().ask("POST", "/hash", b"hello");
        assert_eq!((answer.status, answer.text()), (200, HASH));
    }
}

#[test]
fn health_is_answered_while_the_pool_is_busy() {
    let server = Server::start(&["--workers", "1", "--queue", "0"]);
    let _busy = server.occupy();
    let answer = server.connect().ask("GET", "/health", b"");
    assert_eq!((answer.status, answer.text()), (200, "ok\n"));
}

/// The workers give way to other threads. The thread that answers does not.
#[test]
fn workers_are_nicer_than_the_rest() {
    let server = Server::start(&["--nice", "19"]);
    let threads = format!("/proc/{}/task", server.process());
    let mut workers = 0;
    for thread in fs::read_dir(threads).expect("the server lives") {
        let stat = fs::read_to_string(thread.expect("a thread").path().join("stat"));
        let stat = stat.expect("no thread of an idle server ends");
        // The name stands in brackets; the 17th field after it is the niceness.
        let (name, rest) = stat.rsplit_once(')').expect("a name in brackets");
        let niceness: i32 = rest.split_whitespace().nth(16).unwrap().parse().unwrap();
        let is_worker = name.contains("(compute-");
        workers += usize::from(is_worker);
        assert!(niceness == 19 || !is_worker, "{stat}");
        assert!(niceness < 19 || is_worker || we_are_nice(), "{stat}");
    }
    assert!(workers > 0);
}

/// The process that started this test may already have this niceness.
fn we_are_nice() -> bool {
    getpriority_process(None).is_ok_and(|niceness| niceness == 19)
}

#[test]
fn metrics_say_what_happened() {
    let server = Server::start(&["--workers", "2", "--queue", "3"]);
    let mut client = server.connect();
    for _ in 0..3 {
        client.ask("GET", "/fib/10", b"");
    }
    client.ask("GET", "/fib/61", b"");
    assert_eq!(server.metric(r#"http_requests_total{route="/fib/{n}",status="200"}"#), 3.0);
    assert_eq!(server.metric(r#"http_requests_total{route="/fib/{n}",status="400"}"#), 1.0);
    assert_eq!(server.metric("http_requests_open"), 1.0);
    assert_eq!(server.metric("corepool_workers"), 2.0);
    // A worker counts a task only after its answer has been sent off.
    server.wait_for(r#"corepool_tasks_total{outcome="completed"}"#, |count| count == 3.0);
    server.wait_for("corepool_task_run_seconds_count", |count| count == 3.0);
}

/// Each line is a comment or a sample, and each sample follows the type of its family.
#[test]
fn metrics_are_in_the_format_of_prometheus() {
    for way in WAYS {
        let server = Server::start(way);
        let mut client = server.connect();
        client.ask("GET", "/fib/10", b"");
        let answer = client.ask("GET", "/metrics", b"");
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4"));
        let mut family = String::new();
        let mut samples = 0;
        for line in answer.text().lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let mut words = comment.split(' ');
                let (what, name) = (words.next().unwrap(), words.next().unwrap());
                let kind = words.next().unwrap();
                assert!(what == "HELP" || what == "TYPE", "{line}");
                let kinds = ["counter", "gauge", "summary"];
                assert!(what == "HELP" || kinds.contains(&kind), "{line}");
                family = name.to_owned();
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
                assert!(name.starts_with(&family), "{line} stands below {family}");
                value.parse::<f64>().expect("a value is a number");
                let labels = name.split_once('{').map(|(_, labels)| labels);
                assert!(labels.is_none_or(|labels| labels.ends_with("\"}")), "{line}");
                samples += 1;
            }
        }
        assert!(samples >= 3, "{samples} samples");
    }
}
