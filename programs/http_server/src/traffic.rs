//! The server's traffic: counted answers, open requests, and whether the end has begun.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// A route and a status.
pub(crate) type Answer = (String, u16);

#[derive(Debug, Default)]
pub(crate) struct Traffic {
    answers: Mutex<BTreeMap<Answer, u64>>,
    open: AtomicU64,
    gone: AtomicU64,
    ending: AtomicBool,
}

impl Traffic {
    /// How often each route gave each status.
    pub(crate) fn answers(&self) -> BTreeMap<Answer, u64> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests that have no answer yet.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::SeqCst)
    }

    /// Requests whose client went away before the answer.
    pub(crate) fn gone(&self) -> u64 {
        self.gone.load(Ordering::SeqCst)
    }

    /// From now on each answer says that it is the last one of its connection.
    pub(crate) fn begin_ending(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }
}

/// A request without an answer. If its client goes away, it is dropped unanswered.
struct Open<'a> {
    traffic: &'a Traffic,
    answered: bool,
}

impl<'a> Open<'a> {
    fn new(traffic: &'a Traffic) -> Self {
        traffic.open.fetch_add(1, Ordering::SeqCst);
        Self { traffic, answered: false }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.traffic.open.fetch_sub(1, Ordering::SeqCst);
        if !self.answered {
            self.traffic.gone.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Counts a request on its way in and out.
pub(crate) async fn observe(
    State(traffic): State<Arc<Traffic>>,
    request: Request,
    next: Next,
) -> Response {
    // Use the route pattern and not the path. With a metric per path, any client could fill the
    // memory.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let route = route.to_owned();
    let mut open = Open::new(&traffic);
    let mut response = next.run(request).await;
    open.answered = true;
    if traffic.ending.load(Ordering::SeqCst) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let mut answers = traffic.answers.lock().unwrap_or_else(PoisonError::into_inner);
    *answers.entry((route, response.status().as_u16())).or_default() += 1;
    drop(answers);
    response
}
