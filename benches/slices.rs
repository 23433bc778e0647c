//! The cost of loops over slices, from ten items to a million, compared with plain loops and other
//! crates.
//!
//! ```text
//! cargo bench --bench slices                          all rows: less than two minutes
//! cargo bench --bench slices -- --quick --rows heavy  fewer rounds, some rows
//! ```
//!
//! A small loop should cost as much as a plain one, and a large one should be shared. At the end
//! the bench lists where ours is slower than the fastest rival, and where it costs over a few
//! microseconds more than a plain loop. The calls of a row follow one another without a pause, from
//! a thread that is not a worker.

use std::time::Duration;

#[expect(dead_code, reason = "the other benches use the rest")]
mod rivals;
#[expect(dead_code, reason = "the other benches use the rest")]
mod support;

use rivals::slices::{self, Cost, Item, Loop, Looper, Work};
use support::interleave::{Measured, Row, interleave};
use support::json::Journal;
use support::options::Options;
use support::verdict::{Standing, Verdict};

/// Rows that differ only in the number of items.
struct Family {
    name: &'static str,
    kind: Loop,
    cost: Cost,
    dear: Dear,
    sizes: &'static [usize],
}

/// Where the expensive items are. One item in a hundred is expensive.
#[derive(Clone, Copy)]
enum Dear {
    Nowhere,
    Scattered,
    /// All at the end, where a thread that takes large chunks first meets them last.
    Last,
}

const ROUNDS: usize = 9;
/// A sample is as many calls as a plain loop makes in this time, within limits.
const SAMPLE: Duration = Duration::from_millis(3);
const MOST_CALLS: u32 = 2_000;

/// How many microseconds more than a plain loop a call may take.
const ALLOWED: f64 = 5.0;

const ALL: &[usize] = &[10, 100, 1_000, 10_000, 100_000, 1_000_000];
const NOT_THE_LAST: &[usize] = &[10, 100, 1_000, 10_000, 100_000];
const LARGE: &[usize] = &[1_000, 10_000, 100_000];

const FAMILIES: &[Family] = &[
    Family::new("map_cheap", Loop::Map, Cost::Cheap, Dear::Nowhere, ALL),
    Family::new("map_heavy", Loop::Map, Cost::Heavy, Dear::Nowhere, NOT_THE_LAST),
    Family::new("map_skewed", Loop::Map, Cost::Skewed, Dear::Scattered, ALL),
    Family::new("map_dear_last", Loop::Map, Cost::Skewed, Dear::Last, LARGE),
    Family::new("each_cheap", Loop::ForEachMut, Cost::Cheap, Dear::Nowhere, ALL),
    Family::new("each_heavy", Loop::ForEachMut, Cost::Heavy, Dear::Nowhere, NOT_THE_LAST),
    Family::new("each_skewed", Loop::ForEachMut, Cost::Skewed, Dear::Scattered, ALL),
    Family::new("each_dear_last", Loop::ForEachMut, Cost::Skewed, Dear::Last, LARGE),
];

fn main() {
    let options = Options::read();
    let loopers = options.among(slices::all(), |_| true);
    let mut journal = options.journal();
    let mut verdict = Verdict::allowing(ALLOWED);
    for family in FAMILIES {
        family.side_by_side(&options, &loopers, &mut journal, &mut verdict);
    }
    if !options.test {
        verdict.print();
    }
}

impl Family {
    const fn new(
        name: &'static str,
        kind: Loop,
        cost: Cost,
        dear: Dear,
        sizes: &'static [usize],
    ) -> Self {
        Self { name, kind, cost, dear, sizes }
    }

    /// Measures all contestants in turn, size by size. The loops check their own results, so a
    /// small run is a test.
    fn side_by_side(
        &self,
        options: &Options,
        loopers: &[Looper],
        journal: &mut Journal,
        verdict: &mut Verdict,
    ) {
        let mut headed = false;
        for size in self.sizes {
            let name = format!("{}_{size}", self.name);
            if !options.wants(&name) {
                continue;
            }
            let measured = self.measure(options, loopers, name, *size);
            if options.test {
                measured.report(options, journal);
                continue;
            }
            if !headed {
                heading(self.name, &measured);
                headed = true;
            }
            line(*size, &measured);
            measured.write(journal);
            verdict.note(&measured);
        }
    }

    fn measure(
        &self,
        options: &Options,
        loopers: &[Looper],
        name: String,
        size: usize,
    ) -> Measured {
        // The name is leaked because rows need static names, and there are only a few dozen.
        let row = Row { bench: "slices", name: name.leak(), metrics: &["us a call"] };
        let mut items = self.items(options.size(size.min(1_000), size));
        let calls = options.size(2, self.calls(&mut items));
        let mut work = Work { kind: self.kind, cost: self.cost, calls: calls.div_ceil(10) };
        interleave(row, loopers, options.rounds(ROUNDS), |looper| {
            looper.alone(|pool| {
                work.calls = calls.div_ceil(10);
                pool(work, &mut items); // Warm-up.
                work.calls = calls;
                vec![pool(work, &mut items).as_nanos() as f64 / 1e3 / f64::from(calls)]
            })
        })
    }

    /// How many calls make a sample.
    fn calls(&self, items: &mut [Item]) -> u32 {
        let plain = slices::all().swap_remove(0);
        let once = plain
            .alone(|plain| plain(Work { kind: self.kind, cost: self.cost, calls: 3 }, items) / 3);
        let fit = SAMPLE.as_nanos() / once.as_nanos().max(1);
        u32::try_from(fit).map_or(MOST_CALLS, |calls| calls.clamp(1, MOST_CALLS))
    }

    fn items(&self, size: usize) -> Vec<Item> {
        let mut random = fastrand::Rng::with_seed(6);
        let item = |at| {
            let dear = match self.dear {
                Dear::Nowhere => false,
                Dear::Scattered => random.u32(..100) == 0,
                Dear::Last => at >= size - size / 100,
            };
            let seed = random.u64(..) & !Item::DEAR;
            Item { seed: if dear { seed | Item::DEAR } else { seed }, sum: 0 }
        };
        (0..size).map(item).collect()
    }
}

fn heading(name: &str, measured: &Measured) {
    println!("\n{name}: us a call");
    print!("  {:>9}", "items");
    measured.medians().for_each(|(name, ..)| print!(" {name:>15}"));
    println!("   to plain   to the fastest rival");
}

fn line(size: usize, measured: &Measured) {
    print!("  {size:>9}");
    measured.medians().for_each(|(_, _, median)| print!(" {median:>15.2}"));
    if let Some(Standing { to_plain, to_fastest, fastest, .. }) = Standing::of(measured) {
        print!("   {to_plain:>8.2}   {to_fastest:.2} ({fastest})");
    }
    match measured.disturbed() {
        Some(part) => println!("   disturbed: {:.0} %", part * 100.0),
        None => println!(),
    }
}
