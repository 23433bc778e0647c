//! The end of the server: everything accepted is answered, or the limit is over and it says what
//! was left.
#![forbid(unsafe_code)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use corepool::ShutdownReport;
use tokio::time::{Instant, timeout, timeout_at};

use super::connections::Connections;
use super::pooled::Pooled;

/// After the limit those whose work was cancelled are told, if that is quick.
const FAREWELL: Duration = Duration::from_millis(500);

/// How the server is to end.
pub(crate) struct Ending {
    pub(crate) limit: Duration,
    pub(crate) pool: Option<Arc<Pooled>>,
}

/// What was left undone.
#[derive(Debug)]
pub(crate) struct Left {
    unanswered: u64,
    pool: Option<ShutdownReport>,
}

impl Left {
    pub(crate) fn is_clean(&self) -> bool {
        self.unanswered == 0 && self.pool.as_ref().is_none_or(ShutdownReport::is_clean)
    }
}

impl Ending {
    /// Waits until all is done, the limit is over or somebody has become impatient; prints what
    /// happened.
    pub(crate) async fn run(
        self,
        connections: &mut Connections,
        impatient: impl Future<Output = ()>,
    ) -> Left {
        let begin = Instant::now();
        let open = connections.open_requests();
        println!("ending: {open} requests are open, {:?} at most", self.limit);
        let done = async {
            connections.ended().await;
            // Nobody is left who could spawn: what the pool still has was given up by its client.
            if let Some(pooled) = &self.pool {
                pooled.pool.shutdown_async().await;
            }
        };
        tokio::select! {
            _ = timeout_at(begin + self.limit, done) => {}
            () = impatient => {}
        }
        let left = self.give_up(connections).await;
        println!("ended after {:.1?}: {}", begin.elapsed(), left.words());
        left
    }

    /// Ends what is left, if anything is, and says what that was.
    async fn give_up(&self, connections: &mut Connections) -> Left {
        let unanswered = connections.open_requests();
        // With no time it does not wait; a pool that has ended says so.
        let pool = self.pool.as_ref().map(|pooled| {
            let report = pooled.pool.shutdown_timeout(Duration::ZERO);
            pooled.everything.cancel();
            report
        });
        let _they_hear_nothing = timeout(FAREWELL, connections.ended()).await;
        Left { unanswered, pool }
    }
}

impl Left {
    fn words(&self) -> String {
        let pool = self.pool.as_ref().map(|report| format!("; the pool: {report}"));
        if self.is_clean() {
            return "nothing was left".to_owned();
        }
        format!("{} requests unanswered{}", self.unanswered, pool.unwrap_or_default())
    }
}
