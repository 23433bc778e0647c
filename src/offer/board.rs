//! A pool's open offers, and the threads that want to know when somebody is hungry.

use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Arc;

use super::{Mode, Offer, Taken};
use crate::sync::{AtomicUsize, Mutex, Ordering, handshake};

/// Where offers hang. A lock is enough: an offer is made once in some microseconds, and only while
/// somebody is hungry.
#[derive(Debug)]
pub(crate) struct Board {
    offers: Mutex<VecDeque<Arc<Offer>>>,
    /// How many there are, for a glance without the lock.
    open: AtomicUsize,
    listeners: Mutex<Vec<Listener>>,
    listening: AtomicUsize,
    /// How many of the listeners are no workers.
    guests: AtomicUsize,
}

/// A thread in a fork-join call.
#[derive(Debug)]
struct Listener {
    mode: NonNull<Mode>,
    is_guest: bool,
}

// SAFETY: a `Mode` is an atomic word; `listen` promises that it stays where it is.
unsafe impl Send for Listener {}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            offers: Mutex::new(VecDeque::new()),
            open: AtomicUsize::new(0),
            listeners: Mutex::new(Vec::new()),
            listening: AtomicUsize::new(0),
            guests: AtomicUsize::new(0),
        }
    }

    /// How many offers nobody has taken. After a `handshake` none is missed that was posted before it.
    #[inline]
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Hangs an offer up. Look who sleeps after this.
    pub(crate) fn post(&self, offer: Arc<Offer>) {
        let mut offers = self.offers.lock();
        offers.push_back(offer);
        let open = offers.len();
        let lock = (!mutant!("open_unlocked")).then_some(offers);
        self.open.store(open, Ordering::SeqCst);
        drop(lock);
        if !mutant!("post_handshake") {
            handshake();
        }
    }

    /// Takes the oldest offer.
    pub(crate) fn take(&self) -> Option<Taken> {
        self.take_if(|_| true)
    }

    /// Takes the oldest offer that is part of this one's work.
    pub(crate) fn take_part_of(&self, whole: &Arc<Offer>) -> Option<Taken> {
        self.take_if(|offer| offer.is_part_of(whole) || mutant!("stranger_taken"))
    }

    /// Whether a part of this one's work is on offer.
    pub(crate) fn has_part_of(&self, whole: &Arc<Offer>) -> bool {
        self.offers.lock().iter().any(|offer| offer.is_part_of(whole))
    }

    fn take_if(&self, wanted: impl Fn(&Offer) -> bool) -> Option<Taken> {
        if self.open() == 0 {
            return None;
        }
        let mut offers = self.offers.lock();
        let place = offers.iter().position(|offer| wanted(offer))?;
        let offer = offers.remove(place);
        self.open.store(offers.len(), Ordering::SeqCst);
        offer.map(Taken)
    }

    /// Takes an offer back. Says whether it was still there: if not, somebody runs it or has run it.
    pub(crate) fn withdraw(&self, offer: &Arc<Offer>) -> bool {
        let mut offers = self.offers.lock();
        // The newest stand last, and those are withdrawn first.
        let Some(place) = offers.iter().rposition(|other| Arc::ptr_eq(other, offer)) else {
            return mutant!("withdraw_blind");
        };
        let withdrawn = offers.remove(place);
        self.open.store(offers.len(), Ordering::SeqCst);
        drop(offers);
        drop(withdrawn);
        true
    }

    /// From now on the mode is poked when somebody is hungry. Look for hunger after this.
    ///
    /// # Safety
    /// - The mode stays where it is until [`unlisten`](Self::unlisten).
    pub(crate) unsafe fn listen(&self, mode: &Mode, is_guest: bool) {
        let mut listeners = self.listeners.lock();
        listeners.push(Listener { mode: NonNull::from(mode), is_guest });
        self.note(&listeners);
        drop(listeners);
        handshake();
    }

    pub(crate) fn unlisten(&self, mode: &Mode) {
        let mut listeners = self.listeners.lock();
        let is_it = |other: &Listener| other.mode == NonNull::from(mode);
        let place = if mutant!("outer_stops_first") {
            listeners.iter().position(is_it)
        } else {
            listeners.iter().rposition(is_it)
        };
        if let Some(place) = place.filter(|_| !mutant!("listener_stays")) {
            // In order: an outer call of the same thread stands further in front.
            listeners.remove(place);
        }
        self.note(&listeners);
    }

    fn note(&self, listeners: &[Listener]) {
        let guests = listeners.iter().filter(|listener| listener.is_guest).count();
        // ORDERING: a count for a rule of thumb.
        self.guests.store(guests, Ordering::Relaxed);
        self.listening.store(listeners.len(), Ordering::SeqCst);
    }

    /// How many threads from outside are in a fork-join call for long enough to be known.
    pub(crate) fn guests(&self) -> usize {
        // ORDERING: as in `note`.
        self.guests.load(Ordering::Relaxed)
    }

    /// Tells all who listen that somebody is hungry. Comes after the caller has made its hunger known.
    pub(crate) fn poke_all(&self) {
        if !mutant!("poke_handshake") {
            handshake();
        }
        if self.listening.load(Ordering::SeqCst) == 0 {
            return;
        }
        for listener in self.listeners.lock().iter() {
            // SAFETY: it listens, so it is still there.
            let mode = unsafe { listener.mode.as_ref() };
            mode.poke();
        }
    }
}
