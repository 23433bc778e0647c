//! The table of a node's guests, which are told of its end. All changes take constant time.
#![forbid(unsafe_code)]

use std::sync::{Arc, Weak};
use std::task::Waker;

use super::listener::{Claimed, Listener};
use super::node::Node;
use crate::base::unwind;

/// The end of the list of free places.
const NONE: usize = usize::MAX;
/// A table that becomes empty keeps its memory up to this many places.
const KEPT: usize = 64;

/// A place in the table, from admission to leaving. No other guest gets it meanwhile, so it needs
/// no generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GuestPlace(usize);

/// One that is told of the end.
pub(super) enum Guest {
    Child(Weak<Node>),
    Waker(Waker),
    Listener(Listener),
    /// A listener whose claim succeeded. Only in a table that has been taken from its node.
    Claimed(Claimed),
}

enum GuestSeat {
    Taken(Guest),
    Free { next: usize },
}

/// The table. Free places form a list inside the table.
pub(super) struct Guests {
    seats: Vec<GuestSeat>,
    free: usize,
    taken: usize,
}

impl Guest {
    /// Drops a waker where its panic does no harm. Not under a lock.
    pub(super) fn discard(self) {
        let _quiet = unwind::quietly(|| drop(self));
    }

    /// Runs user code, so not under a lock.
    pub(super) fn tell(self) {
        let _quiet = match self {
            Self::Waker(waker) => unwind::quietly(|| waker.wake()),
            Self::Claimed(claimed) => unwind::quietly(|| claimed.finish()),
            Self::Child(_) | Self::Listener(_) => true,
        };
    }
}

impl Guests {
    pub(super) const fn new() -> Self {
        Self { seats: Vec::new(), free: NONE, taken: 0 }
    }

    /// The place that the next guest will get.
    pub(super) fn next_place(&self) -> GuestPlace {
        GuestPlace(if self.free == NONE { self.seats.len() } else { self.free })
    }

    pub(super) fn admit(&mut self, guest: Guest) -> GuestPlace {
        let place = self.next_place();
        self.taken += 1;
        match self.seats.get_mut(place.0) {
            None => self.seats.push(GuestSeat::Taken(guest)),
            Some(seat) => {
                if let GuestSeat::Free { next } = std::mem::replace(seat, GuestSeat::Taken(guest)) {
                    self.free = next;
                }
            }
        }
        place
    }

    /// Replaces the guest in a taken place. Returns the previous guest, to be dropped without the
    /// lock.
    pub(super) fn replace(&mut self, place: GuestPlace, guest: Guest) -> Option<Guest> {
        mutant!("cancel_first_waker" => return Some(guest));
        let seat = self.seats.get_mut(place.0)?;
        match std::mem::replace(seat, GuestSeat::Taken(guest)) {
            GuestSeat::Taken(before) => Some(before),
            GuestSeat::Free { .. } => None,
        }
    }

    /// Gives the place back. Returns its guest, to be dropped without the lock.
    pub(super) fn dismiss(&mut self, place: GuestPlace) -> Option<Guest> {
        let seat = self.seats.get_mut(place.0)?;
        let GuestSeat::Taken(guest) = std::mem::replace(seat, GuestSeat::Free { next: self.free })
        else {
            debug_assert!(false, "a place is given back once");
            return None;
        };
        self.free = place.0;
        self.taken -= 1;
        // Otherwise the memory for the largest number of guests would stay until the token is
        // dropped.
        if self.taken == 0 && self.seats.capacity() > KEPT {
            *self = Self::new();
        }
        mutant!("cancel_forgets_others" => *self = Self::new());
        Some(guest)
    }

    /// Calls the claim of each listener, and forgets those whose claim returns false. Works in
    /// place, so that nothing is allocated while the token is locked.
    pub(super) fn claim(&mut self) {
        for seat in &mut self.seats {
            if let GuestSeat::Taken(Guest::Listener(_)) = seat {
                let guest = std::mem::replace(seat, GuestSeat::Free { next: NONE });
                if let GuestSeat::Taken(Guest::Listener(listener)) = guest {
                    if let Some(claimed) = listener.claim() {
                        *seat = GuestSeat::Taken(Guest::Claimed(claimed));
                    }
                }
            }
        }
    }

    /// Adds the children that are still alive.
    pub(super) fn children_into(&self, nodes: &mut Vec<Arc<Node>>) {
        nodes.extend(self.seats.iter().filter_map(|seat| match seat {
            GuestSeat::Taken(Guest::Child(child)) => child.upgrade(),
            _ => None,
        }));
    }

    /// Whether any of the guests has to be told.
    pub(super) fn has_to_be_told(&self) -> bool {
        self.seats
            .iter()
            .any(|seat| matches!(seat, GuestSeat::Taken(Guest::Waker(_) | Guest::Claimed(_))))
    }

    /// Wakes or finishes each guest, even if another one panics. Not under a lock.
    pub(super) fn tell(self) {
        self.into_told().for_each(Guest::tell);
    }

    /// The guests that have to be told.
    pub(super) fn into_told(self) -> impl Iterator<Item = Guest> {
        self.seats.into_iter().filter_map(|seat| match seat {
            GuestSeat::Taken(guest @ (Guest::Waker(_) | Guest::Claimed(_))) => Some(guest),
            GuestSeat::Taken(Guest::Child(_) | Guest::Listener(_)) | GuestSeat::Free { .. } => None,
        })
    }
}

#[cfg(all(test, not(corepool_loom)))]
mod tests {
    use std::task::Waker;

    use super::{Guest, GuestPlace, Guests, KEPT};

    fn guest() -> Guest {
        Guest::Waker(Waker::noop().clone())
    }

    #[test]
    fn places_are_used_again() {
        let mut guests = Guests::new();
        let places: Vec<_> = (0..5).map(|_| guests.admit(guest())).collect();
        assert_eq!(places, [0, 1, 2, 3, 4].map(GuestPlace));
        for gone in [3, 1] {
            assert!(guests.dismiss(GuestPlace(gone)).is_some());
        }
        for next in [1, 3, 5] {
            assert_eq!(guests.next_place(), GuestPlace(next));
            assert_eq!(guests.admit(guest()), GuestPlace(next));
        }
        assert_eq!((guests.taken, guests.seats.len()), (6, 6));
    }

    #[test]
    fn a_large_table_that_is_empty_gives_its_memory_back() {
        let mut guests = Guests::new();
        let places: Vec<_> = (0..100 * KEPT).map(|_| guests.admit(guest())).collect();
        for place in places {
            assert!(guests.dismiss(place).is_some());
        }
        assert_eq!((guests.taken, guests.seats.capacity()), (0, 0));
        assert_eq!(guests.admit(guest()), GuestPlace(0));
    }
}
