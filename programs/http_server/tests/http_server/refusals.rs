//! Wrong requests get an answer that says so, and wrong command lines get one clear line.
#![forbid(unsafe_code)]

use std::net::TcpListener;

use crate::program::{self, Server};

#[test]
fn wrong_requests_are_the_clients_fault() {
    let server = Server::start(&[]);
    let too_long = vec![b'x'; (8 << 20) + 1];
    for (method, path, body, status) in [
        ("GET", "/fib/61", &b""[..], 400),
        ("GET", "/fib/99999999999999999999", b"", 400),
        ("GET", "/fib/-1", b"", 400),
        ("GET", "/fib/ten", b"", 400),
        ("GET", "/fib", b"", 404),
        ("GET", "/", b"", 404),
        ("POST", "/fib/10", b"", 405),
        ("GET", "/hash", b"", 405),
        ("POST", "/health", b"", 405),
        ("POST", "/compress", &too_long, 413),
        ("POST", "/hash", &too_long, 413),
    ] {
        let mut client = server.connect();
        // The server may have refused the body and closed the connection before all of it was sent.
        let _refused_early = client.send(method, path, body);
        match client.receive() {
            Ok(answer) => assert_eq!(answer.status, status, "{method} {path}"),
            Err(broken) => assert_eq!(status, 413, "{method} {path}: {broken}"),
        }
    }
    assert_eq!(server.metric(r#"corepool_tasks_total{outcome="completed"}"#), 0.0);
}

#[test]
fn what_is_no_http_is_refused() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.write(b"what is this?\r\n\r\n").expect("the server reads");
    assert_eq!(client.receive().expect("it says so").status, 400);
    assert_eq!(server.connect().ask("GET", "/health", b"").status, 200);
}

#[test]
fn who_asks_for_help_gets_it() {
    for words in [&["--help"][..], &["-h"], &["--port", "0", "--help"]] {
        let output = program::run(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        let said = String::from_utf8(output.stdout).expect("the program prints text");
        assert!(said.starts_with("usage: http_server [OPTION]..."), "{words:?}: {said}");
        for option in
            ["--host", "--port", "--workers", "--queue", "--deadline", "--nice", "--drain"]
        {
            assert!(said.contains(option), "{words:?}: {option} is missing");
        }
        assert!(output.stderr.is_empty(), "{words:?}");
    }
}

#[test]
fn wrong_command_lines_get_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for (words, reason) in [
        (&["--port", &port][..], "cannot listen on 127.0.0.1"),
        (&["--port", "65536"], "--port"),
        (&["--port"], "--port wants a value"),
        (&["--host", "203.0.113.1", "--port", "0"], "cannot listen on 203.0.113.1"),
        (&["--workers", "0"], "--workers"),
        (&["--workers", "many"], "many"),
        (&["--queue", "-1"], "--queue"),
        (&["--deadline", "0"], "--deadline"),
        (&["--drain", "soon"], "soon"),
        (&["--nice", "20"], "--nice"),
        (&["--inline", "--spawn-blocking"], "one of them"),
        (&["--surplus"], "--surplus"),
        (&["surplus"], "surplus"),
    ] {
        let output = program::run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let said = String::from_utf8(output.stderr).expect("the program prints text");
        assert_eq!(said.lines().count(), 1, "{words:?}: {said}");
        assert!(said.contains(reason), "{words:?}: {said}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}
