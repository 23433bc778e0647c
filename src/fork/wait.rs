//! Waiting for what another thread runs: helping with parts of it, and with nothing else.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::stack::Stack;
use crate::clock;
use crate::hub::Looks;
use crate::offer::{Offer, Taken};
use crate::parker::{self, MOMENT};
use crate::spin::Patience;

crate::sync::thread_local! {
    static PATIENCE: Cell<Patience> = const { Cell::new(Patience::joining()) };
}

/// A sleep and the wake-up after it take about as long as this, so a pause is no dearer.
const LONGEST_PAUSE: Duration = Duration::from_micros(25);
/// How long a thread that waits sleeps at least before it looks for parts again.
const SHORTEST_NAP: Duration = Duration::from_micros(100);
/// A nap is this part of the time for which the thread has slept already.
const NAP_SHARE: u32 = 10;

impl Stack<'_> {
    /// Waits until what somebody took is done.
    ///
    /// Meanwhile this thread runs parts of that very work, if some are left; the closure that waits
    /// may hold locks, and a stranger's work could want them. Else it sleeps.
    #[cold]
    pub(crate) fn wait_for(&self, offer: &Arc<Offer>) {
        while !offer.is_done() {
            if !self.help(offer) && !self.look_again(offer) {
                self.sleep(offer);
            }
        }
    }

    /// Runs a part of the work, if one is left. Says whether it did.
    fn help(&self, offer: &Arc<Offer>) -> bool {
        self.take_part_of(offer).map(|taken| self.run(taken)).is_some()
    }

    /// None on a thread that unwinds: what it ran would find itself panicking, and guards of all
    /// kinds ask for that when they are dropped.
    fn take_part_of(&self, offer: &Arc<Offer>) -> Option<Taken> {
        if thread::panicking() {
            return None;
        }
        self.hub().take_part_of(offer, self.first_look(), self.line)
    }

    /// Pauses before the sleep. Says whether something changed meanwhile.
    fn look_again(&self, offer: &Arc<Offer>) -> bool {
        let mut patience = PATIENCE.try_with(Cell::get).unwrap_or(const { Patience::joining() });
        let mut pause = patience.pause_for(LONGEST_PAUSE);
        let mut turns = 0_u32;
        let mut changed = false;
        while !changed && pause.turn() {
            turns += 1;
            // Less and less often: each look in vain disturbs whoever runs the work.
            changed = offer.is_done() || turns.is_power_of_two() && self.help(offer);
        }
        patience.learn(changed);
        let _kept = PATIENCE.try_with(|kept| kept.set(patience));
        changed
    }

    /// Sleeps until the work is done, or has a part that this thread can run, and runs it.
    ///
    /// A worker that sleeps for longer than a moment lends its core, also where it is a guest of
    /// another pool: what is placed on it, and nobody else may run, may be just what the work waits
    /// for.
    fn sleep(&self, offer: &Arc<Offer>) {
        let begin = clock::now();
        let mut nap = MOMENT;
        let mut lent = false;
        let mut looks = Looks::default();
        let part = loop {
            if !offer.lie_down() {
                break None;
            }
            let _called = offer.park_until(clock::after(nap));
            offer.get_up();
            let part = self.take_part_of(offer);
            if part.is_some() || offer.is_done() {
                break part;
            }
            let _later = self.hub().look_after(&mut looks);
            if !lent {
                lent = true;
                parker::lend();
            }
            let slept = clock::now().saturating_duration_since(begin);
            nap = SHORTEST_NAP.max(slept / NAP_SHARE);
        };
        if lent {
            parker::take_back();
        }
        if let Some(taken) = part {
            self.run(taken);
        }
    }
}
