//! Cache lines: which cores hold one, which core has modified it, and the cost of an access.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::costs::{Costs, Distance};

/// The largest number of cores that a line can record.
pub(crate) const MOST_CORES: usize = 256;

/// The kinds of access to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Load,
    /// A store that goes to the store buffer.
    Store,
    /// A read-modify-write, or a store that the thread waits for.
    Locked,
}

/// A set of cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cores([u64; MOST_CORES / 64]);

impl Cores {
    fn only(core: usize) -> Self {
        let mut cores = Self::default();
        cores.add(core);
        cores
    }

    fn add(&mut self, core: usize) {
        self.0[core / 64] |= 1 << (core % 64);
    }

    fn has(&self, core: usize) -> bool {
        self.0[core / 64] & (1 << (core % 64)) != 0
    }

    fn each(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(at * 64 + bit)
            })
        })
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Line {
    holders: Cores,
    /// The core that modified the line, while no other core has seen the change.
    changed_by: Option<u16>,
    /// When the last requested transfer is over.
    busy_until: u64,
}

/// The cost of an access.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Price {
    /// How long the thread waits for the line. For a store, the store buffer waits.
    pub(crate) stall: u64,
    /// The other costs.
    pub(crate) own: u64,
}

impl Line {
    /// Whether the core can make this access without involving other cores.
    pub(crate) fn is_at_hand(&self, core: usize, access: Access) -> bool {
        match access {
            Access::Load => self.holders.has(core),
            Access::Store | Access::Locked => self.holders == Cores::only(core),
        }
    }

    /// Makes the access at this time.
    pub(crate) fn touch(&mut self, costs: &Costs, core: usize, access: Access, now: u64) -> Price {
        let own = match access {
            Access::Load => costs.hit,
            Access::Store => costs.store,
            Access::Locked => costs.locked,
        };
        if self.is_at_hand(core, access) {
            let own = if access == Access::Store { costs.hit } else { own };
            let stall = self.busy_until.saturating_sub(now);
            if access != Access::Load {
                self.changed_by = Some(narrow(core));
                return Price { stall, own };
            }
            return Price { stall: 0, own };
        }
        let stall = if access == Access::Load {
            self.fetch(costs, core, now)
        } else {
            self.take(costs, core, now)
        };
        if access == Access::Locked {
            self.busy_until += own;
        }
        Price { stall, own }
    }

    /// Gets a copy.
    fn fetch(&mut self, costs: &Costs, core: usize, now: u64) -> u64 {
        let start = now.max(self.busy_until);
        let takes = if let Some(owner) = self.changed_by.take() {
            let takes = costs.transfer(costs.distance(core, owner.into()));
            self.busy_until = start + takes;
            takes
        } else {
            // From the nearest cache that holds the line.
            let nearest = self.holders.each().map(|holder| costs.distance(core, holder)).min();
            let is_shared = nearest.is_some();
            let takes = match nearest {
                None | Some(Distance::SameL3) => costs.l3_hit,
                Some(distance) => costs.transfer(distance),
            };
            if is_shared {
                self.busy_until = start + costs.read_turn;
            }
            takes
        };
        self.holders.add(core);
        start + takes - now
    }

    /// Gets the line exclusively. All copies are called back, which takes as long as the farthest
    /// one.
    fn take(&mut self, costs: &Costs, core: usize, now: u64) -> u64 {
        let start = now.max(self.busy_until);
        let takes = if let Some(owner) = self.changed_by {
            costs.transfer(costs.distance(core, owner.into()))
        } else {
            let farthest = self.holders.each().map(|holder| costs.distance(core, holder)).max();
            farthest.map_or(costs.l3_hit, |distance| costs.transfer(distance))
        };
        self.busy_until = start + takes;
        self.holders = Cores::only(core);
        self.changed_by = Some(narrow(core));
        start + takes - now
    }
}

fn narrow(core: usize) -> u16 {
    u16::try_from(core).expect("fewer cores than that")
}

/// A fast hasher for addresses.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(26) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

pub(crate) type Addresses<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;
