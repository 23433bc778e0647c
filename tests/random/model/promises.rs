//! Several handles as one promise: what it may return, and when it must.

use std::time::Duration;

use corepool::TaskHandle;
use corepool::promise::{self, All, AllSettled, Any, Promise, Race, Rule};

use super::body::Value;
use super::book::{At, Book};
use super::ends::How;
use super::handles::{Given, note};
use super::program::Program;
use super::sets::name;

#[derive(Debug)]
pub(crate) struct Bundle {
    promise: Kind,
    members: Vec<usize>,
    cancels: bool,
}

#[derive(Debug)]
enum Kind {
    All(Promise<All<Value>>),
    Settled(Promise<AllSettled<Value>>),
    Any(Promise<Any<Value>>),
    Race(Promise<Race<Value>>),
}

/// The output of a promise.
enum Output {
    /// The results of all handles, in the order of the handles.
    Each(Vec<Given>),
    /// The result of one handle.
    One(Given),
    /// The result of one handle; the other tasks are cancelled.
    Failure(Given),
}

/// How to wait.
#[derive(Clone, Copy)]
enum Wait {
    Join,
    Await,
    Try,
    For(Duration),
}

fn wait<R: Rule>(mut promise: Promise<R>, how: Wait) -> Result<R::Output, Promise<R>> {
    match how {
        Wait::Join => Ok(promise.join()),
        Wait::Await => Ok(pollster::block_on(promise)),
        Wait::Try => promise.try_join().ok_or(promise),
        Wait::For(time) => promise.join_timeout(time).ok_or(promise),
    }
}

impl Kind {
    #[expect(clippy::result_large_err, reason = "the promise itself comes back")]
    fn wait(self, how: Wait) -> Result<Output, Self> {
        match self {
            Self::All(promise) => match wait(promise, how) {
                Ok(Ok(values)) => Ok(Output::Each(values.into_iter().map(Ok).collect())),
                Ok(Err(error)) => Ok(Output::Failure(Err(error))),
                Err(promise) => Err(Self::All(promise)),
            },
            Self::Settled(promise) => wait(promise, how).map(Output::Each).map_err(Self::Settled),
            Self::Any(promise) => match wait(promise, how) {
                Ok(Ok(value)) => Ok(Output::One(Ok(value))),
                Ok(Err(errors)) => Ok(Output::Each(errors.into_iter().map(Err).collect())),
                Err(promise) => Err(Self::Any(promise)),
            },
            Self::Race(promise) => wait(promise, how).map(Output::One).map_err(Self::Race),
        }
    }

    fn cancel(&self) {
        match self {
            Self::All(promise) => promise.cancel(),
            Self::Settled(promise) => promise.cancel(),
            Self::Any(promise) => promise.cancel(),
            Self::Race(promise) => promise.cancel(),
        }
    }
}

impl Bundle {
    /// Whether the output must be there, if everything is certain; otherwise `None`.
    fn is_decided(&self, book: &Book) -> Option<bool> {
        let is_value = |id: &usize| match book.ends(*id) {
            ends if ends.only_how() == Some(How::Value) => Some(true),
            ends => (!ends.has_how(How::Value)).then_some(false),
        };
        let is_certain = |id: &usize| match book.of(*id).at {
            At::Loose => false,
            At::Settled => is_value(id).is_some(),
            _ => true,
        };
        if !self.members.iter().all(is_certain) {
            return None;
        }
        let settled = || self.members.iter().filter(|id| book.of(**id).at == At::Settled);
        let all = settled().count() == self.members.len();
        let has = |value: bool| settled().any(|id| is_value(id) == Some(value));
        Some(match self.promise {
            Kind::All(_) => all || has(false),
            Kind::Settled(_) => all,
            Kind::Any(_) => all || has(true),
            Kind::Race(_) => all || settled().next().is_some(),
        })
    }

    /// Waits on a pool that has ended.
    pub(crate) fn finish(self, book: &mut Book) {
        let Ok(output) = self.promise.wait(Wait::Try) else {
            panic!("{:?} have settled, and their promise has not", self.members)
        };
        conclude(book, &self.members, output);
    }
}

/// Records the output. Returns whether the other tasks are cancelled.
fn conclude(book: &mut Book, members: &[usize], output: Output) -> bool {
    match output {
        Output::Each(given) => {
            assert_eq!(given.len(), members.len());
            members.iter().zip(given).for_each(|(id, given)| note(book, *id, given));
            false
        }
        Output::One(given) if members.is_empty() => {
            assert!(given.is_err());
            false
        }
        Output::One(given) => {
            let _whose = name(book, members, given);
            false
        }
        Output::Failure(given) => {
            let _whose = name(book, members, given);
            true
        }
    }
}

fn bundled(handles: Vec<TaskHandle<Value>>, kind: u8, cancels: bool) -> Kind {
    fn set<R: Rule>(promise: Promise<R>, cancels: bool) -> Promise<R> {
        if cancels { promise.cancel_on_drop() } else { promise }
    }
    match kind {
        0 => Kind::All(set(promise::all(handles), cancels)),
        1 => Kind::Settled(set(promise::all_settled(handles), cancels)),
        2 => Kind::Any(set(promise::any(handles), cancels)),
        _ => Kind::Race(set(promise::race(handles), cancels)),
    }
}

impl Program {
    pub(crate) fn bundle(&mut self) {
        let taken: Vec<_> = (0..self.random.usize(..6)).map_while(|_| self.take_handle()).collect();
        let (members, handles) = taken.into_iter().unzip();
        let (kind, cancels) = (self.random.u8(..4), self.random.u8(..3) == 0);
        let promise = bundled(handles, kind, cancels);
        self.bundles.push(Bundle { promise, members, cancels });
        if self.random.bool() {
            self.use_bundle();
        }
    }

    pub(crate) fn use_bundle(&mut self) {
        if self.bundles.is_empty() {
            return;
        }
        let bundle = self.bundles.swap_remove(self.random.usize(..self.bundles.len()));
        match self.random.u8(..6) {
            0 => {
                bundle.promise.cancel();
                bundle.members.iter().for_each(|id| self.book.cancel(*id, None));
                self.note_settled_outside();
                self.bundles.push(bundle);
            }
            1 => {
                let Bundle { promise, members, cancels } = bundle;
                drop(promise);
                self.note_end(&members, cancels);
            }
            _ => self.wait_for_bundle(bundle),
        }
    }

    fn wait_for_bundle(&mut self, bundle: Bundle) {
        let is_decided = bundle.is_decided(&self.book);
        let has_end = !self.is_held() || is_decided == Some(true);
        let how = match self.random.u8(..4) {
            0 if has_end => Wait::Join,
            1 if has_end => Wait::Await,
            2 => Wait::For(Duration::from_nanos(self.random.u64(..300_000))),
            _ => Wait::Try,
        };
        let Bundle { promise, members, cancels } = bundle;
        match promise.wait(how) {
            Ok(output) => {
                assert_ne!(is_decided, Some(false), "a promise of {members:?} has an output");
                let failed = conclude(&mut self.book, &members, output);
                self.note_end(&members, cancels || failed);
            }
            Err(promise) => {
                assert_ne!(is_decided, Some(true), "a promise of {members:?} has no output");
                self.bundles.push(Bundle { promise, members, cancels });
            }
        }
    }

    /// Records that the promise is gone, and with it the handles that it still had.
    fn note_end(&mut self, members: &[usize], cancels: bool) {
        for id in members {
            if cancels {
                self.book.cancel(*id, None);
            }
            self.book.drop_handle(*id);
        }
        self.note_settled_outside();
    }
}
