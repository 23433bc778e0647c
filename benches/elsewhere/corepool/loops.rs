//! The jobs as one would write them first: `join` for two parts, a loop for many.

use crate::jobs::{self, Board, FEW, FIB, ITEMS, QUEENS, ROOT_CHILDREN, TREE_SEED};

pub(crate) fn fib() -> u64 {
    fib_of(FIB)
}

fn fib_of(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = corepool::join(|| fib_of(n - 1), || fib_of(n - 2));
    a + b
}

pub(crate) fn queens() -> u64 {
    queens_from(Board::empty(), 0)
}

fn queens_from(board: Board, row: usize) -> u64 {
    if row == QUEENS {
        return 1;
    }
    let try_column = |column| match board.allows(row, column) {
        true => queens_from(board.with(row, column), row + 1),
        false => 0,
    };
    corepool::map_reduce(0..QUEENS, try_column, |a, b| a + b).unwrap_or(0)
}

pub(crate) fn tree() -> u64 {
    visit_all(jobs::mix(TREE_SEED), ROOT_CHILDREN)
}

fn visit(node: u64) -> u64 {
    visit_all(node, jobs::children(node))
}

fn visit_all(node: u64, children: usize) -> u64 {
    let visit_child = |at| visit(jobs::child(node, at));
    1 + corepool::map_reduce(0..children, visit_child, |a, b| a + b).unwrap_or(0)
}

pub(crate) fn sort(numbers: &mut [i32]) {
    if numbers.len() <= FEW {
        return jobs::sort_few(numbers);
    }
    let (before, after) = jobs::divide(numbers);
    corepool::join(|| sort(before), || sort(after));
}

pub(crate) fn uneven_loop() -> u64 {
    let results = corepool::map(0..ITEMS, jobs::item);
    results.iter().fold(0, |sum, result| sum.wrapping_add(*result))
}
