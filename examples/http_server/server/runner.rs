//! Who does the work: the seam between the routes and the ways to compute, and the two usual ways.
#![forbid(unsafe_code)]

use std::future::{Future, ready};
use std::pin::Pin;

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use corepool::{Cancelled, Metrics};
use tokio::task::spawn_blocking;

use super::job::Job;

/// An answer on its way. Dropping it says that nobody wants it any more.
pub(crate) type Running = Pin<Box<dyn Future<Output = Result<Bytes, Refusal>> + Send>>;

/// A way to get work done beside a runtime.
pub(crate) trait Runner: Send + Sync {
    fn name(&self) -> String;
    fn run(&self, job: Job) -> Running;
    /// What the pool tells of itself, if there is one.
    fn metrics(&self) -> Option<Metrics> {
        None
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// As many wait as may.
    Full,
    /// The server is about to end.
    Ending,
    /// It took too long.
    Late,
    /// The work panicked, or its thread died: a bug.
    Broken(String),
}

/// Seconds after which room is likely. The queue is worth less than that, at its default length.
const RETRY_AFTER: &str = "1";

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let retry = [(header::RETRY_AFTER, RETRY_AFTER)];
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Self::Full => (busy, retry, "busy: try again later\n").into_response(),
            Self::Ending => (busy, retry, "this server is about to end\n").into_response(),
            Self::Late => (StatusCode::GATEWAY_TIMEOUT, "it took too long\n").into_response(),
            Self::Broken(why) => {
                eprintln!("http_server: {why}");
                (StatusCode::INTERNAL_SERVER_ERROR, "something broke\n").into_response()
            }
        }
    }
}

/// On the runtime's own thread, where everybody else waits meanwhile.
#[derive(Debug)]
pub(crate) struct Inline;

impl Runner for Inline {
    fn name(&self) -> String {
        "inline".to_owned()
    }

    fn run(&self, job: Job) -> Running {
        Box::pin(async { unbounded(job) })
    }
}

/// On tokio's blocking threads, of which there may be 512.
#[derive(Debug)]
pub(crate) struct SpawnBlocking;

impl Runner for SpawnBlocking {
    fn name(&self) -> String {
        "spawn_blocking".to_owned()
    }

    fn run(&self, job: Job) -> Running {
        let task = spawn_blocking(move || unbounded(job));
        Box::pin(async {
            task.await.unwrap_or_else(|broken| Err(Refusal::Broken(broken.to_string())))
        })
    }
}

/// Runs to the end, as work does that nobody can stop.
pub(crate) fn unbounded(job: Job) -> Result<Bytes, Refusal> {
    job.run(|| Ok(())).map_err(|Cancelled { .. }| Refusal::Late)
}

/// An answer that is there already, because there will be no work.
pub(crate) fn refused(refusal: Refusal) -> Running {
    Box::pin(ready(Err(refusal)))
}
