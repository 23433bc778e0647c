//! The payload of a task's panic, with its message and the name of the task.
#![forbid(unsafe_code)]

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::base::sync::real::Mutex;

use super::{Cancelled, TaskError};
use crate::base::unwind::{self, Payload};

/// The payload of a task's panic.
///
/// Dropping it drops the payload. If that panics too, the second panic is swallowed.
///
/// ```
/// use corepool::TaskError;
/// let pool = corepool::WorkerPool::with_workers(1)?;
/// let task = pool.spawn(|| panic!("no"));
/// let Err(TaskError::Panicked(panic)) = task.join() else { unreachable!() };
/// assert_eq!(panic.message(), "no");
/// # Ok::<(), corepool::BuildError>(())
/// ```
pub struct PanicPayload {
    // Boxed, so that an error is no larger than a pointer. Locked, because a payload may be sent to
    // another thread, but two threads must not use it at once.
    inner: Box<PanicParts>,
}

struct PanicParts {
    message: String,
    task: Option<TaskName>,
    payload: Mutex<Option<Payload>>,
}

/// The name of a task.
#[derive(Debug, Clone)]
pub(crate) enum TaskName {
    /// Given by the user.
    Given(Arc<str>),
    /// The type of its closure.
    Type(&'static str),
}

impl TaskName {
    pub(crate) fn into_string(self) -> String {
        match self {
            Self::Given(name) => (*name).to_owned(),
            Self::Type(name) => name.to_owned(),
        }
    }
}

/// A payload on its way from one task to the next, with what is known of the task that panicked.
struct PassedOn(PanicPayload);

impl PanicPayload {
    /// `task` is the name of the task that panicked, if it has one. A payload that was passed on
    /// keeps its name.
    pub(crate) fn new(payload: Payload, task: Option<TaskName>) -> Self {
        let payload = match payload.downcast::<PassedOn>() {
            Ok(passed_on) => return passed_on.0,
            Err(payload) => payload,
        };
        let message = match (text_of(&*payload), &task) {
            (Some(text), _) => text.into_owned(),
            (None, Some(TaskName::Type(name))) => format!("{NO_TEXT}, in {name}"),
            (None, _) => NO_TEXT.to_owned(),
        };
        Self { inner: Box::new(PanicParts { message, task, payload: Mutex::new(Some(payload)) }) }
    }

    /// Turns this into a payload, for a task that ends in the same way as the one before it.
    pub(crate) fn pass_on(self) -> Payload {
        Box::new(PassedOn(self))
    }

    /// Returns the message of the panic.
    ///
    /// A payload that is not text is described as far as possible: numbers and common errors by
    /// their value and type, others by the place where the task's closure was written.
    ///
    /// ```
    /// use corepool::TaskError;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let task = pool.spawn(|| panic!("no"));
    /// let Err(TaskError::Panicked(panic)) = task.join() else { unreachable!() };
    /// assert_eq!(panic.message(), "no");
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns the name of the task that panicked: its given name, or the type of its closure,
    /// which names the function that contains the closure. `None` if the task has no name, for
    /// example a closure of a scope.
    ///
    /// ```
    /// use corepool::{TaskError, WorkerPool};
    /// let pool = WorkerPool::with_workers(1)?;
    /// let task = pool.task().name("thumbnail 17").spawn(|| -> u32 { panic!("bad pixel") });
    /// let error = task.join().unwrap_err();
    /// assert_eq!(error.to_string(), "the task \"thumbnail 17\" panicked: bad pixel");
    /// match error {
    ///     TaskError::Panicked(panic) => assert_eq!(panic.task(), Some("thumbnail 17")),
    ///     other => unreachable!("{other}"),
    /// }
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        self.inner.task.as_ref().map(|name| match name {
            TaskName::Given(name) => &**name,
            TaskName::Type(name) => name,
        })
    }

    /// The name that the user gave the task.
    pub(super) fn given_name(&self) -> Option<&str> {
        match &self.inner.task {
            Some(TaskName::Given(name)) => Some(name),
            _ => None,
        }
    }

