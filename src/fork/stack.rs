//! A thread's private stack of fork-join work that nobody has taken yet, and how the thread finds it.

use core::cell::{Cell, RefCell};
use core::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Instant;

use super::beat::WINDOW;
use super::job::Job;
use super::visit::visit;
use crate::clock;
use crate::hub::Hub;
use crate::offer::{Mode, Offer, Taken, Work};
use crate::parker;

#[cfg(not(corepool_loom))]
crate::sync::thread_local! {
    /// By itself, because every fork-join call looks at it: a const without a destructor is one load.
    static MODE: Mode = const { Mode::new() };
}

#[cfg(corepool_loom)]
crate::sync::thread_local! {
    static MODE: Mode = Mode::new();
}

crate::sync::thread_local! {
    static STACK: Cell<Option<NonNull<Stack<'static>>>> = const { Cell::new(None) };
    /// The pool of [`STACK`], for a look at its address.
    static HUB: Cell<*const Hub> = const { Cell::new(ptr::null()) };
}

/// What a thread is to the pool that its fork-join calls use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of the pool's workers, by its index.
    Worker(usize),
    /// A thread from outside that takes part in its own call.
    Guest,
}

/// The jobs and sources of one thread. It stands in a frame of that thread, and only that thread
/// reaches it: no atomics, no fences.
#[derive(Debug)]
pub(crate) struct Stack<'h> {
    hub: &'h Arc<Hub>,
    kind: Kind,
    newest: Cell<Option<NonNull<Job>>>,
    /// No older one is there that was not offered.
    oldest: Cell<Option<NonNull<Job>>>,
    /// The innermost of the open sources.
    sources: Cell<Option<NonNull<SourceLink>>>,
    /// The offer that this thread runs just now, if it runs one.
    current: RefCell<Option<Arc<Offer>>>,
    listens: Cell<bool>,
    /// Calls between the last beat and the next.
    pub(super) window: Cell<u32>,
    /// Calls until the next beat.
    pub(super) countdown: Cell<u32>,
    pub(super) last_beat: Cell<Option<Instant>>,
    /// The type of call that was last found to be light.
    light: Cell<usize>,
    /// When this thread last offered something.
    pub(super) gave: Cell<Option<Instant>>,
    /// Since when this thread has had work without waking anybody for it.
    pub(super) busy_since: Cell<Option<Instant>>,
}

/// Something on the stack that can give parts of itself away again and again: a scope, or a range.
pub(crate) trait Source {
    /// Splits something off, if there is something, and makes an offer of it. What that borrows has to stay
    /// until the offer is withdrawn or done.
    fn give(&self, maker: &Maker<'_>) -> Option<Arc<Offer>>;
}

/// Makes offers of what a source gives.
pub(crate) struct Maker<'a> {
    /// What the source's thread ran when it opened the source.
    parent: &'a Option<Arc<Offer>>,
    called: Option<Instant>,
}

impl Maker<'_> {
    pub(crate) fn offer(&self, work: Work) -> Arc<Offer> {
        Offer::new(work, self.parent.clone(), parker::current(), self.called)
    }

    /// As a part of what the group stands for.
    pub(crate) fn offer_in(&self, group: &Arc<Offer>, work: Work) -> Arc<Offer> {
        Offer::new(work, Some(Arc::clone(group)), parker::current(), self.called)
    }

    /// Something for this thread to wait for, of which offers may be parts.
    pub(crate) fn group(&self) -> Arc<Offer> {
        Offer::group(self.parent.clone(), parker::current())
    }
}

/// A source's place among the open ones.
struct SourceLink {
    source: NonNull<dyn Source>,
    /// What the thread ran when the source was opened: what it gives is part of that.
    parent: Option<Arc<Offer>>,
    outer: Option<NonNull<SourceLink>>,
    /// By this what knows its kind finds it again.
    tag: Option<NonNull<()>>,
}

