//! Taking dead items out of the middle of a queue, some of them at a time.
//!
//! Between two steps the lock is free, and other threads may pop at the front. The cursor says
//! behind which item to continue, and how many items stood up to and including that item. Items
//! leave the queue only at its front or by a sweep. So the item is still in the queue if fewer
//! items than that were popped since, and no other sweep has run. Otherwise the sweep starts at the
//! front again. In that case either the front has moved past the cursor, or the other sweep has
//! looked at the items, so no item is left out for long.

use core::ptr::NonNull;

use super::{Front, Link, Linked, Pop, Queue, link_at};

/// Where a sweep continues.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// The last item that was looked at and stays. None at the front.
    before: Option<NonNull<Link>>,
    /// How many items were in front of the next one.
    ahead: usize,
    /// How many items had been taken from the queue.
    taken: usize,
    /// The number of the sweep's last step.
    sweeps: usize,
    /// Identifies the queue.
    stub: NonNull<Link>,
}

// SAFETY: the links are followed only under the lock of the queue's front, after a check that they
// are in the queue.
unsafe impl Send for Cursor {}

/// The result of one step of a sweep.
#[derive(Debug)]
#[must_use]
pub(crate) struct Swept<T> {
    pub(crate) dead: Vec<T>,
    /// How many items were looked at.
    pub(crate) looked: usize,
    /// Where to continue. None if all items were looked at.
    pub(crate) next: Option<Cursor>,
}

impl Cursor {
    /// The item behind which to continue, and how many items are in front of the next one. None if
    /// that item may be gone.
    fn place(&self, front: &Front, stub: NonNull<Link>) -> Option<(NonNull<Link>, usize)> {
        let popped = front.taken.wrapping_sub(self.taken);
        let is_mine = self.stub == stub && self.sweeps == front.sweeps;
        let before = self.before.filter(|_| is_mine && self.is_ahead_of(popped))?;
        Some((before, self.ahead.wrapping_sub(popped)))
    }

    /// Whether the item to continue behind is still there after so many pops.
    fn is_ahead_of(&self, popped: usize) -> bool {
        mutant!("sweep_cursor_kept" => return true);
        popped < self.ahead
    }
}

impl<T: Linked> Queue<T> {
    /// Looks at up to `most` items, starting at the cursor or at the front, and takes out those for
    /// which `is_dead` is true.
    ///
    /// The last item stays, because a pusher may be about to link behind it.
    pub(crate) fn sweep(
        &self,
        from: Option<Cursor>,
        most: usize,
        is_dead: impl Fn(&T) -> bool,
    ) -> Swept<T> {
        let mut swept = Swept { dead: Vec::new(), looked: 0, next: None };
        let mut front = self.front.lock();
        let place = from.and_then(|from| from.place(&front, self.stub));
        front.sweeps = front.sweeps.wrapping_add(1);
        let (mut before, mut ahead) = match place {
            Some((before, ahead)) => (Some(before), ahead),
            None => (None, 0),
        };
        let first = match before {
            Some(before) => NonNull::new(link_at(before).next()),
            None => self.first_item(&mut front),
        };
        let Some(mut at) = first else { return swept };
        while let Some(next) = NonNull::new(link_at(at).next()) {
            if swept.looked == most {
                let (taken, sweeps) = (front.taken, front.sweeps);
                swept.next = Some(Cursor { before, ahead, taken, sweeps, stub: self.stub });
                break;
            }
            swept.looked += 1;
            if self.ask(at, &is_dead) {
                match before {
                    None => front.first = next,
                    Some(before) => link_at(before).set_next(next.as_ptr()),
                }
                if let Pop::Item(item) = self.taken(&mut front, at) {
                    swept.dead.push(item);
                }
            } else {
                before = Some(at);
                ahead += 1;
            }
            at = next;
        }
        swept
    }

    fn first_item(&self, front: &mut Front) -> Option<NonNull<Link>> {
        self.skip_stub(front);
        // Checked once, as in `take_chain`: the stub is not an item, even if an item is behind it
        // by now.
        mutant!("stub_in_sweep" => return Some(front.first));
        (front.first != self.stub).then_some(front.first)
    }
}
