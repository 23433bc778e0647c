//! Two threads on one crossbeam channel of boxed closures, with tokio's oneshot channel for the
//! result.

#![forbid(unsafe_code)]

use tokio::sync::oneshot::{self, Receiver, error::RecvError};

use super::Awaited;
use crate::rivals::tasks::by_hand::Pool;

pub(super) use crate::rivals::tasks::by_hand::start;

impl Awaited for Pool {
    type Handle = Receiver<u64>;

    fn spawn(&self, value: u64) -> Receiver<u64> {
        let (sender, receiver) = oneshot::channel();
        self.send(Box::new(move || {
            let _sent = sender.send(value);
        }));
        receiver
    }

    fn value(output: Result<u64, RecvError>) -> u64 {
        output.expect("the task ran")
    }
}
