//! The rows: what is measured, how much work it is, and which functions do it.

use crate::ours;
#[cfg(feature = "rival")]
use crate::rival;
use crate::stage::Pool;

#[cfg(not(feature = "rival"))]
pub type Rival = ();
#[cfg(feature = "rival")]
pub type Rival = fn(&'static rayon_core::ThreadPool);

pub struct Row {
    pub name: &'static str,
    pub says: &'static str,
    /// How long a single thread would take for the work on this many cores, in nanoseconds.
    pub work: fn(cores: usize) -> u64,
    pub ours: fn(&'static Pool),
    pub rival: Option<Rival>,
}

pub const MICRO: u64 = 1_000;

/// The index of the Fibonacci number, and the time of a call.
pub const FIB: (u32, u64) = (28, 100);
/// The depth of the tree, and the time of a leaf.
pub const TREE: (u32, u64) = (14, MICRO);
/// The number of items, and the time of each.
pub const CHEAP: (usize, u64) = (10_000_000, 3);
pub const HEAVY: (usize, u64) = (10_000, 10 * MICRO);
/// One item in a hundred takes the longer time.
pub const SKEWED: (usize, u64, u64) = (200_000, 50, 5 * MICRO);
/// Items that sleep: few, and for long.
pub const SLEEPING: (usize, u64) = (256, 1_000 * MICRO);
pub const SCOPE: (usize, u64) = (20_000, MICRO);
pub const BATCH: (usize, u64) = (20_000, MICRO);
pub const SMALL: (usize, u64) = (20_000, MICRO);
pub const TASKS: (usize, u64) = (10_000, 10 * MICRO);
pub const SUBMITTERS: usize = 8;
pub const BROADCASTS: (usize, u64) = (50, 20 * MICRO);

pub fn calls(n: u32) -> u64 {
    if n < 2 { 1 } else { 1 + calls(n - 1) + calls(n - 2) }
}

fn all((count, each): (usize, u64)) -> u64 {
    count as u64 * each
}

macro_rules! rows {
    ($($name:ident, $says:literal, $work:expr, $rival:tt;)*) => {
        pub const ROWS: &[Row] = &[$(Row {
            name: stringify!($name),
            says: $says,
            work: $work,
            ours: ours::$name,
            rival: rows!(@ $name $rival),
        },)*];
    };
    (@ $name:ident both) => {{
        #[cfg(feature = "rival")]
        let rival: Option<Rival> = Some(rival::$name);
        #[cfg(not(feature = "rival"))]
        let rival: Option<Rival> = Some(());
        rival
    }};
    (@ $name:ident ours) => { None };
}

rows!(
    fib, "a join at each number, 100 ns a call", |_| calls(FIB.0) * FIB.1, both;
    tree, "a task for each node, 1 µs a leaf", |_| (1 << TREE.0) * TREE.1, both;
    loop_cheap, "a loop over 10,000,000 items of 3 ns", |_| all(CHEAP), both;
    loop_heavy, "a loop over 10,000 items of 10 µs", |_| all(HEAVY), both;
    loop_guest, "the same, called from outside", |_| all(HEAVY), ours;
    loop_skewed, "a loop over 200,000 items of 50 ns, one in a hundred 5 µs", |_| {
        let (count, short, long) = SKEWED;
        (count as u64) * (99 * short + long) / 100
    }, both;
    loop_sleeping, "a loop over 256 items that sleep for 1 ms", |_| all(SLEEPING), both;
    scope, "a scope of 20,000 closures of 1 µs", |_| all(SCOPE), both;
    batch, "a batch of 20,000 closures of 1 µs", |_| all(BATCH), ours;
    burst_small, "20,000 tasks of 1 µs by one submitter", |_| all(SMALL), ours;
    burst, "10,000 tasks of 10 µs by one submitter", |_| all(TASKS), both;
    burst_of_8, "10,000 tasks of 10 µs by 8 submitters", |_| all(TASKS), ours;
    inside, "a task that spawns 10,000 of 10 µs and joins them", |_| all(TASKS), ours;
    inside_small, "a task that spawns 20,000 of 1 µs and joins them", |_| all(SMALL), ours;
    all, "`promise::all` of 10,000 tasks of 10 µs", |_| all(TASKS), ours;
    broadcast, "50 broadcasts of 20 µs", |cores| all(BROADCASTS) * cores as u64, both;
);