impl<'h> Stack<'h> {
    fn new(hub: &'h Arc<Hub>, kind: Kind) -> Self {
        Self {
            hub,
            kind,
            newest: Cell::new(None),
            oldest: Cell::new(None),
            sources: Cell::new(None),
            current: RefCell::new(None),
            listens: Cell::new(false),
            window: Cell::new(WINDOW),
            countdown: Cell::new(WINDOW),
            last_beat: Cell::new(None),
            light: Cell::new(0),
            gave: Cell::new(None),
            busy_since: Cell::new(None),
        }
    }

    pub(crate) fn hub(&self) -> &'h Arc<Hub> {
        self.hub
    }

    pub(super) fn is_guest(&self) -> bool {
        self.kind == Kind::Guest
    }

    pub(super) fn listens(&self) -> bool {
        self.listens.get()
    }

    /// Whether a call of this type is made inside of others, and the type was found to be light last.
    #[inline(always)]
    pub(super) fn is_known_light(&self, key: usize) -> bool {
        self.light.get() == key && self.newest.get().is_some()
    }

    pub(super) fn know_light(&self, key: usize) {
        self.light.set(key);
    }

    /// Puts a job on top. Gives the one below.
    ///
    /// # Safety
    /// - The job stays where it is until [`pop`](Self::pop) was called for it, and jobs are popped in order.
    #[inline]
    pub(super) unsafe fn push(&self, job: NonNull<Job>) -> Option<NonNull<Job>> {
        let below = self.newest.replace(Some(job));
        if let Some(below) = below {
            // SAFETY: it is on the stack, so it is still there.
            unsafe { below.as_ref() }.newer.set(Some(job));
        }
        if self.oldest.get().is_none() {
            self.oldest.set(Some(job));
        }
        below
    }

    /// Takes the newest job off, which is this one.
    #[inline]
    pub(super) fn pop(&self, job: NonNull<Job>, below: Option<NonNull<Job>>) {
        debug_assert_eq!(self.newest.get(), Some(job), "jobs are popped in order");
        self.newest.set(below);
        if self.oldest.get() == Some(job) {
            self.oldest.set(None);
        }
    }

    /// Makes the biggest piece of this thread's work an offer.
    /// `called` says that a sleeping worker is to be woken for it now.
    pub(super) fn promote(&self, called: Option<Instant>) -> Option<Arc<Offer>> {
        let oldest = self.oldest.get();
        // Frames lie in memory by age: the stack grows downwards. Where it does not, this picks a
        // smaller piece, which is no mistake.
        let is_older =
            |source: NonNull<SourceLink>| oldest.is_none_or(|job| source.addr() > job.addr());
        self.give_from(&is_older, called)
            .or_else(|| self.promote_job(called))
            .or_else(|| self.give_from(&|_| true, called))
    }

    fn promote_job(&self, called: Option<Instant>) -> Option<Arc<Offer>> {
        let mut oldest = self.oldest.get();
        while let Some(job) = oldest {
            // SAFETY: it is on the stack, so it is still there.
            let job_ref = unsafe { job.as_ref() };
            oldest = if self.newest.get() == Some(job) { None } else { job_ref.newer.get() };
            self.oldest.set(oldest);
            if !job_ref.was_offered() {
                return Some(self.promote_this(job, called));
            }
        }
        None
    }

    /// Makes this job an offer, whatever is older.
    pub(super) fn promote_this(&self, job: NonNull<Job>, called: Option<Instant>) -> Arc<Offer> {
        // SAFETY: it is on the stack, so it is still there.
        let job_ref = unsafe { job.as_ref() };
        let parent = self.current.borrow().clone();
        let offer = Offer::new(job_ref.work(job), parent, parker::current(), called);
        job_ref.note_offer(&offer);
        offer
    }

    /// The outermost of the wanted sources that has something to give.
    fn give_from(
        &self,
        wanted: &dyn Fn(NonNull<SourceLink>) -> bool,
        called: Option<Instant>,
    ) -> Option<Arc<Offer>> {
        let mut given = None;
        let mut next = self.sources.get();
        // The links lead from the inside out, and there are few: the last that is asked is the outermost.
        let mut links = Vec::new();
        while let Some(link) = next {
            links.push(link);
            // SAFETY: an open source's link is still there.
            next = unsafe { link.as_ref() }.outer;
        }
        while let (None, Some(link)) = (&given, links.pop()) {
            if wanted(link) {
                // SAFETY: as above.
                given = self.ask(unsafe { link.as_ref() }, called);
            }
        }
        given
    }

    fn ask(&self, link: &SourceLink, called: Option<Instant>) -> Option<Arc<Offer>> {
        // SAFETY: an open source is still there.
        let source = unsafe { link.source.as_ref() };
        source.give(&Maker { parent: &link.parent, called })
    }

    /// Opens a source for the time of a call.
    pub(crate) fn with_source<R>(
        &self,
        source: &dyn Source,
        tag: Option<NonNull<()>>,
        body: impl FnOnce() -> R,
    ) -> R {
        // SAFETY: only the lifetime is left out; the link is taken away before this frame ends, however
        // it does.
        let source = unsafe { extend(source) };
        let parent = self.current.borrow().clone();
        let link = SourceLink { source, parent, outer: self.sources.get(), tag };
        self.sources.set(Some(NonNull::from(&link)));
        let open = OpenSource { sources: &self.sources, outer: link.outer };
        let result = body();
        drop(open);
        result
    }

    /// The innermost open source of this tag.
    #[inline]
    pub(crate) fn tagged(&self, tag: NonNull<()>) -> Option<NonNull<()>> {
        let mut next = self.sources.get();
        while let Some(link) = next {
            // SAFETY: an open source's link is still there.
            let link = unsafe { link.as_ref() };
            if link.tag == Some(tag) {
                return Some(link.source.cast());
            }
            next = link.outer;
        }
        None
    }

    /// Runs what was taken from the board, as a thing of its own: what this thread's frames hold meanwhile
    /// is no part of it.
    pub(crate) fn run(&self, taken: Taken) {
        let newest = self.newest.take();
        let oldest = self.oldest.take();
        let outer = self.current.replace(Some(Arc::clone(taken.offer())));
        look();
        // Whose work this is may soon be hungry.
        self.listen();
        self.begin_at(clock::now());
        let visit = self.is_guest().then(|| visit(self.hub.id));
        taken.run();
        drop(visit);
        look();
        // A chain of offers may be dropped here; not with the cell borrowed.
        let ended = self.current.replace(outer);
        drop(ended);
        self.newest.set(newest);
        self.oldest.set(oldest);
    }

    /// What this thread runs just now.
    pub(super) fn current(&self) -> Option<Arc<Offer>> {
        self.current.borrow().clone()
    }

    /// From now on hungry threads poke this one.
    pub(super) fn listen(&self) {
        if !self.listens.replace(true) {
            // SAFETY: this thread's own mode; `Entered` stops listening before the thread can end.
            with_mode(|mode| unsafe { self.hub.board.listen(mode, self.is_guest()) });
        }
    }

    /// Nothing of this thread's is to be had for now.
    pub(crate) fn unlisten(&self) {
        self.busy_since.set(None);
        // Nobody pokes what runs next out of the plain mode.
        look();
        if self.listens.replace(false) {
            with_mode(|mode| self.hub.board.unlisten(mode));
        }
    }
}

