//! What accesses to memory take: the calling thread pays, in the order of time.

use crate::line::Access;
use crate::world::{Place, Thread, World, in_order, with};

/// Pays for an access, in the order of time. The access itself comes after this, and before anything else.
pub(crate) fn access(address: usize, access: Access, place: Place) {
    // While one coroutine unwinds, all would seem to.
    if std::thread::panicking() {
        return;
    }
    match with(|world| world.at_hand(address, access)) {
        None | Some(true) => {}
        Some(false) => {
            in_order();
            with(|world| world.touch(address, access, place));
        }
    }
}

impl World {
    /// Makes an access for which the order does not matter: the line is the core's own, and nobody is far behind.
    fn at_hand(&mut self, address: usize, access: Access) -> bool {
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
            thread.clock = thread.clock.max(thread.stores_until);
        }
        let price = line.touch(&self.costs, core, access, thread.clock);
        thread.clock += price.stall + price.own;
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
            thread.clock = thread.clock.max(thread.stores_until);
        }
        let misses = !line.is_at_hand(core, access);
        let price = line.touch(&self.costs, core, access, thread.clock);
        let mut stall = price.stall;
        if access == Access::Store {
            thread.stores_until = thread.stores_until.max(thread.clock + stall);
            stall = stall.saturating_sub(self.costs.store_buffer);
        } else if access == Access::Load && misses && thread.scans(place, line_at) {
            stall = stall.div_ceil(self.costs.overlap);
        }
        thread.clock += stall + price.own;
        if misses {
            thread.last_miss = Some((place, line_at, thread.clock));
            self.totals.transfers += 1;
            self.totals.stalled += stall;
            let spot = self.spots.entry((line_at, place)).or_insert((place, 0, 0));
            spot.1 += 1;
            spot.2 += stall;
        }
    }

    /// What a lock protects comes along with it.
    pub(crate) fn bring(&mut self, from: usize, place: Place, lock: usize) {
        let takes = self.costs.transfer(self.costs.distance(self.my_core(), from));
        self.me().clock += takes;
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
    /// Whether this load follows another miss at the same place at once: then neither waits for the other.
    fn scans(&self, place: Place, line: usize) -> bool {
        self.last_miss.is_some_and(|(where_, which, when)| {
            std::ptr::eq(where_, place) && which != line && self.clock <= when + 20
        })
    }
}
