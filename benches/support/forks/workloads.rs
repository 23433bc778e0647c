//! What is forked and joined: recursion as one would write it first, with no cutoff or a tiny one.

#![forbid(unsafe_code)]

/// A binary tree whose nodes lie on the heap one by one.
pub(crate) struct Tree {
    pub(crate) value: u64,
    pub(crate) children: Option<(Box<Self>, Box<Self>)>,
}

impl Tree {
    /// A full one. Its nodes' values are 1, so the sum is their number.
    pub(crate) fn full(layers: u32) -> Self {
        let child = || Box::new(Self::full(layers - 1));
        Self { value: 1, children: (layers > 1).then(|| (child(), child())) }
    }
}

/// Not more numbers than this are sorted on the spot.
pub(super) const FEW: usize = 32;

/// Puts the middle one of three in its place, smaller ones before it, greater ones after; gives
/// both sides.
pub(super) fn divide(numbers: &mut [u64]) -> (&mut [u64], &mut [u64]) {
    let last = numbers.len() - 1;
    let mut three = [0, last / 2, last];
    three.sort_unstable_by_key(|at| numbers[*at]);
    numbers.swap(three[1], last);
    let pivot = numbers[last];
    let mut smaller = 0;
    for at in 0..last {
        // Without a branch, which could only be guessed: the swap is made each time, and counts
        // sometimes.
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

/// Matrices lie in memory as four quarters one after the other (upper left, upper right, lower
/// left, lower right), each made the same way, down to leaves of this many rows and columns: so
/// that a quarter is a slice.
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

/// Writes the recursions down for one way to fork: `[]` where the halves are closures without an
/// argument, `[name: type]` where they are handed what to fork with.
///
/// A function over a trait, the alternative, would hand something on even where there is nothing to
/// hand on, and that shows where a whole call takes two nanoseconds.
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
