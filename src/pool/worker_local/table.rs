//! A table that grows without moving its contents: rows, each twice as long as the previous one.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

/// Enough for `u32::MAX` places.
const ROWS: usize = 32;

/// A place for each number from zero. A row is allocated when its first place is needed.
pub(super) struct Table<P> {
    rows: [OnceLock<Box<[P]>>; ROWS],
}

impl<P: Default> Table<P> {
    pub(super) fn new() -> Self {
        Self { rows: [const { OnceLock::new() }; ROWS] }
    }

    #[inline]
    pub(super) fn get(&self, number: usize) -> &P {
        let (row, at) = position(number);
        &self.rows[row].get_or_init(|| make_row(row))[at]
    }

    /// All places that were allocated, used or not.
    pub(super) fn iter(&self) -> impl Iterator<Item = &P> {
        self.rows.iter().filter_map(OnceLock::get).flat_map(|row| row.iter())
    }
}

#[cold]
fn make_row<P: Default>(row: usize) -> Box<[P]> {
    (0..1_usize << row).map(|_| P::default()).collect()
}

/// The row and the index in it. Row 0 holds number 0, row 1 holds 1 and 2, row 2 holds 3 to 6.
#[inline]
fn position(number: usize) -> (usize, usize) {
    let row = (number + 1).ilog2() as usize;
    (row, number + 1 - (1 << row))
}

#[cfg(test)]
mod tests {
    use super::{Table, position};

    #[test]
    fn rows_are_filled_one_after_another() {
        let positions: Vec<_> = (0..7).map(position).collect();
        assert_eq!(positions, [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3)]);
    }

    #[test]
    fn each_number_has_a_place_of_its_own_that_stays() {
        let table = Table::<u8>::new();
        assert_eq!(table.iter().count(), 0);
        let places: Vec<_> = (0..100).map(|number| std::ptr::from_ref(table.get(number))).collect();
        assert_eq!(table.iter().count(), 127);
        for (number, place) in places.iter().enumerate() {
            assert_eq!(*place, std::ptr::from_ref(table.get(number)));
            assert_eq!(places.iter().filter(|other| *other == place).count(), 1);
        }
    }
}
