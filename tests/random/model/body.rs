//! What a task of a program does, and the traces that it leaves for the model to count.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use corepool::TaskContext;

use crate::support::Gate;

/// What really happened to a task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    ran: AtomicUsize,
    dropped: AtomicUsize,
    asked: AtomicBool,
}

impl Life {
    /// How often its closure was called.
    pub(crate) fn ran(&self) -> usize {
        self.0.ran.load(Ordering::SeqCst)
    }

    /// How often the token that it holds was dropped.
    pub(crate) fn dropped(&self) -> usize {
        self.0.dropped.load(Ordering::SeqCst)
    }

    /// Whether the task saw at its end that it should stop.
    pub(crate) fn was_asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn token(&self) -> Token {
        Token(self.clone())
    }

    pub(crate) fn note_run(&self) {
        self.0.ran.fetch_add(1, Ordering::SeqCst);
    }
}

/// Held first by a closure and then by its value. Counts its drop.
#[derive(Debug)]
pub(crate) struct Token(Life);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// The value of a task: the task's number, and the token.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) id: usize,
    pub(crate) token: Token,
}

/// A task's closure. If it has a gate, it ends when the gate is opened.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) id: usize,
    pub(crate) panics: bool,
    pub(crate) token: Token,
    pub(crate) gate: Option<Gate>,
}

impl Body {
    pub(crate) fn run(self, context: Option<&TaskContext>) -> Value {
        let Self { id, panics, token, gate } = self;
        token.0.note_run();
        if let Some(gate) = gate {
            gate.wait();
        }
        let asked = context.is_some_and(TaskContext::is_cancelled);
        token.0.0.asked.store(asked, Ordering::SeqCst);
        if panics {
            resume_unwind(Box::new(panic_text(id)));
        }
        Value { id, token }
    }
}

/// The message of a task that panics.
pub(crate) fn panic_text(id: usize) -> String {
    format!("task {id} of the program panics")
}
