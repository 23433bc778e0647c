//! The connections: accepts them one by one, drives them concurrently, and ends them without losing
//! a request.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::traffic::Traffic;

/// How long a client may take to send the head of a request, the first or the next one.
const PATIENCE_FOR_HEAD: Duration = Duration::from_secs(60);

/// After the end has begun, a connection without a request stays open for this long, because a
/// request may be on its way and would be lost.
const GRACE: Duration = Duration::from_millis(250);

/// When the system cannot provide more connections, accepting is tried again after this time.
const REST: Duration = Duration::from_millis(50);

/// All connections of a server.
#[derive(Debug)]
pub struct Connections {
    router: Router,
    traffic: Arc<Traffic>,
    all: JoinSet<()>,
    ending: watch::Sender<bool>,
}

impl Connections {
    pub(crate) fn new(router: Router, traffic: Arc<Traffic>) -> Self {
        Self { router, traffic, all: JoinSet::new(), ending: watch::Sender::new(false) }
    }

    /// Accepts connections until `stop` completes, and then those that still wait in the listener's
    /// backlog. After that the system refuses new ones, and each answer says that it is the last
    /// one of its connection.
    pub(crate) async fn accept(&mut self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.add(stream),
                    Err(_) => sleep(REST).await,
                },
                Some(_) = self.all.join_next() => {}
            }
        }
        self.traffic.begin_ending();
        let _nobody_listens = self.ending.send(true);
        // Closing a listener resets the connections in its backlog, although their clients already
        // see them as established. So accept those first.
        for stream in waiting(listener).unwrap_or_default() {
            self.add(stream);
        }
    }

    fn add(&mut self, stream: TcpStream) {
        // An answer is written in one piece, so there is nothing to batch it with.
        let _slower = stream.set_nodelay(true);
        self.all.spawn(drive(stream, self.router.clone(), self.ending.subscribe()));
    }

    /// Waits until the last connection has ended.
    pub async fn ended(&mut self) {
        while self.all.join_next().await.is_some() {}
    }

    /// Requests that have no answer yet.
    pub(crate) fn open_requests(&self) -> u64 {
        self.traffic.open()
    }
}

/// The clients that are connected but not yet accepted.
fn waiting(listener: TcpListener) -> io::Result<Vec<TcpStream>> {
    let listener = listener.into_std()?;
    let mut streams = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true)?;
        streams.push(TcpStream::from_std(stream)?);
    }
    Ok(streams)
}

/// Serves one connection to its end. An error ends it too; there is no client left to report it to.
async fn drive(stream: TcpStream, router: Router, mut ending: watch::Receiver<bool>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE_FOR_HEAD);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let last_call = async {
        if ending.wait_for(|ending| *ending).await.is_ok() {
            sleep(GRACE).await;
        }
    };
    tokio::select! {
        // Read what has arrived before looking at the last call.
        biased;
        _ = connection.as_mut() => return,
        () = last_call => {}
    }
    connection.as_mut().graceful_shutdown();
    let _nobody_left_to_tell = connection.await;
}
