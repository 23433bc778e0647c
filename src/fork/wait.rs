//! Waiting for what another thread runs: helping with parts of it, and with nothing else.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::stack::Stack;
use crate::offer::{Offer, Taken};
use crate::parker;
use crate::spin::{Patience, Spin};

crate::sync::thread_local! {
    static PATIENCE: Cell<Patience> = const { Cell::new(Patience::joining()) };
}

/// So many turns of a pause lie between two pokes.
const TURNS_A_POKE: u32 = 8;
/// Nobody pauses for longer, however long a sleeper takes to wake.
const LONGEST_PAUSE: Duration = Duration::from_micros(50);

impl Stack<'_> {
    /// Takes an offer back, or waits for its end. Says whether it was taken back.
    pub(crate) fn take_back(&self, offer: &Arc<Offer>) -> bool {
        let withdrawn = self.withdraw(offer);
        if !withdrawn {
            self.wait_for(offer);
        }
        withdrawn
    }

    /// Takes an offer back if nobody has taken it. Says whether it did.
    pub(crate) fn withdraw(&self, offer: &Arc<Offer>) -> bool {
        let withdrawn = self.hub().board.withdraw(offer);
        if withdrawn {
            self.hub().help.came_too_late(offer);
        }
        withdrawn
    }

    /// Waits until an offer that somebody took is done.
    ///
    /// Meanwhile this thread runs parts of that very work if some are on offer; the closure that waits
    /// may hold locks, and a stranger's work could want them. Else it sleeps.
    #[cold]
    pub(crate) fn wait_for(&self, offer: &Arc<Offer>) {
        if offer.is_done() {
            return;
        }
        offer.watch();
        while !offer.is_done() {
            if !self.help(offer) && !self.look_again(offer) {
                self.sleep(offer);
            }
        }
    }

    /// Runs a part of the work, if one is on offer. Says whether it did.
    fn help(&self, offer: &Arc<Offer>) -> bool {
        self.take_part_of(offer).map(|taken| self.help_with(offer, taken)).is_some()
    }

    /// None on a thread that unwinds: what it ran would find itself panicking, and guards of all kinds ask
    /// for that when they are dropped.
    fn take_part_of(&self, offer: &Arc<Offer>) -> Option<Taken> {
        if thread::panicking() { None } else { self.hub().board.take_part_of(offer) }
    }

    /// While it helps it is not called for another part: somebody further out may have nothing to do.
    fn help_with(&self, offer: &Offer, taken: Taken) {
        offer.look_away();
        self.hub().note_taken(&taken);
        self.run(taken);
        offer.watch();
    }

    /// Pauses before the sleep. Says whether something changed meanwhile.
    fn look_again(&self, offer: &Arc<Offer>) -> bool {
        let board = &self.hub().board;
        let mut patience = PATIENCE.try_with(Cell::get).unwrap_or(const { Patience::joining() });
        // Who sleeps comes back after the delay: so long a wait is no dearer than a sleep.
        let mut pause: Spin = patience.pause_for(self.hub().help.delay().min(LONGEST_PAUSE));
        let mut turns = 0;
        let mut changed = false;
        board.poke_all();
        while !changed && pause.turn() {
            changed = offer.is_done() || board.open() > 0;
            turns += 1;
            if turns % TURNS_A_POKE == 0 {
                board.poke_all();
            }
        }
        patience.learn(changed);
        let _kept = PATIENCE.try_with(|kept| kept.set(patience));
        // An open offer may be a stranger's: then it is time to sleep all the same.
        offer.is_done() || self.help(offer)
    }

    /// Sleeps until the work is done, or whoever runs it has a part of it to offer.
    fn sleep(&self, offer: &Arc<Offer>) {
        let early = if mutant!("look_before_lie_down") { self.take_part_of(offer) } else { None };
        if !offer.lie_down() {
            return;
        }
        // The last look, after it is known that this thread sleeps.
        self.hub().board.poke_all();
        let part = if mutant!("look_before_lie_down") { early } else { self.take_part_of(offer) };
        if part.is_none() {
            self.park(offer);
        }
        offer.get_up();
        if let Some(taken) = part {
            self.help_with(offer, taken);
        }
    }

    /// A worker lends its core meanwhile, also where it is a guest of another pool: what is placed on it, and nobody else may run, may be
    /// just what the work waits for.
    fn park(&self, offer: &Offer) {
        parker::lending(None, |end| match end {
            Some(end) => offer.park_until(end),
            None => {
                offer.park();
                true
            }
        });
    }
}
