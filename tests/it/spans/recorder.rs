//! A hand-written subscriber that remembers which events were recorded inside which spans.
//!
//! There is one for the whole process, because a worker records to the global subscriber. Tests
//! recognize their own records by their names.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::{Mutex, Once};

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Event, Interest, Metadata, Subscriber};

/// What was recorded so far. A span's number is its index, counted from 1.
static RECORDS: Mutex<Records> = Mutex::new(Records { spans: Vec::new(), events: Vec::new() });

struct Records {
    spans: Vec<(&'static Metadata<'static>, Option<Id>)>,
    /// The message, and the span around it.
    events: Vec<(String, Option<Id>)>,
}

thread_local! {
    static INSIDE: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
}

struct Recorder;

/// Installs the recorder. It remembers everything that is recorded from then on.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let recorder = tracing_core::Dispatch::new(Recorder);
        tracing_core::dispatcher::set_global_default(recorder).expect("nobody else sets one");
    });
}

/// The names of the spans around each event with this message, the outermost first.
pub(super) fn parents_of_event(message: &str) -> Vec<Vec<&'static str>> {
    let records = RECORDS.lock().unwrap();
    let events = records.events.iter().filter(|(text, _)| text == message);
    events.map(|(_, span)| records.path(span.clone())).collect()
}

/// For each span with this name, the name of its parent.
pub(super) fn parents_of_span(name: &str) -> Vec<Option<&'static str>> {
    let records = RECORDS.lock().unwrap();
    let spans = records.spans.iter().filter(|(metadata, _)| metadata.name() == name);
    spans.map(|(_, parent)| records.path(parent.clone()).pop()).collect()
}

impl Records {
    fn span(&self, id: &Id) -> &(&'static Metadata<'static>, Option<Id>) {
        &self.spans[id.into_u64() as usize - 1]
    }

    fn path(&self, mut inside: Option<Id>) -> Vec<&'static str> {
        let mut names = Vec::new();
        while let Some(id) = inside {
            let (metadata, parent) = self.span(&id);
            names.insert(0, metadata.name());
            inside = parent.clone();
        }
        names
    }
}

fn innermost() -> Option<Id> {
    INSIDE.with_borrow(|inside| inside.last().cloned())
}

impl Subscriber for Recorder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().contains("::spans")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let parent = if span.is_root() { None } else { span.parent().cloned().or_else(innermost) };
        let mut records = RECORDS.lock().unwrap();
        records.spans.push((span.metadata(), parent));
        Id::from_u64(records.spans.len() as u64)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        RECORDS.lock().unwrap().events.push((message.0, innermost()));
    }

    fn enter(&self, span: &Id) {
        INSIDE.with_borrow_mut(|inside| inside.push(span.clone()));
    }

    fn exit(&self, span: &Id) {
        let left = INSIDE.with_borrow_mut(Vec::pop);
        assert_eq!(left.as_ref(), Some(span), "spans are left in turn");
    }

    fn current_span(&self) -> Current {
        innermost().map_or_else(Current::none, |id| {
            let metadata = RECORDS.lock().unwrap().span(&id).0;
            Current::new(id, metadata)
        })
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
