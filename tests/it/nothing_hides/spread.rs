//! Expensive items of one call run on all workers at once, however the call expresses them.

use super::{Case, takes_rounds};

fn one(_workers: usize) -> usize {
    1
}

fn two(_workers: usize) -> usize {
    2
}

fn five(_workers: usize) -> usize {
    5
}

/// A loop in which all items are expensive.
fn by_a_loop(case: &Case, items: usize) -> usize {
    case.pool.for_each(0..items, |_| case.expensive());
    items
}

/// A scope in which all closures are expensive.
fn by_a_scope(case: &Case, items: usize) -> usize {
    case.pool.scope(|s| {
        for _ in 0..items {
            s.spawn(|| case.expensive());
        }
    });
    items
}

/// Joins the items by halves, down to single items.
fn by_joins(case: &Case, first: usize, items: usize, item: &(impl Fn(usize) + Sync)) {
    match items {
        0 => {}
        1 => item(first),
        _ => {
            let left = items / 2;
            case.pool.join(
                || by_joins(case, first, left, item),
                || by_joins(case, first + left, items - left, item),
            );
        }
    }
}

#[test]
fn as_many_items_of_a_loop_as_workers_run_at_once() {
    takes_rounds(one, |case| by_a_loop(case, case.workers));
}

#[test]
fn twice_as_many_items_of_a_loop_as_workers_take_two_rounds() {
    takes_rounds(two, |case| by_a_loop(case, 2 * case.workers));
}

#[test]
fn as_many_closures_of_a_scope_as_workers_run_at_once() {
    takes_rounds(one, |case| by_a_scope(case, case.workers));
}

#[test]
fn twice_as_many_closures_of_a_scope_as_workers_take_two_rounds() {
    takes_rounds(two, |case| by_a_scope(case, 2 * case.workers));
}

#[test]
fn as_many_leaves_of_joins_as_workers_run_at_once() {
    takes_rounds(one, |case| {
        by_joins(case, 0, case.workers, &|_| case.expensive());
        case.workers
    });
}

#[test]
fn twice_as_many_leaves_of_joins_as_workers_take_two_rounds() {
    takes_rounds(two, |case| {
        by_joins(case, 0, 2 * case.workers, &|_| case.expensive());
        2 * case.workers
    });
}

/// One in twenty of these items is expensive: five for each worker.
fn many(case: &Case) -> usize {
    100 * case.workers
}

#[test]
fn a_few_expensive_leaves_of_a_balanced_tree_are_spread() {
    takes_rounds(five, |case| {
        by_joins(case, 0, many(case), &|at| case.mixed(at));
        many(case) / 20
    });
}

#[test]
fn a_few_expensive_items_of_a_loop_are_spread() {
    takes_rounds(five, |case| {
        case.pool.for_each(0..many(case), |at| case.mixed(at));
        many(case) / 20
    });
}

#[test]
fn a_few_expensive_closures_of_a_scope_are_spread() {
    takes_rounds(five, |case| {
        case.pool.scope(|s| {
            for at in 0..many(case) {
                s.spawn(move || case.mixed(at));
            }
        });
        many(case) / 20
    });
}

const LIST: usize = 160;

fn rounds_of_a_list(workers: usize) -> usize {
    (LIST / 20).div_ceil(workers)
}

#[test]
fn expensive_items_of_a_list_are_spread_when_the_rest_comes_second() {
    fn from(case: &Case, at: usize) {
        if at < LIST {
            case.pool.join(|| case.mixed(at), || from(case, at + 1));
        }
    }
    takes_rounds(rounds_of_a_list, |case| {
        from(case, 0);
        LIST / 20
    });
}

#[test]
fn expensive_items_of_a_list_are_spread_when_the_rest_comes_first() {
    fn from(case: &Case, at: usize) {
        if at < LIST {
            case.pool.join(|| from(case, at + 1), || case.mixed(at));
        }
    }
    takes_rounds(rounds_of_a_list, |case| {
        from(case, 0);
        LIST / 20
    });
}

#[test]
fn closures_that_a_loop_spawns_into_a_scope_around_it_are_spread() {
    takes_rounds(five, |case| {
        let items = 5 * case.workers;
        case.pool.scope(|s| {
            case.pool.for_each(0..items, |_| {
                s.spawn(|| case.expensive());
            });
        });
        items
    });
}
