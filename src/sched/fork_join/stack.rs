//! The pool that a thread's fork-join calls use, and the thread's line (row of jobs) in that pool.

use core::cell::{Cell, RefCell};
use core::ptr::{self, NonNull};
use std::sync::Arc;

use super::visit::visit;
use crate::base::id::PoolId;
use crate::parts::offer::{Asked, Job, Line, OuterSource, Source, SourceJob, Taken};
use crate::parts::parker;
use crate::sched::hub::Hub;

crate::base::sync::thread_local! {
    /// A separate thread-local, because every fork-join call reads it: a const one without a
    /// destructor costs a single load.
    static LINE: Cell<*const Line> = const { Cell::new(ptr::null()) };
    static STACK: Cell<Option<NonNull<Stack<'static>>>> = const { Cell::new(None) };
    /// The pool of [`STACK`], to compare its address.
    static HUB: Cell<*const Hub> = const { Cell::new(ptr::null()) };
    /// This thread's lines as a guest. The pools hold them as well; a line that no pool holds is
    /// removed.
    static GUEST: RefCell<Vec<(PoolId, Arc<Line>)>> = const { RefCell::new(Vec::new()) };
}

/// The role of a thread in the pool that its fork-join calls use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of the pool's workers, by its index.
    Worker(usize),
    /// A thread from outside that takes part in its own call.
    Guest,
}

/// A thread inside a pool's fork-join calls. It lies in a frame of that thread, and only that
/// thread reaches it.
#[derive(Debug)]
pub(crate) struct Stack<'h> {
    hub: &'h Arc<Hub>,
    pub(super) line: &'h Line,
    kind: Kind,
    outer: Option<NonNull<Stack<'static>>>,
    /// The innermost of the open sources that have a tag.
    tagged: Cell<Option<NonNull<TagLink>>>,
}

/// A source that its thread finds again by a tag.
struct TagLink {
    tag: NonNull<()>,
    source: NonNull<()>,
    outer: Option<NonNull<TagLink>>,
}

impl<'h> Stack<'h> {
    pub(crate) fn hub(&self) -> &'h Arc<Hub> {
        self.hub
    }

    pub(crate) fn line(&self) -> &'h Line {
        self.line
    }

    /// The index of this thread, if it is one of the pool's workers.
    pub(super) fn worker(&self) -> Option<usize> {
        match self.kind {
            Kind::Worker(index) => Some(index),
            Kind::Guest => None,
        }
    }

    /// Where this thread starts looking for other threads' lines.
    pub(super) fn first_look(&self) -> usize {
        self.worker().map_or(0, |index| index + 1)
    }

    /// Called after something was added, if a thief may be here or a worker must be called to
    /// watch.
    #[cold]
    #[inline(never)]
    pub(crate) fn attend(&self) -> Asked {
        let asked = self.line.attend();
        if asked.is_called {
            self.hub.answer_call(self.line);
        }
        asked
    }

    /// Opens a source for the time of a call.
    #[inline]
    pub(crate) fn with_source<R>(&self, source: &dyn Source, body: impl FnOnce() -> R) -> R {
        // SAFETY: the entry is popped before this frame ends, also if it unwinds.
        let entry = unsafe { SourceJob::new(source) };
        // SAFETY: the entry lies in this frame, and everything pushed above it is popped before it.
        let below = unsafe { self.line.push(entry.job()) };
        let outer = self.line.note_source(entry.job(), below);
        let open = OpenSource { line: self.line, below, outer };
        if self.line.is_asked() {
            let _asked = self.attend();
        }
        let result = body();
        drop(open);
        result
    }

    /// Like [`with_source`](Self::with_source), for a source that its thread finds again by a tag.
    #[inline]
    pub(crate) fn with_tagged<S: Source, R>(
        &self,
        source: &S,
        tag: NonNull<()>,
        body: impl FnOnce() -> R,
    ) -> R {
        let outer = self.tagged.get();
        let link = TagLink { tag, source: NonNull::from(source).cast(), outer };
        self.tagged.set(Some(NonNull::from(&link)));
        let open = OpenTag { tagged: &self.tagged, outer };
        let result = self.with_source(source, body);
        drop(open);
        result
    }

    /// The innermost open source with this tag.
    #[inline]
    pub(crate) fn tagged(&self, tag: NonNull<()>) -> Option<NonNull<()>> {
        let mut next = self.tagged.get();
        while let Some(link) = next {
            // SAFETY: an open source's link is still there.
            let link = unsafe { link.as_ref() };
            if link.tag == tag {
                return Some(link.source);
            }
            next = link.outer;
        }
        None
    }

    /// Runs what was taken from another line, on a stretch of its own: what this thread's frames
    /// hold meanwhile is not part of it.
    pub(crate) fn run(&self, taken: Taken) {
        let visit = (self.kind == Kind::Guest).then(|| visit(self.hub.id));
        self.line.run(taken);
        drop(visit);
    }
}

/// Closes a source, also when its frame unwinds.
struct OpenSource<'l> {
    line: &'l Line,
    below: NonNull<Job>,
    outer: OuterSource,
}

impl Drop for OpenSource<'_> {
    #[inline]
    fn drop(&mut self) {
        self.line.pop(self.below);
        self.line.forget_source(self.outer);
        if self.line.is_asked() {
            let _asked = self.line.attend();
        }
    }
}

struct OpenTag<'s> {
    tagged: &'s Cell<Option<NonNull<TagLink>>>,
    outer: Option<NonNull<TagLink>>,
}

impl Drop for OpenTag<'_> {
    #[inline]
    fn drop(&mut self) {
        self.tagged.set(self.outer);
    }
}

