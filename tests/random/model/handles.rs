//! What is done with single handles: observe, wait, cancel, drop, add continuations.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use corepool::{TaskError, TaskHandle};

use super::body::Value;
use super::book::{At, Book, Fates, Kind, value_text};
use super::ends::How;
use super::program::Program;

/// What came out of a handle.
pub(crate) type Given = Result<Value, TaskError>;

/// How the task ended, and the text that says whose value or panic it is.
pub(crate) fn read(given: Given) -> (How, Option<String>) {
    match given {
        Ok(value) => {
            drop(value.token);
            (How::Value, Some(value_text(value.id)))
        }
        Err(TaskError::Panicked(panic)) => (How::Panicked, Some(panic.message().to_owned())),
        Err(error) => (How::of(&error), None),
    }
}

pub(crate) fn note(book: &mut Book, id: usize, given: Given) {
    let (how, from) = read(given);
    book.saw(id, how, from.as_deref());
}

impl Program {
    pub(crate) fn saw(&mut self, id: usize, given: Given) {
        note(&mut self.book, id, given);
    }

    pub(crate) fn observe(&mut self) {
        let Some((id, task)) = self.take_handle() else { return };
        let is_finished = task.is_finished();
        match self.book.of(id).at {
            At::Loose => {}
            at => assert_eq!(is_finished, at == At::Settled, "task {id} is {at:?}"),
        }
        match self.look(id, task) {
            Ok(given) => {
                let at = self.book.of(id).at;
                let may_be = matches!(at, At::Settled | At::Loose);
                assert!(may_be, "task {id} is {at:?}, and gave {given:?}");
                self.saw(id, given);
            }
            Err(task) => {
                assert_ne!(self.book.of(id).at, At::Settled, "task {id} gave no result");
                self.open.push((id, task));
            }
        }
    }

    fn look(&mut self, id: usize, mut task: TaskHandle<Value>) -> Result<Given, TaskHandle<Value>> {
        match self.random.u8(..5) {
            0 => task.try_join().ok_or(task),
            1 => {
                let timeout = Duration::from_nanos(self.random.u64(..300_000));
                task.join_timeout(timeout).ok_or(task)
            }
            2 if self.will_settle(id) => Ok(task.join()),
            3 if self.will_settle(id) => Ok(pollster::block_on(task)),
            _ => match Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(given) => Ok(given),
                Poll::Pending => Err(task),
            },
        }
    }

    pub(crate) fn cancel(&mut self) {
        let Some((id, task)) = self.take_handle() else { return };
        let expected = self.book.answer_to_cancel(id);
        let kept = task.cancel();
        if let Some(expected) = expected {
            assert_eq!(kept, expected, "task {id} was {:?}", self.book.of(id).at);
        }
        // A task that runs anyway has yet to run behind the task that was cancelled.
        let runs_anyway = matches!(self.book.of(id).kind, Kind::Finally(_));
        assert!(!kept || runs_anyway || task.is_finished());
        self.book.cancel(id, Some(kept));
        self.note_settled_outside();
        self.open.push((id, task));
    }

    pub(crate) fn let_go(&mut self) {
        let Some((id, task)) = self.take_handle() else { return };
        match self.random.u8(..4) {
            0 => task.detach(),
            1 => {
                drop(task);
                self.book.drop_handle(id);
            }
            other => {
                let task = task.cancel_on_drop();
                self.book.of_mut(id).cancels_on_drop = true;
                if other == 2 {
                    return self.open.push((id, task));
                }
                drop(task);
                self.book.drop_handle(id);
            }
        }
        self.note_settled_outside();
    }

    /// Adds one continuation, or a short chain, to a handle.
    pub(crate) fn link(&mut self) {
        let Some((mut before, mut task)) = self.take_handle() else { return };
        for _ in 0..self.random.usize(1..4) {
            let kinds = [Kind::Then(before), Kind::Recover(before), Kind::Finally(before)];
            let kind = kinds[self.random.usize(..3)];
            let (id, body) = self.body_of(kind);
            task = match kind {
                Kind::Then(_) => task.then(move |value| {
                    drop(value);
                    body.run(None)
                }),
                Kind::Recover(_) => task.recover(move |error| {
                    drop(error);
                    body.run(None)
                }),
                _ => task.finally(move || drop(body.run(None))),
            };
            self.note_link(id, before);
            before = id;
        }
        self.open.push((before, task));
    }

    fn note_link(&mut self, id: usize, before: usize) {
        let cancels = std::mem::take(&mut self.book.of_mut(before).cancels_on_drop);
        self.book.of_mut(id).cancels_on_drop = cancels;
        if self.is_held() {
            self.book.link_held(id, before);
        } else if self.is_closed {
            // Its turn may come when no worker is left.
            self.book.of_mut(id).fates = Fates { rejected: true, ..Fates::COMES };
        }
    }
}
