//! The jobs whose parts are many, with a scope for each node and a closure for each child.

use crate::jobs::{self, Board, CHILDREN, QUEENS, ROOT_CHILDREN, TREE_SEED};

pub(crate) fn queens() -> u64 {
    queens_from(Board::empty(), 0)
}

fn queens_from(board: Board, row: usize) -> u64 {
    if row == QUEENS {
        return 1;
    }
    let mut counts = [0; QUEENS];
    corepool::scope(|scope| {
        for (column, count) in counts.iter_mut().enumerate() {
            if board.allows(row, column) {
                scope.spawn(move || *count = queens_from(board.with(row, column), row + 1));
            }
        }
    });
    counts.iter().sum()
}

pub(crate) fn tree() -> u64 {
    visit_all(jobs::mix(TREE_SEED), &mut [0; ROOT_CHILDREN])
}

fn visit(node: u64) -> u64 {
    match jobs::children(node) {
        0 => 1,
        _ => visit_all(node, &mut [0; CHILDREN]),
    }
}

fn visit_all(node: u64, counts: &mut [u64]) -> u64 {
    corepool::scope(|scope| {
        for (at, count) in counts.iter_mut().enumerate() {
            scope.spawn(move || *count = visit(jobs::child(node, at)));
        }
    });
    1 + counts.iter().sum::<u64>()
}
