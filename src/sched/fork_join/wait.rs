//! Waiting for what another thread runs, and helping only with parts of it.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::stack::Stack;
use crate::base::clock;
use crate::parts::offer::{Offer, Taken};
use crate::parts::parker::{self, MOMENT};
use crate::parts::spin::Patience;
use crate::sched::hub::Looks;

crate::base::sync::thread_local! {
    static PATIENCE: Cell<Patience> = const { Cell::new(Patience::joining()) };
}

/// A sleep and its wake-up take about this long, so a pause of this length costs no more.
const LONGEST_PAUSE: Duration = Duration::from_micros(25);
/// The shortest sleep of a waiting thread before it looks for parts again.
const SHORTEST_NAP: Duration = Duration::from_micros(100);
/// A nap lasts one `NAP_SHARE`-th of the time that the thread has slept so far.
const NAP_SHARE: u32 = 10;

impl Stack<'_> {
    /// Waits until an offer, which is work that another thread took, is done.
    ///
    /// Meanwhile this thread runs parts of that same work, if some are left, and otherwise sleeps.
    /// It runs nothing else: the waiting closure may hold locks that unrelated work takes.
    #[cold]
    pub(crate) fn wait_for(&self, offer: &Arc<Offer>) {
        while !offer.is_done() {
            if !self.help(offer) && !self.look_again(offer) {
                self.sleep(offer);
            }
        }
    }

    /// Runs a part of the work, if one is left. Returns `true` if it did.
    fn help(&self, offer: &Arc<Offer>) -> bool {
        self.take_part_of(offer).map(|taken| self.run(taken)).is_some()
    }

    /// Returns `None` on a thread that unwinds. Otherwise the part would find itself panicking, and
    /// guards of all kinds check for that when they are dropped.
    fn take_part_of(&self, offer: &Arc<Offer>) -> Option<Taken> {
        if thread::panicking() {
            return None;
        }
        self.hub().take_part_of(offer, self.first_look(), self.line)
    }

    /// Pauses before the sleep. Returns `true` if something changed meanwhile.
    fn look_again(&self, offer: &Arc<Offer>) -> bool {
        let mut patience = PATIENCE.try_with(Cell::get).unwrap_or(const { Patience::joining() });
        let mut pause = patience.pause_for(LONGEST_PAUSE);
        let mut turns = 0_u32;
        let mut changed = false;
        while !changed && pause.turn() {
            turns += 1;
            // Looks less and less often: each look in vain disturbs the thread that runs the work.
            changed = offer.is_done() || turns.is_power_of_two() && self.help(offer);
        }
        patience.learn(changed);
        let _kept = PATIENCE.try_with(|kept| kept.set(patience));
        changed
    }

    /// Sleeps until the work is done, or until it has a part that this thread can run. Runs that
    /// part.
    ///
    /// A worker that sleeps for longer than a moment lends its core to a spare worker, also while
    /// it is a guest of another pool. A task that is placed on this worker, and that no other
    /// thread may run, may be what the work waits for.
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
