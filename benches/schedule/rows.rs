//! The rows in which expensive items sleep, so that they show the schedule however few cores there
//! are.

#![forbid(unsafe_code)]

use std::sync::mpsc;
use std::time::Duration;

use super::load::{self, CHEAP, Load, cheap, dear, is_dear, tiny};
use super::pools::{Ours, Pool, Rayon};

/// Where the call comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Worker,
    /// A thread that is not a worker.
    Outside,
}

/// How a row is run, and for how many workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) workers: usize,
    /// The number of items per worker, for rows that have one.
    pub(crate) times: usize,
    pub(crate) test: bool,
}

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    place: Place,
    times: usize,
    load: fn(Case) -> Load,
    ours: fn(&Ours, Case),
    rayon: fn(&Rayon, Case),
}

impl Row {
    pub(crate) fn load(&self, workers: usize, test: bool) -> Load {
        (self.load)(self.case(workers, test))
    }

    /// Runs the row once.
    pub(crate) fn ask_ours(&self, pool: &Ours, workers: usize, test: bool) -> Duration {
        self.ask(pool, self.ours, self.case(workers, test))
    }

    /// Runs the row once.
    pub(crate) fn ask_rayon(&self, pool: &Rayon, workers: usize, test: bool) -> Duration {
        self.ask(pool, self.rayon, self.case(workers, test))
    }

    fn ask<P: Pool>(&self, pool: &P, work: fn(&P, Case), case: Case) -> Duration {
        let load = (self.load)(case);
        match self.place {
            Place::Worker => pool.on_worker(|| load::timed(&load, || work(pool, case))),
            Place::Outside => load::timed(&load, || work(pool, case)),
        }
    }

    fn case(&self, workers: usize, test: bool) -> Case {
        Case { workers, times: self.times, test }
    }
}

macro_rules! row {
    ($name:literal, $place:ident, $work:ident, $load:expr) => {
        row!($name, $place, 0, $work, $load)
    };
    ($name:literal, $place:ident, $times:literal, $work:ident, $load:expr) => {
        Row {
            name: $name,
            place: Place::$place,
            times: $times,
            load: $load,
            ours: $work::<Ours>,
            rayon: $work::<Rayon>,
        }
    };
}

const TWENTY: Duration = Duration::from_millis(20);
const TEN: Duration = Duration::from_millis(10);
const FIVE: Duration = Duration::from_millis(5);

pub(crate) const ROWS: &[Row] = &[
    row!("loop_w_worker", Worker, 1, loop_of_sleepers, sleepers),
    row!("loop_w_outside", Outside, 1, loop_of_sleepers, sleepers),
    row!("loop_2w_worker", Worker, 2, loop_of_sleepers, sleepers),
    row!("loop_2w_outside", Outside, 2, loop_of_sleepers, sleepers),
    row!("scope_w_worker", Worker, 1, scope_of_sleepers, sleepers),
    row!("scope_w_outside", Outside, 1, scope_of_sleepers, sleepers),
    row!("scope_2w_worker", Worker, 2, scope_of_sleepers, sleepers),
    row!("scope_2w_outside", Outside, 2, scope_of_sleepers, sleepers),
    row!("tree_w_worker", Worker, 1, tree_of_sleepers, sleepers),
    row!("tree_w_outside", Outside, 1, tree_of_sleepers, sleepers),
    row!("tree_2w_worker", Worker, 2, tree_of_sleepers, sleepers),
    row!("tree_2w_outside", Outside, 2, tree_of_sleepers, sleepers),
    row!("joins_mixed_worker", Worker, joins_mixed, mixed_pairs),
    row!("joins_mixed_in_a_join", Worker, joins_mixed_in_a_join, mixed_pairs),
    row!("joins_mixed_outside", Outside, joins_mixed, mixed_pairs),
    row!("scopes_mixed_worker", Worker, scopes_mixed, mixed_pairs),
    row!("scopes_mixed_outside", Outside, scopes_mixed, mixed_pairs),
    row!("cheap_loop_then_dear_worker", Worker, cheap_loop_then_dear, cheap_then_dear),
    row!("cheap_loop_then_dear_outside", Outside, cheap_loop_then_dear, cheap_then_dear),
    row!("million_then_dear_worker", Worker, million_then_dear, after_a_million),
    row!("million_then_dear_outside", Outside, million_then_dear, after_a_million),
    row!("stages_by_loops", Worker, stages_by_loops, stages),
    row!("stages_by_scopes", Worker, stages_by_scopes, stages),
    row!("join_a_task", Worker, join_a_task, |_| Load::dear(2, TWENTY)),
    row!("leaves_by_joins", Worker, 80, leaves_by_joins, leaves),
    row!("leaves_by_a_loop", Worker, 80, leaves_by_a_loop, leaves),
    row!("leaves_by_a_scope", Worker, 80, leaves_by_a_scope, leaves),
    row!("list_item_and_rest", Worker, list_item_and_rest, list),
    row!("list_rest_and_item", Worker, list_rest_and_item, list),
    row!("loop_feeds_a_scope", Worker, 4, loop_feeds_a_scope, fed),
    row!("scope_light_then_dear", Worker, 4, scope_light_then_dear, light_then_dear),
    row!("halves_talk_many_joins", Worker, halves_talk_many_joins, |_| Load::dear(0, FIVE)),
    row!("halves_talk_one_join", Worker, halves_talk_one_join, |_| Load::dear(0, FIVE)),
];

