//! An unbalanced tree of small nodes: the processor time per node with scopes, loops and joins.

#![forbid(unsafe_code)]

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

/// A tree of this many nodes, including this one. Only the seed decides its shape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node {
    size: u32,
    seed: u64,
}

const MOST_CHILDREN: usize = 8;

/// A node's children, of very different sizes.
struct Children {
    nodes: [Node; MOST_CHILDREN],
    count: usize,
}

impl Node {
    pub(crate) fn root(size: u32) -> Self {
        Self { size, seed: 1 }
    }

    /// The first child gets a random part of the nodes below this one, the next a random part of
    /// the rest, and so on.
    fn children(self) -> Children {
        let mut nodes = [Self::default(); MOST_CHILDREN];
        let mut count = 0;
        let mut rest = self.size - 1;
        let mut seed = self.seed;
        while rest > 0 {
            seed = mix(seed);
            let last = count == MOST_CHILDREN - 1;
            let size = if last { rest } else { 1 + (seed >> 32) as u32 % rest };
            nodes[count] = Self { size, seed };
            count += 1;
            rest -= size;
        }
        Children { nodes, count }
    }
}

impl Children {
    fn nodes(&self) -> &[Node] {
        &self.nodes[..self.count]
    }
}

fn mix(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// Counts the nodes by plain calls.
pub(crate) fn plain(node: Node) -> u64 {
    1 + node.children().nodes().iter().map(|child| plain(*child)).sum::<u64>()
}

/// Counts the nodes with a scope in each node that has children, and one closure per child.
pub(crate) fn our_scopes(node: Node) -> u64 {
    let children = node.children();
    let mut sums = [0; MOST_CHILDREN];
    if children.count > 0 {
        corepool::scope(|scope| {
            for (child, sum) in children.nodes().iter().zip(&mut sums) {
                scope.spawn(|| *sum = our_scopes(*child));
            }
        });
    }
    1 + sums.iter().sum::<u64>()
}

/// Counts the nodes with a scope in each node that has children, and one closure per child.
pub(crate) fn rayon_scopes(node: Node) -> u64 {
    let children = node.children();
    let mut sums = [0; MOST_CHILDREN];
    if children.count > 0 {
        rayon::scope(|scope| {
            for (child, sum) in children.nodes().iter().zip(&mut sums) {
                scope.spawn(|_| *sum = rayon_scopes(*child));
            }
        });
    }
    1 + sums.iter().sum::<u64>()
}

/// Counts the nodes with a loop over each node's children.
pub(crate) fn our_loops(node: Node) -> u64 {
    let children = node.children();
    let below = corepool::map_reduce(children.nodes(), |child| our_loops(*child), |a, b| a + b);
    1 + below.unwrap_or(0)
}

/// Counts the nodes with a loop over each node's children.
pub(crate) fn rayon_loops(node: Node) -> u64 {
    1 + node.children().nodes().par_iter().map(|child| rayon_loops(*child)).sum::<u64>()
}

/// Counts the nodes with joins over halves of each node's children.
pub(crate) fn our_joins(node: Node) -> u64 {
    fn halves(children: &[Node]) -> u64 {
        match children {
            [] => 0,
            [child] => our_joins(*child),
            _ => {
                let (left, right) = children.split_at(children.len() / 2);
                let (a, b) = corepool::join(|| halves(left), || halves(right));
                a + b
            }
        }
    }
    1 + halves(node.children().nodes())
}

/// Counts the nodes with joins over halves of each node's children.
pub(crate) fn rayon_joins(node: Node) -> u64 {
    fn halves(children: &[Node]) -> u64 {
        match children {
            [] => 0,
            [child] => rayon_joins(*child),
            _ => {
                let (left, right) = children.split_at(children.len() / 2);
                let (a, b) = rayon::join(|| halves(left), || halves(right));
                a + b
            }
        }
    }
    1 + halves(node.children().nodes())
}
