//! Which cores a pool takes when it has a choice.
//!
//! Cores are chosen one by one. Each time the best core wins by the first of these criteria that
//! makes a difference: not yet taken by this pool; leased least by this process's pools; fewest
//! threads of other processes pinned to it; then what [`Placement`] says. Physical cores come
//! before second hardware threads, and fast cores before slow ones.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::topology::{CoreKind, CorePlace, Topology};

/// Which cores a pool takes if it has fewer workers than there are cores.
///
/// With either value, the workers have physical cores of their own before two share one, and
/// [performance cores](CoreKind::Performance) come first.
///
/// ```
/// use corepool::builder::Placement;
/// use corepool::WorkerPool;
/// let pool = WorkerPool::builder().workers(2).placement(Placement::Compact).build()?;
/// assert_eq!(pool.workers().len(), 2);
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Placement {
    /// As far apart as possible: spread over the memory nodes, and inside these over the last-level
    /// caches. Each worker has more cache and more memory bandwidth for itself, which suits tasks
    /// that have nothing to do with one another. This is the default.
    #[default]
    Spread,
    /// As close as possible: one last-level cache is filled before the next one, and one memory
    /// node before the next one. This suits fork-join over data that all workers share.
    Compact,
}

/// A wish: what a pool asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) candidates: &'a [usize],
    pub(super) count: usize,
    pub(super) placement: Placement,
    pub(super) topology: &'a Topology,
    /// How many threads of other processes are pinned to each core.
    pub(super) others: &'a HashMap<usize, usize>,
    /// An offset that rotates the order of cores that are alike. It differs between processes that
    /// choose at the same moment.
    pub(super) start: usize,
}

/// Returns the core of each worker. If there are more workers than candidates, the cores repeat.
/// `leased` says how many workers of this process are on a core.
pub(super) fn choose(wish: Wish<'_>, leased: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut left = Candidate::all(wish, leased);
    let mut crowd = Crowd::of(&left);
    let mut chosen = Vec::new();
    while chosen.len() < wish.count {
        let key = |(_, candidate): &(usize, &Candidate)| crowd.key(candidate, wish.placement);
        let best = left.iter().enumerate().min_by_key(key).map(|(at, _)| at);
        let Some(at) = best else { break };
        let candidate = left.swap_remove(at);
        crowd.add(&candidate);
        chosen.push(candidate.core);
    }
    if chosen.is_empty() { chosen } else { chosen.into_iter().cycle().take(wish.count).collect() }
}

#[derive(Debug)]
struct Candidate {
    core: usize,
    place: CorePlace,
    leased: usize,
    others: usize,
    /// Its position among the candidates that are alike.
    position: (usize, usize),
}

impl Candidate {
    fn all(wish: Wish<'_>, leased: impl Fn(usize) -> usize) -> Vec<Self> {
        let mut cores = wish.candidates.to_vec();
        cores.sort_unstable();
        cores.dedup();
        let mut faces: HashMap<usize, usize> = HashMap::new();
        let mut in_rank: HashMap<usize, usize> = HashMap::new();
        let candidate = |core: usize| {
            let place = wish.topology.place(core);
            let face = faces.entry(place.physical).or_default();
            let number = in_rank.entry(*face).or_default();
            let position = (*face, *number);
            *face += 1;
            *number += 1;
            let others = wish.others.get(&core).copied().unwrap_or(0);
            Self { core, place, leased: leased(core), others, position }
        };
        let mut all: Vec<_> = cores.into_iter().map(candidate).collect();
        for candidate in &mut all {
            let (face, number) = candidate.position;
            let count = in_rank[&face];
            candidate.position.1 = (number + count - wish.start % count) % count;
        }
        all
    }

    fn load(&self) -> usize {
        self.leased + self.others
    }
}

