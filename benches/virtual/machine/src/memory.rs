//! The costs of memory accesses: the calling thread pays, in the order of time.

use crate::costs::Costs;
use crate::line::Access;
use crate::world::{Place, Thread, World, in_order, with};

/// Charges an access, in the order of time. The access itself must follow directly.
pub(crate) fn access(address: usize, access: Access, place: Place) {
    // While one coroutine unwinds, all seem to, because they share a system thread.
    if std::thread::panicking() {
        return;
    }
    match with(|world| world.at_hand(address, access, place)) {
        None | Some(true) => {}
        Some(false) => {
            in_order();
            with(|world| world.touch(address, access, place));
        }
    }
}

/// Requests a line for writing, without waiting. Lines that are requested together share the
/// possible transfers in flight.
pub fn prefetch(address: usize) {
    in_order();
    with(|world| {
        let core = world.my_core();
        world.charge(|costs| costs.hit);
        let line = world.lines.entry(address / 64).or_default();
        if !line.is_at_hand(core, Access::Store) {
            let thread = &mut world.threads[world.current];
            let overlap = world.costs.overlap as usize;
            let first = thread.prefetches.len().saturating_sub(overlap);
            let start = match thread.prefetches.len() {
                under_way if under_way >= overlap => thread.prefetches[first].max(thread.clock),
                _ => thread.clock,
            };
            let price = line.touch(&world.costs, core, Access::Store, start);
            thread.prefetches.push_back(start + price.stall);
            if thread.prefetches.len() > overlap {
                thread.prefetches.pop_front();
            }
            world.totals.transfers += 1;
        }
    });
}

impl World {
    /// Makes an access for which the order does not matter: the core owns the line, and no thread
    /// is far behind.
    fn at_hand(&mut self, address: usize, access: Access, place: Place) -> bool {
        let core = self.my_core();
        self.totals.accesses += 1;
        self.threads[self.current].clock += self.costs.instructions;
        let thread = &mut self.threads[self.current];
        let is_near = thread.clock <= self.next.saturating_add(self.costs.lookahead);
        let is_wanted = self.cores[core].interrupts > 0 || !self.cores[core].line.is_empty();
        if !is_near || is_wanted {
            return false;
        }
        let Some(line) = self.lines.get_mut(&(address / 64)) else { return false };
        if !line.is_at_hand(core, access) {
            return false;
        }
        if access == Access::Locked {
            self.totals.locked += 1;
            thread.empty_buffer(place);
        }
        let price = line.touch(&self.costs, core, access, thread.clock);
        let mut stall = price.stall;
        if access == Access::Store {
            // The line is still in transfer for an earlier store, so this store also waits in the
            // store buffer.
            stall = thread.buffer(&self.costs, stall);
        }
        thread.clock += stall + price.own;
        true
    }

    fn touch(&mut self, address: usize, access: Access, place: Place) {
        let core = self.my_core();
        let line_at = address / 64;
        let line = self.lines.entry(line_at).or_default();
        let thread = &mut self.threads[self.current];
        if access == Access::Locked {
            self.totals.locked += 1;
            // The store buffer is emptied first.
            thread.empty_buffer(place);
        }
        let misses = !line.is_at_hand(core, access);
        let price = line.touch(&self.costs, core, access, thread.clock);
        let mut stall = price.stall;
        if access == Access::Store {
            stall = thread.buffer(&self.costs, stall);
        } else if access == Access::Load && misses && thread.scans(place, line_at) {
            stall = stall.div_ceil(self.costs.overlap);
        }
        thread.clock += stall + price.own;
        if misses {
            thread.last_miss = Some((place, line_at, thread.clock));
            self.totals.transfers += 1;
            self.totals.stalled += stall;
            thread.spent.wait(place, stall);
            let spot = self.spots.entry((line_at, place)).or_insert((place, 0, 0));
            spot.1 += 1;
            spot.2 += stall;
        }
    }

    /// Brings the data that a lock protects along with the lock.
    pub(crate) fn bring(&mut self, from: usize, place: Place, lock: usize) {
        let takes = self.costs.transfer(self.costs.distance(self.my_core(), from));
        self.me().clock += takes;
        self.me().spent.wait(place, takes);
        self.totals.transfers += 1;
        self.totals.stalled += takes;
        self.spots.entry((lock / 64, place)).or_insert((place, 0, 0)).2 += takes;
    }

    pub(crate) fn drain_stores(&mut self) {
        let thread = self.me();
        thread.clock = thread.clock.max(thread.stores_until);
    }
}

impl Thread {
    /// A locked access waits until the earlier stores are made.
    fn empty_buffer(&mut self, place: Place) {
        if self.stores_until > self.clock {
            self.spent.wait(place, self.stores_until - self.clock);
            self.clock = self.stores_until;
        }
    }

    /// Puts a store into the store buffer, where it waits for its line. Returns how long the thread
    /// itself waits.
    fn buffer(&mut self, costs: &Costs, stall: u64) -> u64 {
        self.stores_until = self.stores_until.max(self.clock + stall);
        stall.saturating_sub(costs.store_buffer)
    }

    /// Whether this load directly follows another miss at the same place in the code. Then neither
    /// waits for the other.
    fn scans(&self, place: Place, line: usize) -> bool {
        self.last_miss.is_some_and(|(where_, which, when)| {
            std::ptr::eq(where_, place) && which != line && self.clock <= when + 20
        })
    }
}