/// Makes the calling thread's fork-join calls use this pool while `body` runs.
pub(crate) fn enter<R>(hub: &Arc<Hub>, kind: Kind, body: impl FnOnce(&Stack<'_>) -> R) -> R {
    match kind {
        Kind::Worker(index) => {
            let line = &hub.slots[index].line;
            line.attach(parker::current());
            enter_line(hub, line, kind, body)
        }
        Kind::Guest => enter_as_guest(hub, body),
    }
}

fn enter_line<R>(hub: &Arc<Hub>, line: &Line, kind: Kind, body: impl FnOnce(&Stack<'_>) -> R) -> R {
    let tagged = Cell::new(None);
    let stack = Stack { hub, line, kind, outer: STACK.get(), tagged };
    let entered = Entered::new(&stack);
    let result = body(&stack);
    drop(entered);
    result
}

/// While this lives, the calling thread has this stack.
struct Entered {
    outer: Option<NonNull<Stack<'static>>>,
}

impl Entered {
    fn new(stack: &Stack<'_>) -> Self {
        let outer = STACK.replace(Some(NonNull::from(stack).cast()));
        LINE.set(stack.line);
        HUB.set(Arc::as_ptr(stack.hub));
        Self { outer }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        STACK.set(self.outer);
        // SAFETY: the outer stack lies in a frame further out, so it is still there.
        let outer = self.outer.map(|outer| unsafe { outer.as_ref() });
        LINE.set(outer.map_or(ptr::null(), |outer| ptr::from_ref(outer.line)));
        HUB.set(outer.map_or(ptr::null(), |outer| Arc::as_ptr(outer.hub)));
    }
}

/// The calling thread's line, if the thread is inside any pool's fork-join calls.
#[inline(always)]
pub(crate) fn current_line<'a>() -> Option<&'a Line> {
    // SAFETY: set by `Entered`, and reset before the line may go. The caller does not keep it for
    // longer than the call that it is in.
    unsafe { LINE.get().as_ref() }
}

/// The pool of that line. This returns a reference, because a clone would write the pool's
/// reference count: all threads would write it on each call.
#[inline(always)]
pub(crate) fn current_hub<'a>() -> Option<&'a Arc<Hub>> {
    // SAFETY: `Entered` set it, and resets it before the stack's frame ends. The frames that hold
    // the stack hold the pool, and the caller does not keep it for longer than its own call.
    STACK.get().map(|stack| unsafe { stack.as_ref() }.hub)
}

/// Like [`current_line`], if the line belongs to this pool.
#[inline(always)]
pub(crate) fn current_line_of<'a>(hub: &Arc<Hub>) -> Option<&'a Line> {
    if HUB.get() == Arc::as_ptr(hub) { current_line() } else { None }
}

/// Called if a thief is at the calling thread's line, or a worker must be called.
#[cold]
#[inline(never)]
pub(super) fn attend() {
    let _attended = with_current(|stack| stack.attend());
}

/// Runs `body` with the calling thread's stack, if it has one.
///
/// # Errors
/// Returns `body` if the thread has none.
#[inline(always)]
pub(crate) fn with_current<R, F>(body: F) -> Result<R, F>
where
    F: FnOnce(&Stack<'_>) -> R,
{
    match STACK.get() {
        // SAFETY: set by `Entered`, and reset before the stack's frame ends.
        Some(stack) => Ok(body(unsafe { stack.as_ref() })),
        None => Err(body),
    }
}

/// Runs `body` with the calling thread's stack for this pool: the stack that it has, or else a new
/// one as a guest.
#[inline(always)]
pub(crate) fn with_stack_of<R>(hub: &Arc<Hub>, body: impl FnOnce(&Stack<'_>) -> R) -> R {
    match STACK.get() {
        // SAFETY: `Entered` set it, and resets it before the stack's frame ends.
        Some(stack) if HUB.get() == Arc::as_ptr(hub) => body(unsafe { stack.as_ref() }),
        _ => enter_as_guest(hub, body),
    }
}

/// Also used if the thread is inside this pool's calls further out: then it keeps its one line
/// there.
#[inline(never)]
fn enter_as_guest<R>(hub: &Arc<Hub>, body: impl FnOnce(&Stack<'_>) -> R) -> R {
    let mut next = STACK.get();
    while let Some(stack) = next {
        // SAFETY: `Entered` set it, and resets it before the stack's frame ends; outer stacks lie
        // in frames further out.
        let stack = unsafe { stack.as_ref() };
        if Arc::ptr_eq(stack.hub, hub) {
            return enter_line(hub, stack.line, stack.kind, body);
        }
        next = stack.outer;
    }
    let line = guest_line(hub);
    enter_line(hub, &line, Kind::Guest, body)
}

/// The calling thread's line for this pool. The pool keeps it, so that the next call finds it.
fn guest_line(hub: &Arc<Hub>) -> Arc<Line> {
    let known = GUEST.try_with(|lines| {
        let lines = lines.borrow();
        lines.iter().find(|(pool, _)| *pool == hub.id).map(|(_, line)| Arc::clone(line))
    });
    known.ok().flatten().unwrap_or_else(|| new_guest_line(hub))
}

#[cold]
fn new_guest_line(hub: &Arc<Hub>) -> Arc<Line> {
    let line = Arc::new(Line::new());
    line.attach(parker::current());
    hub.add_guest(Arc::clone(&line));
    let _kept = GUEST.try_with(|lines| {
        let mut lines = lines.borrow_mut();
        lines.retain(|(_, line)| Arc::strong_count(line) > 1);
        lines.push((hub.id, Arc::clone(&line)));
    });
    line
}
