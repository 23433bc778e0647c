//! The interface between the routes and the ways to compute, and the two usual ways.
#![forbid(unsafe_code)]

use std::future::{Future, ready};
use std::pin::Pin;

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use corepool::Metrics;
use corepool::cancel::Cancelled;
use tokio::task::spawn_blocking;

use crate::job::Job;

/// A future answer. Dropping it says that the answer is no longer wanted.
pub type Running = Pin<Box<dyn Future<Output = Result<Bytes, Refusal>> + Send>>;

/// A way to get work done next to an async runtime.
pub trait Runner: Send + Sync {
    /// What the server calls itself by.
    fn name(&self) -> String;
    /// Begins the job.
    fn run(&self, job: Job) -> Running;
    /// The pool's metrics, if there is a pool.
    fn metrics(&self) -> Option<Metrics> {
        None
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub enum Refusal {
    /// The queue is full.
    Full,
    /// The server is about to end.
    Ending,
    /// The request took too long.
    Late,
    /// The work panicked, or its thread died: a bug.
    Broken(String),
}

/// Seconds after which there is likely to be room. A queue of the default length holds less work
/// than that.
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

/// On the runtime's own thread, where all other requests wait meanwhile.
#[derive(Debug)]
pub struct Inline;

impl Runner for Inline {
    fn name(&self) -> String {
        "inline".to_owned()
    }

    fn run(&self, job: Job) -> Running {
        Box::pin(async { unbounded(job) })
    }
}

/// On tokio's blocking threads. There can be 512 of them.
#[derive(Debug)]
pub struct SpawnBlocking;

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

/// Runs the job to the end without a way to stop it.
///
/// # Errors
/// Never: what is not asked to stop does not stop.
pub fn unbounded(job: Job) -> Result<Bytes, Refusal> {
    job.run(|| Ok(())).map_err(|Cancelled { .. }| Refusal::Late)
}

/// An answer that is already there, because no work will be done.
pub(crate) fn refused(refusal: Refusal) -> Running {
    Box::pin(ready(Err(refusal)))
}
