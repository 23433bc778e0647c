//! The jobs as plain calls on one thread.

use crate::jobs::{self, Board, FEW, FIB, ITEMS, QUEENS, ROOT_CHILDREN, TREE_SEED};

pub(crate) fn fib() -> u64 {
    // Hidden from the compiler, which could compute it beforehand.
    fib_of(std::hint::black_box(FIB))
}

fn fib_of(n: u64) -> u64 {
    if n < 2 { n } else { fib_of(n - 1) + fib_of(n - 2) }
}

pub(crate) fn queens() -> u64 {
    queens_from(&mut Board::empty(), 0)
}

fn queens_from(board: &mut Board, row: usize) -> u64 {
    if row == QUEENS {
        return 1;
    }
    let mut count = 0;
    for column in 0..QUEENS {
        if board.allows(row, column) {
            board.place(row, column);
            count += queens_from(board, row + 1);
        }
    }
    count
}

pub(crate) fn tree() -> u64 {
    let root = jobs::mix(TREE_SEED);
    1 + (0..ROOT_CHILDREN).map(|at| visit(jobs::child(root, at))).sum::<u64>()
}

fn visit(node: u64) -> u64 {
    1 + (0..jobs::children(node)).map(|at| visit(jobs::child(node, at))).sum::<u64>()
}

pub(crate) fn sort(numbers: &mut [i32]) {
    if numbers.len() <= FEW {
        return jobs::sort_few(numbers);
    }
    let (before, after) = jobs::divide(numbers);
    sort(before);
    sort(after);
}

pub(crate) fn uneven_loop() -> u64 {
    let results: Vec<u64> = (0..ITEMS).map(jobs::item).collect();
    results.iter().fold(0, |sum, result| sum.wrapping_add(*result))
}
