//! The beat: now and then a thread in a fork-join call looks whether somebody is hungry.
//!
//! Every call looks at one word. While the thread is looking, calls leave their second halves on the
//! stack, and each [`WINDOW`] of them makes a beat. If nobody is hungry and the calls are small, the
//! thread turns to plain calls, and a hungry thread pokes it out of that.
#![forbid(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job::Job;
use super::stack::{self, Stack};
use crate::clock;
use crate::offer::{Mode, Offer};

/// Beats of dear calls are about so far apart.
const BEAT: Duration = Duration::from_micros(20);
/// So many small calls make a beat.
pub(super) const WINDOW: u32 = 64;
/// Calls that take less than this on average may become plain ones.
const SMALL: Duration = Duration::from_nanos(250);
/// How long plain calls are made before it is asked again whether calls are small.
const TRUST: Duration = Duration::from_micros(20);

/// Whether a sleeper who comes after such a delay comes early enough for what takes so long. The wake costs
/// the one who calls some microseconds, and it may have to wait for the sleeper in the end.
pub(crate) fn is_worth_a_wake(time: Duration, delay: Duration) -> bool {
    time >= 3 * delay
}

/// Who would take something.
#[derive(Debug)]
struct Hunger {
    /// What this thread runs is waited for by a thread that has nothing else to do.
    waits: bool,
    /// Somebody is looking for work right now.
    searches: bool,
    /// Somebody sleeps whom there is a core for.
    sleeps: bool,
    /// Nothing hangs there for who would be woken.
    lacks: bool,
    /// What hangs on the board already.
    open: usize,
    /// More workers are free than there are guests.
    is_crowded: bool,
}

