//! The server itself, which `main.rs` starts and `benches/responsiveness.rs` measures.
#![forbid(unsafe_code)]

pub(crate) mod connections;
pub(crate) mod ending;
pub(crate) mod exposition;
pub(crate) mod job;
pub(crate) mod pooled;
pub(crate) mod routes;
pub(crate) mod runner;
pub(crate) mod traffic;

use std::future::Future;
use std::sync::Arc;

use tokio::net::TcpListener;

use connections::Connections;
use runner::Runner;
use traffic::Traffic;

/// Serves until `stop` completes. Requests accepted by then live on in the connections.
pub(crate) async fn serve(
    listener: TcpListener,
    runner: Arc<dyn Runner>,
    stop: impl Future<Output = ()>,
) -> Connections {
    let traffic = Arc::new(Traffic::default());
    let router = routes::router(runner, Arc::clone(&traffic));
    let mut connections = Connections::new(router, traffic);
    connections.accept(listener, stop).await;
    connections
}
