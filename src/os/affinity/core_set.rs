//! A set of cores that is small enough for a thread-local without a destructor.
#![forbid(unsafe_code)]

const WORDS: usize = 16;
/// The set holds the cores below this number, like a kernel mask. Others are left out.
const END: usize = WORDS * u64::BITS as usize;

/// Some cores of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CoreSet {
    words: [u64; WORDS],
}

impl CoreSet {
    pub(super) fn of(cores: &[usize]) -> Self {
        let mut words = [0; WORDS];
        for core in cores.iter().filter(|&&core| core < END) {
            words[core / 64] |= 1 << (core % 64);
        }
        Self { words }
    }

    /// The cores in ascending order.
    pub(super) fn to_vec(self) -> Vec<usize> {
        (0..END).filter(|core| self.words[core / 64] >> (core % 64) & 1 != 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{CoreSet, END};

    #[test]
    fn what_is_put_in_comes_out_in_order() {
        assert_eq!(CoreSet::of(&[900, 1, 63, 64, 1]).to_vec(), [1, 63, 64, 900]);
        assert_eq!(CoreSet::of(&[]).to_vec(), [0; 0]);
        assert_eq!(CoreSet::of(&[END, usize::MAX, END - 1]).to_vec(), [END - 1]);
    }
}
