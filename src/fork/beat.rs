//! The beat: now and then a thread in a fork-join call looks whether somebody is hungry.
//!
//! Every call looks at one word. While the thread is looking, calls leave their second halves on the
//! stack, and each [`WINDOW`] of them makes a beat. If nobody is hungry and the calls are small, the
//! thread turns to plain calls, and a hungry thread pokes it out of that.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::stack::{self, Stack};
use crate::clock;
use crate::offer::{Mode, Offer};

/// So many calls make a beat.
pub(super) const WINDOW: u32 = 64;
/// Calls that take less than this on average may become plain ones.
const SMALL: Duration = Duration::from_nanos(250);
/// How long plain calls are made before it is asked again whether calls are small.
const TRUST: Duration = Duration::from_micros(20);

/// Who would take something.
#[derive(Debug)]
struct Hunger {
    /// Somebody is looking for work right now.
    awake: bool,
    /// Somebody sleeps whom there is a core for.
    asleep: bool,
    /// What this thread runs is waited for by a thread that has nothing else to do.
    waiter: Option<Arc<Offer>>,
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
            stack::with_mode(Mode::look);
            self.countdown.set(WINDOW);
            self.last_beat.set(Some(now));
        }
    }

    /// A loop over items looks: after a block that was long enough, or when it was poked. Says whether it
    /// did.
    pub(super) fn look_after_block(&self, now: Instant, was_long: bool) -> bool {
        if was_long || stack::is_poked() {
            self.beat_at(now);
            return true;
        }
        if self.busy_since.get().is_none() {
            self.busy_since.set(Some(now));
        }
        false
    }

    /// As a beat, for what makes no calls.
    pub(crate) fn look_for_hunger(&self) {
        self.beat();
    }

    /// Looks who is hungry, and gives them the biggest piece.
    #[cold]
    pub(super) fn beat(&self) {
        self.beat_at(clock::now());
    }

    #[cold]
    fn beat_at(&self, now: Instant) {
        self.listen();
        let calls = WINDOW - self.countdown.replace(WINDOW).min(WINDOW);
        let small = self.last_beat.replace(Some(now)).is_some_and(|last| {
            calls == WINDOW && now.saturating_duration_since(last) < SMALL * WINDOW
        });
        // First the mode, then the look: a poke after the look must not be overwritten.
        stack::with_mode(if small { Mode::set_plain } else { Mode::look });
        let hunger = self.hunger();
        if hunger.is_none() {
            return;
        }
        stack::with_mode(Mode::look);
        self.feed(hunger, now);
    }

    fn hunger(&self) -> Hunger {
        let hub = self.hub();
        let word = hub.idle.look();
        let open = hub.board.open();
        let current = self.current();
        let waiter = current.as_ref().and_then(|offer| offer.nearest_watched()).cloned();
        let guests = hub.board.guests() + usize::from(self.is_guest() && !self.listens());
        Hunger {
            awake: word.searching() as usize + usize::from(waiter.is_some()) > open,
            // A guest has a core of its own; the worker that belongs there may as well sleep on.
            asleep: open == 0 && word.free() as usize > guests,
            waiter,
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

    fn feed(&self, hunger: Hunger, now: Instant) {
        let wakes = hunger.asleep && !hunger.awake && self.is_worth_waking(now);
        if !hunger.awake && !wakes {
            return;
        }
        let Some(offer) = self.promote(wakes.then_some(now)) else { return };
        self.hub().offer(offer);
        let called = hunger.waiter.is_some_and(|offer| offer.call_owner());
        if wakes && !called {
            self.busy_since.set(Some(now));
            self.hub().wake_helper();
        }
    }

    /// This call is known to be heavy: whoever can help is to do so now.
    #[cold]
    pub(crate) fn call_for_help(&self) {
        let hunger = self.hunger();
        if !hunger.awake && !hunger.asleep {
            return;
        }
        let Some(offer) = self.promote(Some(clock::now())) else { return };
        self.hub().offer(offer);
        if hunger.waiter.is_some_and(|offer| offer.call_owner()) {
            return;
        }
        self.hub().wake_helper();
    }
}

impl Hunger {
    fn is_none(&self) -> bool {
        !self.awake && !self.asleep
    }
}
