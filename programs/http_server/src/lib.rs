//! The server without its command line. `main.rs` starts it, and the bench `responsiveness`
//! measures it.
#![forbid(unsafe_code)]

pub mod connections;
pub mod ending;
mod exposition;
pub mod job;
pub mod pooled;
mod routes;
pub mod runner;
mod traffic;

use std::future::Future;
use std::sync::Arc;

use tokio::net::TcpListener;

use connections::Connections;
use runner::Runner;
use traffic::Traffic;

/// Serves until `stop` completes. Requests accepted by then live on in the connections.
pub async fn serve(
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
