//! The cost of fork-join on borrowed data without a cutoff, compared with plain calls and other
//! crates.
//!
//! ```text
//! cargo bench --bench fork_join                              the interleaved table
//! cargo bench --bench fork_join -- --quick --rows fib,scope  fewer rounds, some rows
//! ```
//!
//! `fib_1` has one worker. It has no other thread to share with, so it shows the bare cost of a
//! `join`. `fib_small` and the scopes are called repeatedly from a thread that is not a worker.
//!
//! forte does not take part. Its releases since 1.0.0-alpha.5 need Rust 1.96. 1.0.0-alpha.4 builds,
//! and has `join` and `scope`, but its pool cannot be ended: `depopulate` waits for the heartbeat
//! thread while holding a lock that this thread needs. The heartbeat thread wakes thousands of
//! times a second while there are workers, which would slow down the contestant measured next. Its
//! choice of tracing's features would also turn off the output of loom's models.

use std::hint::black_box;
use std::time::Instant;

#[expect(dead_code, reason = "the other benches use the rest")]
mod rivals;
#[expect(dead_code, reason = "the other benches use the rest")]
mod support;

use rivals::forks::{self, ForkJoin, Forker, LEAF, Tree, multiply_leaf};
use support::WORKERS;
use support::interleave::{Row, interleave, quantile, sorted};
use support::json::Journal;
use support::options::Options;
use support::verdict::Verdict;

/// One row of the table.
struct Question {
    row: Row,
    threads: usize,
    needs_scope: bool,
    /// Runs the workload, checks the result, and returns the nanoseconds per piece.
    ask: fn(&dyn ForkJoin, &Inputs) -> f64,
}

const ROUNDS: usize = 21;
/// Each round's value is the median of this many runs.
const RUNS: usize = 3;

const QUESTIONS: &[Question] = &[
    Question::joins("fib_1", &["ns a join"], 1, fib),
    Question::joins("fib_2", &["ns a join"], WORKERS, fib),
    Question::joins("fib_small", &["ns a call"], WORKERS, fib_small),
    Question::joins("tree_sum", &["ns a node"], WORKERS, tree_sum),
    Question::joins("quicksort", &["ns a number"], WORKERS, quicksort),
    Question::joins("matrix", &["ns a leaf"], WORKERS, matrix),
    Question::scopes("scope_10000", &["ns a closure"], scope_of_many),
    Question::scopes("scope_2", &["ns a scope"], scope_of_two),
];

fn main() {
    let options = Options::read();
    let inputs = Inputs::new(&options);
    let mut journal = options.journal();
    let mut verdict = Verdict::default();
    for question in QUESTIONS.iter().filter(|question| options.wants(question.row.name)) {
        question.side_by_side(&options, &inputs, &mut journal, &mut verdict);
    }
    if !options.test {
        verdict.print();
    }
}

impl Question {
    const fn joins(
        name: &'static str,
        metrics: &'static [&'static str],
        threads: usize,
        ask: fn(&dyn ForkJoin, &Inputs) -> f64,
    ) -> Self {
        let row = Row { bench: "fork_join", name, metrics };
        Self { row, threads, needs_scope: false, ask }
    }

    const fn scopes(
        name: &'static str,
        metrics: &'static [&'static str],
        ask: fn(&dyn ForkJoin, &Inputs) -> f64,
    ) -> Self {
        let joins = Self::joins(name, metrics, WORKERS, ask);
        Self { needs_scope: true, ..joins }
    }

    /// Measures all contestants in turn. The workloads check their own results, so a small run is a
    /// test.
    fn side_by_side(
        &self,
        options: &Options,
        inputs: &Inputs,
        journal: &mut Journal,
        verdict: &mut Verdict,
    ) {
        let forkers = options.among(forks::all(), |forker| forker.has_scope || !self.needs_scope);
        let ask = |forker: &Forker| {
            forker.alone(self.threads, |pool| {
                let runs = sorted((0..RUNS).map(|_| (self.ask)(pool, inputs)));
                vec![quantile(&runs, 0.5).unwrap_or(f64::NAN)]
            })
        };
        let measured = interleave(self.row, &forkers, options.rounds(ROUNDS), ask);
        measured.report(options, journal);
        verdict.note(&measured);
    }
}

/// The inputs of the workloads, and the expected results.
struct Inputs {
    fib: u64,
    /// The number of calls or scopes in a run, for those that are too short to be timed one by one.
    calls: u64,
    layers: u32,
    tree: Tree,
    numbers: Vec<u64>,
    in_order: Vec<u64>,
    left: Vec<f64>,
    right: Vec<f64>,
    product: Vec<f64>,
    closures: usize,
}