    /// Returns the payload, in the form in which [`std::thread::JoinHandle::join`] would return it.
    ///
    /// # Panics
    /// Never: the payload is there until it is taken, and taking it consumes `self`.
    ///
    /// ```
    /// use corepool::TaskError;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let task = pool.spawn(|| std::panic::panic_any(7));
    /// let Err(TaskError::Panicked(panic)) = task.join() else { unreachable!() };
    /// assert_eq!(panic.into_inner().downcast_ref(), Some(&7));
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    #[must_use = "dropping the payload drops what the task threw"]
    pub fn into_inner(self) -> Box<dyn Any + Send + 'static> {
        let payload = self.inner.payload.lock().take();
        payload.expect("only this method and `drop` take the payload, and each uses up `self`")
    }

    /// Resumes the panic on this thread. The panic hook is not called again.
    ///
    /// # Panics
    /// Always.
    ///
    /// ```
    /// use corepool::TaskError;
    /// let pool = corepool::WorkerPool::with_workers(1)?;
    /// let caught = std::panic::catch_unwind(|| match pool.spawn(|| panic!("no")).join() {
    ///     Err(TaskError::Panicked(panic)) => panic.resume(),
    ///     other => other,
    /// });
    /// assert!(caught.is_err());
    /// # Ok::<(), corepool::BuildError>(())
    /// ```
    pub fn resume(self) -> ! {
        std::panic::resume_unwind(self.into_inner())
    }
}

impl Drop for PanicParts {
    fn drop(&mut self) {
        if let Some(payload) = self.payload.get_mut().take() {
            unwind::drop_payload(payload);
        }
    }
}

impl fmt::Debug for PanicPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PanicPayload").field(&self.message()).finish()
    }
}

impl fmt::Display for PanicPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl Error for PanicPayload {}

impl From<PanicPayload> for TaskError {
    fn from(panic: PanicPayload) -> Self {
        Self::Panicked(panic)
    }
}

const NO_TEXT: &str = "a panic without a message";

/// The message of a panic, or a description of its payload.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> Cow<'_, str> {
    if let Some(PassedOn(panic)) = payload.downcast_ref() {
        return Cow::Borrowed(panic.message());
    }
    text_of(payload).unwrap_or(Cow::Borrowed(NO_TEXT))
}

/// A payload does not reveal its type, so the common types are tried one by one.
fn text_of(payload: &(dyn Any + Send)) -> Option<Cow<'_, str>> {
    let texts: [fn(&(dyn Any + Send)) -> Option<&str>; 5] = [
        |payload| payload.downcast_ref::<&'static str>().copied(),
        |payload| payload.downcast_ref::<String>().map(String::as_str),
        |payload| payload.downcast_ref::<Box<str>>().map(Box::as_ref),
        |payload| payload.downcast_ref::<Arc<str>>().map(Arc::as_ref),
        |payload| payload.downcast_ref::<Cow<'static, str>>().map(Cow::as_ref),
    ];
    let values: [fn(&(dyn Any + Send)) -> Option<String>; 14] = [
        value_of::<i32>,
        value_of::<u32>,
        value_of::<i64>,
        value_of::<u64>,
        value_of::<usize>,
        value_of::<isize>,
        value_of::<u8>,
        value_of::<char>,
        value_of::<bool>,
        value_of::<Box<dyn Error + Send + Sync>>,
        value_of::<Box<dyn Error + Send>>,
        value_of::<io::Error>,
        value_of::<TaskError>,
        value_of::<Cancelled>,
    ];
    let text = texts.iter().find_map(|text| text(payload));
    let value = || values.iter().find_map(|value| value(payload));
    text.map(Cow::Borrowed).or_else(|| value().map(Cow::Owned))
}

fn value_of<T: Any + fmt::Display>(payload: &(dyn Any + Send)) -> Option<String> {
    let value = payload.downcast_ref::<T>()?;
    // The formatting is user code, and must not cause a second panic here.
    let shown = unwind::catch(|| value.to_string()).map_err(unwind::drop_payload).ok()?;
    Some(format!("{NO_TEXT}: {shown} ({})", type_name::<T>()))
}