/// The load of each group of cores.
#[derive(Debug, Default)]
struct Crowd {
    /// How many workers and threads of other processes each physical core, cache and node has.
    physical: HashMap<usize, usize>,
    cache: HashMap<usize, usize>,
    node: HashMap<usize, usize>,
    /// How many unused cores each cache has.
    idle: HashMap<usize, usize>,
    /// The caches and nodes on which this pool already has a core.
    own_caches: HashSet<usize>,
    own_nodes: HashSet<usize>,
}

impl Crowd {
    fn of(candidates: &[Candidate]) -> Self {
        let mut crowd = Self::default();
        for candidate in candidates {
            crowd.count(candidate.place, candidate.load());
            let idle = crowd.idle.entry(candidate.place.cache).or_default();
            *idle += usize::from(candidate.load() == 0);
        }
        crowd
    }

    fn count(&mut self, place: CorePlace, load: usize) {
        *self.physical.entry(place.physical).or_default() += load;
        *self.cache.entry(place.cache).or_default() += load;
        *self.node.entry(place.node).or_default() += load;
    }

    fn add(&mut self, chosen: &Candidate) {
        self.count(chosen.place, 1);
        self.own_caches.insert(chosen.place.cache);
        self.own_nodes.insert(chosen.place.node);
    }

