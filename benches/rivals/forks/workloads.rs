//! The fork-join workloads: recursion as one would first write it, with no cutoff or a tiny one.

#![forbid(unsafe_code)]

/// A binary tree with each node in its own heap allocation.
pub(crate) struct Tree {
    pub(crate) value: u64,
    pub(crate) children: Option<(Box<Self>, Box<Self>)>,
}

impl Tree {
    /// A full tree. The value of each node is 1, so the sum is the number of nodes.
    pub(crate) fn full(layers: u32) -> Self {
        let child = || Box::new(Self::full(layers - 1));
        Self { value: 1, children: (layers > 1).then(|| (child(), child())) }
    }
}

/// At most this many numbers are sorted on the spot.
pub(super) const FEW: usize = 32;

/// Moves the median of three to its place, smaller numbers before it and greater ones after it.
/// Returns both sides.
pub(super) fn divide(numbers: &mut [u64]) -> (&mut [u64], &mut [u64]) {
    let last = numbers.len() - 1;
    let mut three = [0, last / 2, last];
    three.sort_unstable_by_key(|at| numbers[*at]);
    numbers.swap(three[1], last);
    let pivot = numbers[last];
    let mut smaller = 0;
    for at in 0..last {
        // Without a branch, because it would be unpredictable: the swap is made each time, but only
        // sometimes counts.
        let is_smaller = numbers[at] < pivot;
        numbers.swap(at, smaller);
        smaller += usize::from(is_smaller);
    }
    numbers.swap(smaller, last);
    let (before, rest) = numbers.split_at_mut(smaller);
    (before, &mut rest[1..])
}

pub(super) fn sort_few(numbers: &mut [u64]) {
    for end in 1..numbers.len() {
        let mut at = end;
        while at > 0 && numbers[at - 1] > numbers[at] {
            numbers.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// A matrix lies in memory as four quarters one after the other: upper left, upper right, lower
/// left, lower right. Each quarter is laid out in the same way, down to leaves with this many rows
/// and columns. So each quarter is a slice.
pub(crate) const LEAF: usize = 8;

pub(crate) fn multiply_leaf(product: &mut [f64], left: &[f64], right: &[f64]) {
    for (sums, factors) in product.chunks_exact_mut(LEAF).zip(left.chunks_exact(LEAF)) {
        for (factor, row) in factors.iter().zip(right.chunks_exact(LEAF)) {
            for (sum, other) in sums.iter_mut().zip(row) {
                *sum += factor * other;
            }
        }
    }
}

pub(super) fn quarters(matrix: &[f64]) -> [&[f64]; 4] {
    let (upper, lower) = matrix.split_at(matrix.len() / 2);
    let (a, b) = upper.split_at(upper.len() / 2);
    let (c, d) = lower.split_at(lower.len() / 2);
    [a, b, c, d]
}

pub(super) fn quarters_mut(matrix: &mut [f64]) -> [&mut [f64]; 4] {
    let (upper, lower) = matrix.split_at_mut(matrix.len() / 2);
    let (a, b) = upper.split_at_mut(upper.len() / 2);
    let (c, d) = lower.split_at_mut(lower.len() / 2);
    [a, b, c, d]
}

/// Writes the recursions for one way to fork. `[]` is for halves that are closures without an
/// argument; `[name: type]` is for halves that get the value to fork with as an argument.
///
/// The alternative, a function over a trait, would pass an argument even where there is nothing to
/// pass. This shows when a whole call takes two nanoseconds.
macro_rules! workloads {
    ([$($at:ident: $type:ty)?], $($join:tt)+) => {
        fn fib($($at: $type,)? n: u64) -> u64 {
            if n < 2 {
                return n;
            }
            let (a, b) = $($join)+(|$($at)?| fib($($at,)? n - 1), |$($at)?| fib($($at,)? n - 2));
            a + b
        }

        fn sum($($at: $type,)? tree: &Tree) -> u64 {
            let Some((left, right)) = &tree.children else { return tree.value };
            let (a, b) = $($join)+(|$($at)?| sum($($at,)? left), |$($at)?| sum($($at,)? right));
            tree.value + a + b
        }

        fn sort($($at: $type,)? numbers: &mut [u64]) {
            if numbers.len() <= workloads::FEW {
                return workloads::sort_few(numbers);
            }
            let (before, after) = workloads::divide(numbers);
            $($join)+(|$($at)?| sort($($at,)? before), |$($at)?| sort($($at,)? after));
        }

        fn multiply($($at: $type,)? product: &mut [f64], left: &[f64], right: &[f64]) {
            if product.len() == LEAF * LEAF {
                return multiply_leaf(product, left, right);
            }
            let [p, q, r, s] = workloads::quarters_mut(product);
            let ([a, b, c, d], [e, f, g, h]) = (workloads::quarters(left), workloads::quarters(right));
            $($join)+(
                |$($at)?| $($join)+(
                    |$($at)?| two_products($($at,)? p, (a, e), (b, g)),
                    |$($at)?| two_products($($at,)? q, (a, f), (b, h)),
                ),
                |$($at)?| $($join)+(
                    |$($at)?| two_products($($at,)? r, (c, e), (d, g)),
                    |$($at)?| two_products($($at,)? s, (c, f), (d, h)),
                ),
            );
        }

        fn two_products(
            $($at: $type,)?
            product: &mut [f64],
            first: (&[f64], &[f64]),
            second: (&[f64], &[f64]),
        ) {
            multiply($($at,)? product, first.0, first.1);
            multiply($($at,)? product, second.0, second.1);
        }
    };
}
