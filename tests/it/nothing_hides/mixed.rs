//! What ran before, with the same function or closure type, has no influence on how work is shared.

use super::{Case, cheap, takes_rounds};

/// The number of pairs, joined one after another. One in twenty is expensive.
const PAIRS: usize = 100;

fn rounds_of_pairs(_workers: usize) -> usize {
    PAIRS / 20
}

fn joins(case: &Case) -> usize {
    for at in 0..PAIRS {
        case.pool.join(|| case.mixed(at), || case.mixed(at));
    }
    PAIRS / 20 * 2
}

#[test]
fn a_rare_expensive_join_shares_its_halves() {
    takes_rounds(rounds_of_pairs, joins);
}

#[test]
fn a_rare_expensive_join_inside_another_one_shares_its_halves() {
    takes_rounds(rounds_of_pairs, |case| case.pool.join(|| joins(case), cheap).0);
}

#[test]
fn a_rare_expensive_scope_shares_its_closures() {
    takes_rounds(rounds_of_pairs, |case| {
        for at in 0..PAIRS {
            case.pool.scope(|s| {
                s.spawn(|| case.mixed(at));
                s.spawn(|| case.mixed(at));
            });
        }
        PAIRS / 20 * 2
    });
}

/// The number of expensive items that follow many cheap ones.
const LAST: usize = 16;

fn rounds_of_the_last(workers: usize) -> usize {
    LAST.div_ceil(workers)
}

/// The number of cheap items at the start; only the last few are expensive.
const CHEAP: usize = 100_000;

fn cheap_at_first(case: &Case, at: usize) {
    if at < CHEAP { cheap() } else { case.expensive() }
}

#[test]
fn a_function_that_was_cheap_in_one_loop_is_spread_in_the_next() {
    takes_rounds(rounds_of_the_last, |case| {
        let function: fn(&Case, usize) = cheap_at_first;
        let item = |at| function(case, at);
        // Another range of the same types.
        case.pool.for_each(0..CHEAP / 10, item);
        case.pool.for_each(CHEAP..CHEAP + LAST, item);
        LAST
    });
}

#[test]
fn the_last_items_of_a_long_cheap_loop_are_spread() {
    takes_rounds(rounds_of_the_last, |case| {
        case.pool.for_each(0..CHEAP + LAST, |at| cheap_at_first(case, at));
        LAST
    });
}

#[test]
fn the_last_closures_of_a_cheap_scope_are_spread() {
    const LIGHT: usize = 1_000;
    takes_rounds(rounds_of_the_last, |case| {
        case.pool.scope(|s| {
            for at in 0..LIGHT + LAST {
                s.spawn(move || if at < LIGHT { cheap() } else { case.expensive() });
            }
        });
        LAST
    });
}

/// The number of heavy stages, each after a light one.
const STAGES: usize = 2;
const LIGHT_ITEMS: usize = 256;
const HEAVY_ITEMS: usize = 16;

fn rounds_of_stages(workers: usize) -> usize {
    STAGES * HEAVY_ITEMS.div_ceil(workers)
}

type Item<'c> = Box<dyn Fn() + Send + Sync + 'c>;

/// The number of items in each stage and what each item does, with one type for all stages.
fn stages(case: &Case) -> Vec<(usize, Item<'_>)> {
    let both = || -> [(usize, Item<'_>); 2] {
        [(LIGHT_ITEMS, Box::new(cheap)), (HEAVY_ITEMS, Box::new(|| case.expensive()))]
    };
    (0..STAGES).flat_map(|_| both()).collect()
}

#[test]
fn heavy_loops_among_light_ones_are_spread() {
    takes_rounds(rounds_of_stages, |case| {
        for (items, item) in stages(case) {
            case.pool.for_each(0..items, |_| item());
        }
        STAGES * HEAVY_ITEMS
    });
}

#[test]
fn heavy_scopes_among_light_ones_are_spread() {
    takes_rounds(rounds_of_stages, |case| {
        for (items, item) in stages(case) {
            case.pool.scope(|s| {
                for _ in 0..items {
                    s.spawn(&item);
                }
            });
        }
        STAGES * HEAVY_ITEMS
    });
}

#[test]
fn a_half_that_waits_for_a_task_leaves_the_other_to_idle_workers() {
    fn beside_a_task(case: &Case, half: fn(), sleep: std::time::Duration) {
        let task = case.pool.spawn(move || std::thread::sleep(sleep));
        case.pool.join(|| task.join().unwrap(), half);
    }
    takes_rounds(
        |_| 1,
        |case| {
            for _ in 0..100 {
                beside_a_task(case, cheap, std::time::Duration::ZERO);
            }
            case.begin();
            beside_a_task(case, || std::thread::sleep(super::IDEAL), case.item);
            0
        },
    );
}