// A fixed number of items per worker, 20 ms each.

fn sleepers(case: Case) -> Load {
    Load::dear(case.workers * case.times, TWENTY)
}

fn loop_of_sleepers<P: Pool>(pool: &P, case: Case) {
    pool.each(0..case.workers * case.times, |_| dear(TWENTY));
}

fn scope_of_sleepers<P: Pool>(pool: &P, case: Case) {
    pool.scope(case.workers * case.times, |_| dear(TWENTY));
}

fn tree_of_sleepers<P: Pool>(pool: &P, case: Case) {
    tree(pool, case.workers * case.times, &|_| dear(TWENTY), 0);
}

/// Joins halves of this many items, down to single ones.
fn tree<P: Pool>(pool: &P, items: usize, item: &(impl Fn(usize) + Sync), first: usize) {
    if items < 2 {
        return (0..items).for_each(|_| item(first));
    }
    let left = items / 2;
    pool.join(|| tree(pool, left, item, first), || tree(pool, items - left, item, first + left));
}

// Pairs one after another. One pair in 20 has two halves of 5 ms.

const PAIRS: usize = 400;

fn mixed_pairs(_: Case) -> Load {
    Load::dear(PAIRS / 20 * 2, FIVE).beside(CHEAP * 2 * PAIRS as u32).at_once(2)
}

/// One item of the rows in which one in 20 is expensive.
fn mixed(at: usize) {
    if is_dear(at) { dear(FIVE) } else { cheap() }
}

fn joins_mixed<P: Pool>(pool: &P, _: Case) {
    for at in 0..PAIRS {
        pool.join(|| mixed(at), || mixed(at));
    }
}

fn joins_mixed_in_a_join<P: Pool>(pool: &P, case: Case) {
    pool.join(|| joins_mixed(pool, case), cheap);
}

fn scopes_mixed<P: Pool>(pool: &P, _: Case) {
    for at in 0..PAIRS {
        pool.scope(2, |_| mixed(at));
    }
}

// A function that is cheap for a long time before it becomes expensive.

const LAST: usize = 16;
const MANY: usize = 100_000;

fn cheap_then_dear(_: Case) -> Load {
    // About 5 ns each.
    Load::dear(LAST, FIVE).beside(Duration::from_micros(500))
}

fn cheap_loop_then_dear<P: Pool>(pool: &P, _: Case) {
    let item: fn(usize) = |at| if at < MANY { tiny(at) } else { dear(FIVE) };
    pool.each(0..MANY, item);
    pool.each(MANY..MANY + LAST, item);
}

fn million(case: Case) -> usize {
    if case.test { 10_000 } else { 1_000_000 }
}

fn after_a_million(case: Case) -> Load {
    Load::dear(LAST, FIVE).beside(Duration::from_nanos(5) * million(case) as u32)
}

fn million_then_dear<P: Pool>(pool: &P, case: Case) {
    let cheap = million(case);
    pool.each(0..cheap + LAST, |at| if at < cheap { tiny(at) } else { dear(FIVE) });
}

// Stages that are alternately light and heavy.

struct Stage {
    items: usize,
    item: Box<dyn Fn(usize) + Send + Sync>,
}

const STAGES: usize = 8;