impl Inputs {
    fn new(options: &Options) -> Self {
        let mut random = fastrand::Rng::with_seed(4);
        let numbers: Vec<u64> =
            (0..options.size(1_000, 1_000_000)).map(|_| random.u64(..)).collect();
        let mut in_order = numbers.clone();
        in_order.sort_unstable();
        let side: usize = options.size(32, 256);
        let mut matrix = || (0..side * side).map(|_| f64::from(random.i8(..))).collect::<Vec<_>>();
        let (left, right) = (matrix(), matrix());
        let layers = options.size(6, 18);
        Self {
            fib: options.size(12, 30),
            calls: options.size(10, 2_000),
            layers,
            tree: Tree::full(layers),
            numbers,
            in_order,
            product: product(side, &left, &right),
            left,
            right,
            closures: options.size(100, 10_000),
        }
    }
}

fn fib(pool: &dyn ForkJoin, inputs: &Inputs) -> f64 {
    let n = black_box(inputs.fib);
    let (nanos, result) = timed(|| pool.fib(n));
    assert_eq!(result, fibonacci(n), "fib({n})");
    // Each number from 2 on is one join.
    nanos / (fibonacci(n + 1) - 1) as f64
}

fn fib_small(pool: &dyn ForkJoin, inputs: &Inputs) -> f64 {
    let (nanos, sum) =
        timed(|| (0..inputs.calls).map(|_| pool.fib_from_outside(black_box(12))).sum::<u64>());
    assert_eq!(sum, 144 * inputs.calls, "fib(12), {} times", inputs.calls);
    nanos / inputs.calls as f64
}

fn tree_sum(pool: &dyn ForkJoin, inputs: &Inputs) -> f64 {
    let (nanos, sum) = timed(|| pool.sum(&inputs.tree));
    assert_eq!(sum, (1 << inputs.layers) - 1, "the sum of the tree");
    nanos / sum as f64
}

fn quicksort(pool: &dyn ForkJoin, inputs: &Inputs) -> f64 {
    let mut numbers = inputs.numbers.clone();
    let (nanos, ()) = timed(|| pool.sort(&mut numbers));
    assert!(numbers == inputs.in_order, "the numbers are not sorted");
    nanos / numbers.len() as f64
}

fn matrix(pool: &dyn ForkJoin, inputs: &Inputs) -> f64 {
    let mut product = vec![0.0; inputs.product.len()];
    let (nanos, ()) = timed(|| pool.multiply(&mut product, &inputs.left, &inputs.right));
    assert!(product == inputs.product, "the product is wrong");
    // The number of leaves along one side, cubed.
    nanos / ((product.len() / (LEAF * LEAF)) as f64).powf(1.5)
}

fn scope_of_many(pool: &dyn ForkJoin, inputs: &Inputs) -> f64 {
    let mut places = vec![0; inputs.closures];
    let (nanos, ()) = timed(|| pool.scope(&mut places));
    assert!(places.iter().all(|place| *place == 1), "each closure runs once");
    nanos / places.len() as f64
}

fn scope_of_two(pool: &dyn ForkJoin, inputs: &Inputs) -> f64 {
    let mut places = [0; 2];
    let (nanos, ()) = timed(|| (0..inputs.calls).for_each(|_| pool.scope(black_box(&mut places))));
    assert_eq!(places, [inputs.calls; 2], "each closure runs once in each scope");
    nanos / inputs.calls as f64
}

fn timed<R>(work: impl FnOnce() -> R) -> (f64, R) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_nanos() as f64, result)
}

fn fibonacci(n: u64) -> u64 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}

/// Computes the product again, without recursion. Sums of whole numbers are exact in any order.
fn product(side: usize, left: &[f64], right: &[f64]) -> Vec<f64> {
    let leaves = side / LEAF;
    let leaf = |row: usize, column: usize| {
        let at = interleaved(row, column) * LEAF * LEAF;
        at..at + LEAF * LEAF
    };
    let mut product = vec![0.0; side * side];
    for row in 0..leaves {
        for column in 0..leaves {
            for at in 0..leaves {
                let (a, b) = (&left[leaf(row, at)], &right[leaf(at, column)]);
                multiply_leaf(&mut product[leaf(row, column)], a, b);
            }
        }
    }
    product
}

/// The position of a leaf: the bits of its row and its column alternate, because quarters are
/// nested in quarters.
fn interleaved(row: usize, column: usize) -> usize {
    (0..16).map(|bit| (row >> bit & 1) << (2 * bit + 1) | (column >> bit & 1) << (2 * bit)).sum()
}
