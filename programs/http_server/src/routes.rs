//! The routes: which request does what.
#![forbid(unsafe_code)]

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::exposition;
use crate::job::{Job, LARGEST_FIBONACCI};
use crate::runner::{Refusal, Runner};
use crate::traffic::{Traffic, observe};

/// A longer body is refused with 413.
const LONGEST_BODY: usize = 8 << 20;

#[derive(Clone)]
struct Server {
    runner: Arc<dyn Runner>,
    traffic: Arc<Traffic>,
}

pub(crate) fn router(runner: Arc<dyn Runner>, traffic: Arc<Traffic>) -> Router {
    Router::new()
        .route("/fib/{n}", get(fibonacci))
        .route("/compress", post(compress))
        .route("/hash", post(hash))
        .route("/health", get(async || "ok\n"))
        .route("/metrics", get(metrics))
        .layer(from_fn_with_state(Arc::clone(&traffic), observe))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(Server { runner, traffic })
}

async fn fibonacci(State(server): State<Server>, Path(n): Path<u32>) -> Response {
    if n > LARGEST_FIBONACCI {
        let why = format!("the largest number possible is {LARGEST_FIBONACCI}\n");
        return (StatusCode::BAD_REQUEST, why).into_response();
    }
    as_text(server.runner.run(Job::Fibonacci(n)).await)
}

async fn compress(State(server): State<Server>, body: Bytes) -> Response {
    let zipped = server.runner.run(Job::Compress(body)).await;
    zipped.map(|zipped| ([(header::CONTENT_TYPE, "application/gzip")], zipped)).into_response()
}

async fn hash(State(server): State<Server>, body: Bytes) -> Response {
    as_text(server.runner.run(Job::Hash(body)).await)
}

fn as_text(answer: Result<Bytes, Refusal>) -> Response {
    answer.map(|text| ([(header::CONTENT_TYPE, "text/plain")], text)).into_response()
}

async fn metrics(State(server): State<Server>) -> Response {
    let text = exposition::text(&server.traffic, server.runner.metrics().as_ref());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