fn stages(_: Case) -> Load {
    Load::dear(STAGES / 2 * 16, FIVE).beside(CHEAP * 256 * (STAGES / 2) as u32).at_once(16)
}

fn all_stages() -> Vec<Stage> {
    let light = || Stage { items: 256, item: Box::new(|_| cheap()) };
    let heavy = || Stage { items: 16, item: Box::new(|_| dear(FIVE)) };
    (0..STAGES).map(|at| if at % 2 == 0 { light() } else { heavy() }).collect()
}

fn stages_by_loops<P: Pool>(pool: &P, _: Case) {
    for stage in all_stages() {
        pool.each(0..stage.items, |at| (stage.item)(at));
    }
}

fn stages_by_scopes<P: Pool>(pool: &P, _: Case) {
    for stage in all_stages() {
        pool.scope(stage.items, |at| (stage.item)(at));
    }
}

fn join_a_task<P: Pool>(pool: &P, _: Case) {
    for _ in 0..100 {
        pool.join_a_task(cheap, cheap);
    }
    pool.join_a_task(|| dear(TWENTY), || dear(TWENTY));
}

// The leaves of a balanced tree. One leaf in 20 is expensive.

fn leaves(case: Case) -> Load {
    let all = case.workers * case.times;
    Load::dear(all / 20, FIVE).beside(CHEAP * all as u32)
}

fn leaves_by_joins<P: Pool>(pool: &P, case: Case) {
    tree(pool, case.workers * case.times, &mixed, 0);
}

fn leaves_by_a_loop<P: Pool>(pool: &P, case: Case) {
    pool.each(0..case.workers * case.times, mixed);
}

fn leaves_by_a_scope<P: Pool>(pool: &P, case: Case) {
    pool.scope(case.workers * case.times, mixed);
}

// Recursion along a list.

const ITEMS: usize = 1_000;

fn list(_: Case) -> Load {
    Load::dear(ITEMS / 20, FIVE).beside(CHEAP * ITEMS as u32)
}

fn list_item_and_rest<P: Pool>(pool: &P, _: Case) {
    fn from<P: Pool>(pool: &P, at: usize) {
        if at < ITEMS {
            pool.join(|| mixed(at), || from(pool, at + 1));
        }
    }
    from(pool, 0);
}

fn list_rest_and_item<P: Pool>(pool: &P, _: Case) {
    fn from<P: Pool>(pool: &P, at: usize) {
        if at < ITEMS {
            pool.join(|| from(pool, at + 1), || mixed(at));
        }
    }
    from(pool, 0);
}

fn fed(case: Case) -> Load {
    Load::dear(case.workers * case.times, TEN)
}

fn loop_feeds_a_scope<P: Pool>(pool: &P, case: Case) {
    pool.scope_fed_by_a_loop(case.workers * case.times, |_| dear(TEN));
}

const LIGHT: usize = 1_000;

fn light_then_dear(case: Case) -> Load {
    Load::dear(case.workers * case.times, FIVE).beside(CHEAP * LIGHT as u32)
}

fn scope_light_then_dear<P: Pool>(pool: &P, case: Case) {
    let closure = |at| if at < LIGHT { cheap() } else { dear(FIVE) };
    pool.scope(LIGHT + case.workers * case.times, closure);
}

// Joins in which one half waits for the other. Five rounds of the bench run 100,000 of them.

fn talks(case: Case) -> u64 {
    if case.test { 2_000 } else { 20_000 }
}

fn halves_talk_many_joins<P: Pool>(pool: &P, case: Case) {
    for word in 0..talks(case) {
        let (tell, hear) = mpsc::channel();
        let (heard, ()) = pool.join(
            move || hear.iter().sum::<u64>(),
            move || tell.send(word).expect("the other half listens"),
        );
        assert_eq!(heard, word, "what one half says the other hears");
    }
}

fn halves_talk_one_join<P: Pool>(pool: &P, case: Case) {
    let (ask, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    pool.join(
        move || {
            for word in 0..talks(case) {
                assert_eq!(answered.recv(), Ok(word), "what was asked comes back");
                ask.send(word + 1).expect("the other half asks");
            }
        },
        move || {
            for word in 0..talks(case) {
                answer.send(word).expect("the other half listens");
                assert_eq!(asked.recv(), Ok(word + 1), "an answer for each word");
            }
        },
    );
}
