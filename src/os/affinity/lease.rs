//! The process-wide table of leased cores: it spreads pools over the cores before they share any.
//!
//! The kernel balances free threads but leaves pinned ones where they are. Two pools that each pin
//! their workers to "cores 0 to n" would therefore compete for the first cores while the last ones
//! are idle. The table counts how many workers are on each core, and a new pool takes the emptiest
//! ones. `choice.rs` decides between equals.
#![forbid(unsafe_code)]

use super::choice::{Placement, Wish, choose};
use super::others;
use super::topology::Topology;
use crate::base::sync::real::Mutex;
use std::collections::{BTreeMap, HashMap};

static TABLE: Mutex<Table> = Mutex::new(Table::new());

/// The cores that a pool has taken. Dropping the lease gives them back.
#[derive(Debug)]
#[must_use = "dropping the lease gives the cores back at once"]
pub(crate) struct Lease {
    cores: Vec<usize>,
}

impl Lease {
    /// The cores, one entry for each worker. A core that several workers share appears several
    /// times.
    pub(crate) fn cores(&self) -> &[usize] {
        &self.cores
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        TABLE.lock().give_back(&self.cores);
    }
}

/// Takes `count` of the `candidates`: the least leased first, and between equals as `placement`
/// says.
///
/// If there are more workers than candidates, the cores repeat, so that no core gets two more
/// workers than another from one lease. Without candidates the lease is empty.
pub(crate) fn lease(
    candidates: &[usize],
    count: usize,
    placement: Placement,
    topology: &Topology,
) -> Lease {
    // A pool that takes every core the same number of times has no choice.
    let has_choice = !candidates.is_empty() && count % candidates.len() != 0;
    let others = if has_choice { others::pinned_threads() } else { HashMap::new() };
    let mut table = TABLE.lock();
    let is_first = table.leased.is_empty();
    let start = if is_first { std::process::id() as usize } else { 0 };
    let wish = Wish { candidates, count, placement, topology, others: &others, start };
    Lease { cores: table.take_best(wish) }
}

/// The lease of a pool that is not pinned.
pub(crate) fn no_lease() -> Lease {
    Lease { cores: Vec::new() }
}

/// Takes exactly these cores, however much they are leased, because the user named them. They count
/// in the table anyway, so that pools that do have a choice avoid them.
pub(crate) fn lease_exactly(cores: &[usize]) -> Lease {
    TABLE.lock().take(cores);
    Lease { cores: cores.to_vec() }
}

/// How many workers are on each core. A core without workers has no entry, so the size of the table
/// depends only on the live pools, whatever numbers were named.
#[derive(Debug)]
struct Table {
    leased: BTreeMap<usize, usize>,
}

impl Table {
    const fn new() -> Self {
        Self { leased: BTreeMap::new() }
    }

    /// Each candidate is taken once before any is taken twice. Filling up the emptiest core
    /// repeatedly would level the table better. But it could put two workers of one pool on the
    /// same core while its other core belongs to a pool that happens to be idle.
    fn take_best(&mut self, wish: Wish<'_>) -> Vec<usize> {
        let taken = choose(wish, |core| self.load(core));
        self.take(&taken);
        taken
    }

    fn take(&mut self, cores: &[usize]) {
        for &core in cores {
            *self.leased.entry(core).or_default() += 1;
        }
    }

    fn give_back(&mut self, cores: &[usize]) {
        for &core in cores {
            match self.load(core) {
                0 | 1 => self.leased.remove(&core),
                load => self.leased.insert(core, load - 1),
            };
        }
    }

    fn load(&self, core: usize) -> usize {
        self.leased.get(&core).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{HashMap, Placement, TABLE, Table, Topology, Wish, lease_exactly};

    impl Table {
        fn take_emptiest(&mut self, candidates: &[usize], count: usize) -> Vec<usize> {
            self.take_best(Wish {
                candidates,
                count,
                placement: Placement::default(),
                topology: &Topology::default(),
                others: &HashMap::new(),
                start: 0,
            })
        }
    }

    fn lease(candidates: &[usize], count: usize) -> super::Lease {
        super::lease(candidates, count, Placement::default(), &Topology::default())
    }

    #[test]
    fn the_first_pool_gets_the_lowest_cores() {
        assert_eq!(Table::new().take_emptiest(&[900, 5, 1], 2), [1, 5]);
    }

    #[test]
    fn the_second_pool_takes_what_the_first_left() {
        let mut table = Table::new();
        assert_eq!(table.take_emptiest(&[0, 1, 2, 3], 2), [0, 1]);
        assert_eq!(table.take_emptiest(&[0, 1, 2, 3], 2), [2, 3]);
        assert_eq!(table.take_emptiest(&[0, 1, 2, 3], 3), [0, 1, 2]);
        assert_eq!(table.take_emptiest(&[0, 1, 2, 3], 2), [3, 0]);
    }

    #[test]
    fn more_workers_than_cores_wrap_round_evenly() {
        let mut table = Table::new();
        table.take(&[4]);
        assert_eq!(table.take_emptiest(&[4, 7, 9], 8), [7, 9, 4, 7, 9, 4, 7, 9]);
        assert_eq!([4, 7, 9].map(|core| table.load(core)), [3, 3, 3]);
    }

    #[test]
    fn one_pool_never_doubles_up_while_it_has_another_core() {
        let mut table = Table::new();
        table.take(&[0, 0, 0]);
        assert_eq!(table.take_emptiest(&[0, 1], 2), [1, 0]);
    }

    #[test]
    fn a_candidate_named_twice_is_one_core() {
        assert_eq!(Table::new().take_emptiest(&[3, 8, 3], 3), [3, 8, 3]);
    }

    #[test]
    fn nothing_to_choose_from_gives_nothing() {
        let mut table = Table::new();
        assert!(table.take_emptiest(&[], 4).is_empty());
        assert!(table.take_emptiest(&[1, 2], 0).is_empty());
        assert!(table.leased.is_empty());
    }

    #[test]
    fn what_is_given_back_leaves_no_trace() {
        let mut table = Table::new();
        let taken = table.take_emptiest(&[0, 1], 5);
        table.take(&[1, 1]);
        table.give_back(&taken);
        assert_eq!((table.load(0), table.load(1)), (0, 2));
        table.give_back(&[1, 1]);
        assert!(table.leased.is_empty());
    }

    #[test]
    fn a_return_too_many_is_harmless() {
        let mut table = Table::new();
        table.give_back(&[6]);
        assert_eq!(table.load(6), 0);
    }

    /// The global table is shared with every other test, so this uses numbers that no machine has.
    #[test]
    fn a_dropped_lease_frees_its_cores() {
        let named = lease_exactly(&[70_000, 70_000]);
        let chosen = lease(&[70_000, 70_001], 1);
        assert_eq!((named.cores(), chosen.cores()), (&[70_000, 70_000][..], &[70_001][..]));
        drop(named);
        assert_eq!(lease(&[70_000, 70_001], 1).cores(), [70_000]);
        drop(chosen);
        let table = TABLE.lock();
        assert_eq!([70_000, 70_001].map(|core| table.load(core)), [0, 0]);
    }
}
