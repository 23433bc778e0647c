//! No pool: the standard library's iterators.

#![forbid(unsafe_code)]

use super::{Item, Slices};

pub(super) struct Plain;

impl Slices for Plain {
    fn map(&self, items: &[Item], f: impl Fn(&Item) -> u64 + Copy + Send + Sync) -> Vec<u64> {
        items.iter().map(f).collect()
    }

    fn for_each_mut(&self, items: &mut [Item], f: impl Fn(&mut Item) + Copy + Send + Sync) {
        items.iter_mut().for_each(f);
    }
}