impl Stack<'_> {
    /// A call's first half has ended, and its job is off the stack. With a root's nothing lies there any
    /// more, so the next call has to leave its job there.
    #[inline(always)]
    pub(super) fn count_down(&self, is_root: bool) {
        let left = self.countdown.get();
        if left == 0 || is_root || !stack::with_mode(Mode::is_looking) {
            self.attend(left, is_root);
        } else {
            self.countdown.set(left - 1);
        }
    }

    /// So many calls end before the next beat.
    fn set_window(&self, calls: u32) {
        self.window.set(calls);
        self.countdown.set(calls);
    }

    #[cold]
    #[inline(never)]
    fn attend(&self, left: u32, is_root: bool) {
        if left == 0 || stack::is_poked() {
            self.beat();
        } else {
            self.countdown.set(left - 1);
            if stack::is_plain() && !is_root {
                self.doubt();
            }
        }
        if is_root {
            stack::look();
        }
    }

    /// Plain calls are made on the evidence of some calls; evidence grows old.
    #[cold]
    fn doubt(&self) {
        let now = clock::now();
        let old = |last: Instant| now.saturating_duration_since(last) > TRUST;
        if self.last_beat.get().is_none_or(old) {
            stack::look();
            self.set_window(WINDOW);
            self.last_beat.set(Some(now));
        }
    }

    /// A loop over items looks: when it was poked, or after a block that was long enough, if the last beat
    /// is long enough ago. Says whether it did. What is left may be known to take so long.
    pub(super) fn look_after_block(
        &self,
        now: Instant,
        was_long: bool,
        left: Option<Duration>,
    ) -> bool {
        let is_due = |last: Instant| now.saturating_duration_since(last) >= BEAT;
        if stack::is_poked() || (was_long && self.last_beat.get().is_none_or(is_due)) {
            let delay = self.hub().help.delay();
            self.beat_at(now, left.is_none_or(|left| is_worth_a_wake(left, delay)));
            return true;
        }
        self.begin_at(now);
        false
    }

    /// As a beat, for what makes no calls.
    pub(crate) fn look_for_hunger(&self) {
        self.beat();
    }

    /// Looks who is hungry, and gives them the biggest piece.
    #[cold]
    pub(super) fn beat(&self) {
        self.beat_at(clock::now(), true);
    }

    #[cold]
    fn beat_at(&self, now: Instant, may_wake: bool) {
        self.listen();
        let calls = self.window.get().saturating_sub(self.countdown.get()).max(1);
        let took =
            self.last_beat.replace(Some(now)).map(|last| now.saturating_duration_since(last));
        let small = calls >= WINDOW && took.is_some_and(|took| took < SMALL * calls);
        // Dear calls make a beat each: the next one must not be far off in time either.
        let fit = took.map_or(u128::from(WINDOW), |took| {
            BEAT.as_nanos() * u128::from(calls) / took.as_nanos().max(1)
        });
        self.set_window(u32::try_from(fit).unwrap_or(WINDOW).min(WINDOW));
        // First the mode, then the look: a poke after the look must not be overwritten.
        stack::with_mode(if small { Mode::set_plain } else { Mode::look });
        let mut hunger = self.hunger();
        hunger.sleeps |= self.is_left_alone(&hunger, now);
        if hunger.is_some() {
            stack::look();
            self.feed(&hunger, now, may_wake);
        }
    }

    fn hunger(&self) -> Hunger {
        let hub = self.hub();
        let word = hub.idle.look();
        let open = hub.board.open();
        let guests = hub.board.guests() + usize::from(self.is_guest() && !self.listens());
        let current = self.current();
        let waiter = current.as_ref().and_then(|offer| offer.nearest_watched());
        let may_be_stuck =
            self.is_guest() && (word.searching() > 0 || word.free() as usize <= guests);
        let stuck = usize::from(may_be_stuck && hub.is_worker_in_the_way());
        let searching = (word.searching() as usize).saturating_sub(stuck);
        // A guest has a core of its own; the worker that belongs there may as well sleep on.
        let is_crowded = word.has_free() && word.free() as usize + stuck > guests;
        Hunger {
            // What a stranger has on offer is no use to a waiter.
            waits: waiter.is_some_and(|waiter| open == 0 || !hub.board.has_part_of(waiter)),
            searches: searching > open && word.free() as usize + searching + stuck > guests,
            // Who searches is spoken for by what hangs there.
            sleeps: searching <= open && is_crowded,
            lacks: open <= searching,
            open,
            is_crowded,
        }
    }

    /// Whether an offer hangs there though somebody searches: that worker may have found something else, or
    /// may wait for a core that others have. Then another one is called.
    fn is_left_alone(&self, hunger: &Hunger, now: Instant) -> bool {
        let long_ago =
            |gave: Instant| now.saturating_duration_since(gave) > 2 * self.hub().help.delay();
        hunger.open > 0 && hunger.is_crowded && self.gave.get().is_some_and(long_ago)
    }

    /// From now on this thread has work.
    pub(super) fn begin_at(&self, now: Instant) {
        if self.busy_since.get().is_none() {
            self.busy_since.set(Some(now));
        }
    }

    /// A thread that has worked alone for a while is worth being helped.
    fn is_worth_waking(&self, now: Instant) -> bool {
        match self.busy_since.get() {
            None => {
                self.busy_since.set(Some(now));
                false
            }
            Some(since) => now.saturating_duration_since(since) >= self.hub().help.delay(),
        }
    }

    fn feed(&self, hunger: &Hunger, now: Instant, may_wake: bool) {
        let is_worth_it = || may_wake && self.is_worth_waking(now);
        let mut wakes = hunger.sleeps && is_worth_it();
        let mut offered = hunger.open > 0;
        if hunger.waits || hunger.searches || (wakes && hunger.lacks) {
            let called = wakes.then_some(now);
            if self.promote(called).is_some_and(|offer| self.give(offer, now)) {
                offered = true;
                wakes = wakes || (may_wake && self.has_sleeper());
            }
        }
        // Also for what hangs there already: whoever was to take it may have found something else.
        if wakes && offered {
            self.busy_since.set(Some(now));
            self.gave.set(Some(now));
            self.hub().wake_helper();
        }
    }

    /// Whether nobody searches, and somebody sleeps whom there is a core for. Asked again after a post:
    /// who searched before it may have taken its last look meanwhile; who lies down later sees the offer.
    fn has_sleeper(&self) -> bool {
        self.hunger().sleeps
    }

    /// Hangs an offer up, and calls whoever waits for the whole.
    fn give(&self, offer: Arc<Offer>, now: Instant) -> bool {
        self.gave.set(Some(now));
        self.hub().offer(offer);
        // Looked for after the post: who lay down before it is called, and who does later sees the offer.
        if let Some(waiter) = self.current().as_ref().and_then(|offer| offer.nearest_watched()) {
            waiter.call_owner();
        }
        true
    }

    /// What comes is known to be heavy: it is offered though nobody may be hungry yet, because the next beat
    /// may be far off; and a worker that sleeps is woken for it. That is this job, or else the biggest piece.
    #[cold]
    pub(crate) fn call_for_help(&self, job: Option<NonNull<Job>>) {
        // The next beat may be far off: whoever gets hungry meanwhile is to be heard.
        self.listen();
        self.set_window(0);
        let hunger = self.hunger();
        if !self.can_be_helped() {
            return;
        }
        if hunger.open >= self.hub().worker_count() {
            // Enough hangs there, but whoever was to take it may have found something else.
            if hunger.sleeps {
                self.hub().wake_helper();
            }
            return;
        }
        let now = clock::now();
        self.begin_at(now);
        let called = hunger.sleeps.then_some(now);
        let offer = match job {
            Some(job) => Some(self.promote_this(job, called)),
            None => self.promote(called),
        };
        if offer.is_some_and(|offer| self.give(offer, now)) && self.has_sleeper() {
            self.hub().wake_helper();
        }
    }

    /// Whether there is any worker that may ever come: guests have the cores of as many workers.
    fn can_be_helped(&self) -> bool {
        let others = self.hub().board.guests();
        let taken = if self.is_guest() && self.listens() { others } else { others + 1 };
        // Whoever waits for what this thread runs may help with it.
        self.hub().worker_count() > taken || self.current().is_some()
    }
}

impl Hunger {
    fn is_some(&self) -> bool {
        self.waits || self.searches || self.sleeps
    }
}