/// # Safety
/// - The result is not used after the source is gone.
unsafe fn extend<'a>(source: &'a (dyn Source + 'a)) -> NonNull<dyn Source> {
    let source: NonNull<dyn Source + 'a> = NonNull::from(source);
    // SAFETY: the types differ in the lifetime only; the caller sees to that.
    unsafe { core::mem::transmute::<NonNull<dyn Source + 'a>, NonNull<dyn Source>>(source) }
}

/// Closes a source, also when its frame unwinds.
struct OpenSource<'s> {
    sources: &'s Cell<Option<NonNull<SourceLink>>>,
    outer: Option<NonNull<SourceLink>>,
}

impl Drop for OpenSource<'_> {
    fn drop(&mut self) {
        self.sources.set(self.outer);
    }
}

/// Makes the calling thread's fork-join calls use this pool while `body` runs.
pub(crate) fn enter<R>(hub: &Arc<Hub>, kind: Kind, body: impl FnOnce(&Stack<'_>) -> R) -> R {
    let stack = Stack::new(hub, kind);
    let entered = Entered::new(&stack);
    let result = body(&stack);
    drop(entered);
    result
}

/// The calling thread has this stack while this lives.
struct Entered<'s, 'h> {
    stack: &'s Stack<'h>,
    outer: Option<NonNull<Stack<'static>>>,
}

impl<'s, 'h> Entered<'s, 'h> {
    fn new(stack: &'s Stack<'h>) -> Self {
        let outer = STACK.replace(Some(NonNull::from(stack).cast()));
        HUB.set(Arc::as_ptr(stack.hub));
        with_mode(Mode::look);
        Self { stack, outer }
    }
}

impl Drop for Entered<'_, '_> {
    fn drop(&mut self) {
        self.stack.unlisten();
        STACK.set(self.outer);
        // SAFETY: the outer stack stands in a frame further out, so it is still there.
        let hub = self.outer.map(|outer| unsafe { outer.as_ref() }.hub);
        HUB.set(hub.map_or(ptr::null(), Arc::as_ptr));
        // A poke meant for the outer stack may have been spent on this one.
        with_mode(if self.outer.is_some() { Mode::poke } else { Mode::look });
    }
}

/// Whether the calling thread's fork-join calls are plain calls just now.
#[inline(always)]
pub(crate) fn is_plain() -> bool {
    MODE.with(Mode::is_plain)
}

/// Whether a hungry thread was here.
#[inline(always)]
pub(crate) fn is_poked() -> bool {
    MODE.with(Mode::is_poked)
}

/// As [`is_plain`], and they would use this pool.
#[inline(always)]
pub(crate) fn is_plain_on(hub: &Arc<Hub>) -> bool {
    is_plain() && HUB.get() == Arc::as_ptr(hub)
}

/// What runs next on this thread is a thing of its own: its calls are looked at.
pub(crate) fn look() {
    with_mode(Mode::end_plain);
}

#[inline(always)]
pub(super) fn with_mode<R>(look: impl FnOnce(&Mode) -> R) -> R {
    MODE.with(look)
}

/// Whether the calling thread has a stack.
#[inline(always)]
pub(crate) fn has_stack() -> bool {
    STACK.get().is_some()
}

/// Runs `body` with the calling thread's stack, if it has one.
///
/// # Errors
/// Gives `body` back if not.
#[inline(always)]
pub(crate) fn with_current<R, F>(body: F) -> Result<R, F>
where
    F: FnOnce(&Stack<'_>) -> R,
{
    match STACK.get() {
        // SAFETY: set by `Entered`, and taken away before the stack's frame ends.
        Some(stack) => Ok(body(unsafe { stack.as_ref() })),
        None => Err(body),
    }
}

/// Runs `body` with the calling thread's stack for this pool: the one it has, or else as a guest.
#[inline(always)]
pub(crate) fn with_stack_of<R>(hub: &Arc<Hub>, body: impl FnOnce(&Stack<'_>) -> R) -> R {
    match STACK.get() {
        // SAFETY: as in `with_current`.
        Some(stack) if HUB.get() == Arc::as_ptr(hub) => body(unsafe { stack.as_ref() }),
        _ => enter_as_guest(hub, body),
    }
}

#[inline(never)]
fn enter_as_guest<R>(hub: &Arc<Hub>, body: impl FnOnce(&Stack<'_>) -> R) -> R {
    enter(hub, Kind::Guest, body)
}
