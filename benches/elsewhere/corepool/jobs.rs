//! What the jobs are made of: sizes, hashes, rules. All languages have these in the same words.

/// The Fibonacci number that is computed.
pub(crate) const FIB: u64 = 32;

/// The side of the chess board.
pub(crate) const QUEENS: usize = 12;

/// The unbalanced tree: its root has many children; any other node has `CHILDREN` with a chance
/// just below one in `CHILDREN`. It has 3,519,257 nodes in 1,322 layers, and 72 % of them are in
/// one branch of the root.
pub(crate) const TREE_SEED: u64 = 1;
pub(crate) const ROOT_CHILDREN: usize = 2000;
pub(crate) const CHILDREN: usize = 8;
/// The chance, in parts of 2³².
const CHANCE: u64 = 535_500_000;

/// How many numbers are sorted.
const NUMBERS: u64 = 10_000_000;
/// Not more of them than this are sorted by insertion, as any quicksort does.
pub(crate) const FEW: usize = 32;

/// How many items the uneven loop has.
pub(crate) const ITEMS: u64 = 20_000;

/// A hash of good quality: the finish of splitmix64.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The columns of the queens in the first rows.
#[derive(Clone, Copy)]
pub(crate) struct Board([i8; QUEENS]);

impl Board {
    pub(crate) fn empty() -> Self {
        Self([0; QUEENS])
    }

    pub(crate) fn place(&mut self, row: usize, column: usize) {
        self.0[row] = column as i8;
    }

    /// A copy with one more queen.
    pub(crate) fn with(mut self, row: usize, column: usize) -> Self {
        self.place(row, column);
        self
    }

    /// Whether no queen in the rows before attacks this place.
    pub(crate) fn allows(&self, row: usize, column: usize) -> bool {
        self.0[..row].iter().enumerate().all(|(earlier, &taken)| {
            let (distance, apart) = ((row - earlier) as i32, column as i32 - i32::from(taken));
            apart != 0 && apart != distance && apart != -distance
        })
    }
}

/// How many children a node has that is not the root.
pub(crate) fn children(node: u64) -> usize {
    if node >> 32 < CHANCE { CHILDREN } else { 0 }
}

pub(crate) fn child(node: u64, number: usize) -> u64 {
    mix(node.wrapping_add(number as u64))
}

/// The numbers that are sorted: 31 random bits each.
pub(crate) fn numbers() -> Vec<i32> {
    (0..NUMBERS).map(|at| (mix(at) >> 33) as i32).collect()
}

/// Says which numbers stand where, and that they stand in order.
pub(crate) fn digest(numbers: &[i32]) -> u64 {
    assert!(numbers.is_sorted(), "the numbers are out of order");
    let places = numbers.iter().zip(1_u64..);
    places.fold(0, |sum, (&number, place)| sum.wrapping_add(place.wrapping_mul(number as u64)))
}

pub(crate) fn sort_few(numbers: &mut [i32]) {
    for end in 1..numbers.len() {
        let number = numbers[end];
        let mut at = end;
        while at > 0 && numbers[at - 1] > number {
            numbers[at] = numbers[at - 1];
            at -= 1;
        }
        numbers[at] = number;
    }
}

/// Puts small numbers before great ones, as Hoare does. At most one stands between the two sides.
pub(crate) fn divide(numbers: &mut [i32]) -> (&mut [i32], &mut [i32]) {
    let pivot = numbers[numbers.len() / 2];
    let (mut from, mut to) = (0, numbers.len());
    while from < to {
        while numbers[from] < pivot {
            from += 1;
        }
        while numbers[to - 1] > pivot {
            to -= 1;
        }
        if from < to {
            numbers.swap(from, to - 1);
            from += 1;
            to -= 1;
        }
    }
    let (before, after) = numbers.split_at_mut(from);
    (&mut before[..to], after)
}

/// An item of the uneven loop: the later the dearer, and one in a hundred a thousand times dearer.
pub(crate) fn item(number: u64) -> u64 {
    let is_dear = (mix(number) >> 1).is_multiple_of(100);
    let steps = number / 16 * if is_dear { 1000 } else { 1 };
    let mut state = number;
    for _ in 0..steps {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^= state >> 29;
    }
    state
}
