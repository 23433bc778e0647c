//! The rules of promises: what decides a promise, and what its output is.
#![forbid(unsafe_code)]

use super::Settled;
use crate::base::error::{Refusal, TaskError};

/// Decides when a [`Promise`](super::Promise) has its output, and what the output is. The trait is
/// sealed: only this crate has rules.
#[doc(hidden)]
pub trait Rule: sealed::Sealed + Sized {
    /// The value of a task.
    type Value;
    /// The output of the promise.
    type Output;

    /// Whether the output depends on which task settles first.
    #[doc(hidden)]
    const MINDS_ORDER: bool;

    /// Makes the rule for this number of handles.
    #[doc(hidden)]
    fn new(handles: usize) -> Self;

    /// Takes the result of task `number` of `many`. Returns `true` if that decides the promise. The
    /// last result decides it in any case.
    #[doc(hidden)]
    fn take(&mut self, number: usize, many: usize, result: Settled<Self::Value>) -> bool;

    /// Returns the output, and whether the remaining tasks should be cancelled.
    #[doc(hidden)]
    fn finish(self) -> (Self::Output, bool);
}

mod sealed {
    #[expect(unnameable_types, reason = "nobody else may implement it, and so nobody may name it")]
    pub trait Sealed {}

    impl<T> Sealed for super::All<T> {}
    impl<T> Sealed for super::AllSettled<T> {}
    impl<T> Sealed for super::Any<T> {}
    impl<T> Sealed for super::Race<T> {}
}

/// The rule of [`all`](super::all).
#[doc(hidden)]
#[derive(Debug)]
pub struct All<T> {
    values: InOrder<T>,
    failed: Option<TaskError>,
}

impl<T> Rule for All<T> {
    type Value = T;
    type Output = Settled<Vec<T>>;

    const MINDS_ORDER: bool = true;

    fn new(handles: usize) -> Self {
        Self { values: InOrder::new(handles), failed: None }
    }

    fn take(&mut self, number: usize, many: usize, result: Settled<T>) -> bool {
        match result {
            Ok(value) => self.values.put(number, many, value),
            Err(error) => self.failed = Some(error),
        }
        self.failed.is_some()
    }

    fn finish(self) -> (Self::Output, bool) {
        match self.failed {
            Some(error) => (Err(error), true),
            None => (Ok(self.values.into_vec()), false),
        }
    }
}

/// Items that arrive in any order, returned in the order of their numbers. An item that arrives in
/// order costs one push.
#[derive(Debug)]
struct InOrder<X> {
    first: Vec<X>,
    /// Items that arrived before their turn. It starts at the first number that was missing.
    rest: Box<[Option<X>]>,
}

impl<X> InOrder<X> {
    fn new(many: usize) -> Self {
        Self { first: Vec::with_capacity(many), rest: Box::default() }
    }

    #[inline]
    fn put(&mut self, number: usize, many: usize, item: X) {
        if self.rest.is_empty() && (number == self.first.len() || mutant!("promise_as_they_come")) {
            self.first.push(item);
        } else {
            self.put_early(number, many, item);
        }
    }

    fn put_early(&mut self, number: usize, many: usize, item: X) {
        let first = self.first.len();
        if self.rest.is_empty() {
            self.rest = none_of(many - first).into_boxed_slice();
        }
        self.rest[number - first] = Some(item);
    }

    fn into_vec(self) -> Vec<X> {
        let mut all = self.first;
        all.extend(self.rest.into_iter().flatten());
        all
    }
}

/// The rule of [`all_settled`](super::all_settled).
#[doc(hidden)]
#[derive(Debug)]
pub struct AllSettled<T> {
    results: InOrder<Settled<T>>,
}

impl<T> Rule for AllSettled<T> {
    type Value = T;
    type Output = Vec<Settled<T>>;

    const MINDS_ORDER: bool = false;

    fn new(handles: usize) -> Self {
        Self { results: InOrder::new(handles) }
    }

    fn take(&mut self, number: usize, many: usize, result: Settled<T>) -> bool {
        self.results.put(number, many, result);
        false
    }

    fn finish(self) -> (Self::Output, bool) {
        (self.results.into_vec(), false)
    }
}

/// The rule of [`any`](super::any).
#[doc(hidden)]
#[derive(Debug)]
pub struct Any<T> {
    value: Option<T>,
    errors: Vec<Option<TaskError>>,
}

impl<T> Rule for Any<T> {
    type Value = T;
    type Output = Result<T, Vec<TaskError>>;

    const MINDS_ORDER: bool = true;

    fn new(handles: usize) -> Self {
        Self { value: None, errors: none_of(handles) }
    }

    fn take(&mut self, number: usize, _many: usize, result: Settled<T>) -> bool {
        match result {
            Ok(value) => self.value = Some(value),
            Err(error) => self.errors[number] = Some(error),
        }
        self.value.is_some() || mutant!("promise_any_error")
    }

    fn finish(self) -> (Self::Output, bool) {
        let errors = self.errors;
        (self.value.ok_or_else(|| errors.into_iter().flatten().collect()), false)
    }
}

/// The rule of [`race`](super::race).
#[doc(hidden)]
#[derive(Debug)]
pub struct Race<T> {
    first: Option<Settled<T>>,
}

impl<T> Rule for Race<T> {
    type Value = T;
    type Output = Settled<T>;

    const MINDS_ORDER: bool = true;

    fn new(_handles: usize) -> Self {
        Self { first: None }
    }

    fn take(&mut self, _number: usize, _many: usize, result: Settled<T>) -> bool {
        self.first = Some(result);
        !mutant!("promise_race_waits")
    }

    fn finish(self) -> (Self::Output, bool) {
        (self.first.unwrap_or(Err(TaskError::Rejected(Refusal::Empty))), false)
    }
}

fn none_of<X>(many: usize) -> Vec<Option<X>> {
    std::iter::repeat_with(|| None).take(many).collect()
}
