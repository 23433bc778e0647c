//! The end of the server: every accepted request is answered, or the time limit passes and the
//! server reports what was left.
#![forbid(unsafe_code)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use corepool::ShutdownReport;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connections::Connections;
use crate::pooled::Pooled;

/// After the limit, clients whose work was cancelled get an answer if that takes no longer than
/// this.
const FAREWELL: Duration = Duration::from_millis(500);

/// How the server should end.
#[derive(Debug)]
pub struct Ending {
    /// How long it may take.
    pub limit: Duration,
    /// The pool to shut down, if there is one.
    pub pool: Option<Arc<Pooled>>,
}

/// What was left undone.
#[derive(Debug)]
pub struct Left {
    unanswered: u64,
    pool: Option<ShutdownReport>,
}

impl Left {
    /// Whether every request was answered and the pool ended by itself.
    pub fn is_clean(&self) -> bool {
        self.unanswered == 0 && self.pool.as_ref().is_none_or(ShutdownReport::is_clean)
    }
}

impl Ending {
    /// Waits until everything is done, the limit passes, or `impatient` completes. Prints what
    /// happened.
    pub async fn run(
        self,
        connections: &mut Connections,
        impatient: impl Future<Output = ()>,
    ) -> Left {
        let begin = Instant::now();
        let open = connections.open_requests();
        println!("ending: {open} requests are open, {:?} at most", self.limit);
        let done = async {
            connections.ended().await;
            // No client is left to spawn tasks. Tasks that the pool still has were abandoned by
            // their clients.
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

    /// Ends what is left, if anything, and returns what it was.
    async fn give_up(&self, connections: &mut Connections) -> Left {
        let unanswered = connections.open_requests();
        // With a timeout of zero this does not wait. If the pool has ended, the report says so.
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