    /// The smallest key is the best.
    fn key(&self, candidate: &Candidate, placement: Placement) -> impl Ord + use<> {
        let place = candidate.place;
        let physical = self.physical[&place.physical];
        let is_slow = place.kind == Some(CoreKind::Efficiency);
        let by_placement = match placement {
            Placement::Spread => {
                let crowd = (self.node[&place.node], self.cache[&place.cache]);
                (false, false, physical, is_slow, crowd, Reverse(0))
            }
            Placement::Compact => {
                let is_new_cache = !self.own_caches.contains(&place.cache);
                let is_new_node = !self.own_nodes.contains(&place.node);
                let idle = Reverse(self.idle[&place.cache]);
                (is_new_cache, is_new_node, physical, is_slow, (0, 0), idle)
            }
        };
        (candidate.leased, candidate.others, by_placement, candidate.position)
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::super::topology::tests::{Machine, adjacent, far_apart, hybrid};
    use super::{Placement, Topology, Wish, choose};
    use std::collections::HashMap;

    fn first(topology: &Topology, cores: usize, count: usize, placement: Placement) -> Vec<usize> {
        let candidates: Vec<_> = (0..cores).collect();
        let others = HashMap::new();
        let wish =
            Wish { candidates: &candidates, count, placement, topology, others: &others, start: 0 };
        choose(wish, |_| 0)
    }

    fn sorted(mut cores: Vec<usize>) -> Vec<usize> {
        cores.sort_unstable();
        cores
    }

    #[test]
    fn physical_cores_come_before_their_second_threads() {
        for placement in [Placement::Spread, Placement::Compact] {
            let machine = Machine::of_cores(8);
            machine.siblings(adjacent);
            let chosen = first(&machine.topology(), 8, 6, placement);
            assert_eq!(sorted(chosen[..4].to_vec()), [0, 2, 4, 6], "{placement:?}");
            assert!(chosen[4..].iter().all(|core| core % 2 == 1), "{chosen:?}");
            let machine = Machine::of_cores(8);
            machine.siblings(far_apart);
            let chosen = first(&machine.topology(), 8, 5, placement);
            assert_eq!(chosen, [0, 1, 2, 3, 4], "{placement:?}");
        }
    }

    /// Two sockets with two caches each, and four cores for each cache.
    fn two_sockets() -> Machine {
        let machine = Machine::of_cores(16);
        machine.caches(|core| format!("{}-{}", core / 4 * 4, core / 4 * 4 + 3));
        machine.file("system/node/node0/cpulist", "0-7");
        machine.file("system/node/node1/cpulist", "8-15");
        machine
    }

    #[test]
    fn few_workers_are_spread_over_nodes_and_caches() {
        let topology = two_sockets().topology();
        assert_eq!(first(&topology, 16, 2, Placement::Spread), [0, 8]);
        assert_eq!(first(&topology, 16, 4, Placement::Spread), [0, 8, 4, 12]);
        assert_eq!(first(&topology, 16, 5, Placement::Spread), [0, 8, 4, 12, 1]);
    }

    #[test]
    fn or_fill_one_when_asked() {
        let topology = two_sockets().topology();
        assert_eq!(first(&topology, 16, 4, Placement::Compact), [0, 1, 2, 3]);
        assert_eq!(first(&topology, 16, 8, Placement::Compact), (0..8).collect::<Vec<_>>());
        // The cache with the most room, if one is in use already.
        let all: Vec<_> = (0..16).collect();
        let others = HashMap::from([(1, 1)]);
        let wish = Wish {
            candidates: &all,
            count: 5,
            placement: Placement::Compact,
            topology: &topology,
            others: &others,
            start: 0,
        };
        assert_eq!(choose(wish, |_| 0), [4, 5, 6, 7, 0], "the same node's other cache comes next");
    }

    #[test]
    fn a_cache_is_filled_with_second_threads_before_the_next_one() {
        let machine = Machine::of_cores(8);
        machine.siblings(far_apart);
        machine.caches(|core| if core % 4 < 2 { "0-1,4-5" } else { "2-3,6-7" }.to_owned());
        assert_eq!(first(&machine.topology(), 8, 5, Placement::Compact), [0, 1, 4, 5, 2]);
        assert_eq!(first(&machine.topology(), 8, 5, Placement::Spread), [0, 2, 1, 3, 4]);
    }

    #[test]
    fn fast_cores_come_first_and_slow_ones_before_second_threads() {
        let topology = hybrid().topology();
        for placement in [Placement::Spread, Placement::Compact] {
            let chosen = first(&topology, 24, 20, placement);
            assert!(chosen[..8].iter().all(|&core| core < 16 && core % 2 == 0), "{chosen:?}");
            assert!(chosen[8..16].iter().all(|&core| core >= 16), "{chosen:?}");
            assert!(chosen[16..].iter().all(|&core| core < 16 && core % 2 == 1), "{chosen:?}");
        }
    }

    fn beside(others: &[(usize, usize)], start: usize, leased: &[usize]) -> Vec<usize> {
        let machine = Machine::of_cores(4);
        machine.siblings(adjacent);
        let wish = Wish {
            candidates: &[0, 1, 2, 3],
            count: 4,
            placement: Placement::Spread,
            topology: &machine.topology(),
            others: &others.iter().copied().collect(),
            start,
        };
        choose(wish, |core| leased.iter().filter(|&&other| other == core).count())
    }

    #[test]
    fn cores_that_others_have_come_last() {
        assert_eq!(beside(&[], 0, &[]), [0, 2, 1, 3]);
        assert_eq!(beside(&[(0, 1)], 0, &[]), [2, 1, 3, 0], "and their siblings behind the free");
        assert_eq!(beside(&[(0, 2), (2, 1)], 0, &[]), [3, 1, 2, 0]);
        // The leases of this process count more, because they are known for certain.
        assert_eq!(beside(&[(0, 9)], 0, &[1, 2, 3]), [0, 2, 3, 1]);
    }

    #[test]
    fn processes_that_choose_at_once_begin_at_different_physical_cores() {
        assert_eq!(beside(&[], 1, &[]), [2, 0, 3, 1]);
        assert_eq!(beside(&[], 2, &[]), [0, 2, 1, 3]);
        assert_eq!(beside(&[], usize::MAX, &[])[0], 2);
    }

    #[test]
    fn there_may_be_more_workers_than_cores_or_none() {
        let topology = Topology::default();
        assert_eq!(first(&topology, 2, 5, Placement::Spread), [0, 1, 0, 1, 0]);
        assert!(first(&topology, 0, 5, Placement::Spread).is_empty());
        assert!(first(&topology, 5, 0, Placement::Compact).is_empty());
    }
}
