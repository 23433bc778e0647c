//! The example `http_server` from outside: the built program, real sockets, real signals.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

#[path = "http_server/client.rs"]
mod client;
#[path = "http_server/program.rs"]
mod program;

#[path = "http_server/answers.rs"]
mod answers;
#[path = "http_server/ending.rs"]
mod ending;
#[path = "http_server/overload.rs"]
mod overload;
#[path = "http_server/refusals.rs"]
mod refusals;
