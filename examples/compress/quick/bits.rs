//! Bits into bytes, the lowest first.
#![forbid(unsafe_code)]

pub(super) struct Bits<'a> {
    bytes: &'a mut Vec<u8>,
    /// Whole bytes in `bytes`; what is behind them is room.
    length: usize,
    /// Not yet in `bytes`: the lowest `count`.
    waiting: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, length: 0, waiting: 0, count: 0 }
    }

    /// Makes room for so many bits, and the word that is written at the end of them.
    pub(super) fn reserve(&mut self, bits: u64) {
        let needed = self.length + (bits / 8) as usize + 32;
        if self.bytes.len() < needed {
            self.bytes.resize(needed, 0);
        }
    }

    /// Adds bits without looking: `flush` comes before there are more than 64 in all, and there is
    /// room.
    #[inline(always)]
    pub(super) fn add(&mut self, bits: u64, count: u32) {
        self.waiting |= bits << self.count;
        self.count += count;
    }

    /// Afterwards less than eight bits wait.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        self.bytes[self.length..self.length + 8].copy_from_slice(&self.waiting.to_le_bytes());
        let whole = self.count / 8;
        self.length += whole as usize;
        // Two shifts, for one by all 64 bits is none.
        self.waiting = self.waiting >> (whole * 4) >> (whole * 4);
        self.count %= 8;
    }

    pub(super) fn fill_byte(&mut self) {
        self.reserve(8);
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Bytes as they are, as many blocks as it takes.
    pub(super) fn stored(&mut self, bytes: &[u8], is_last: bool) {
        let mut left = bytes;
        loop {
            let (now, rest) = left.split_at(left.len().min(usize::from(u16::MAX)));
            self.reserve(64 + 8 * now.len() as u64);
            self.add(u64::from(is_last && rest.is_empty()), 3);
            self.fill_byte();
            let length = now.len() as u16;
            self.add(u64::from(length), 16);
            self.add(u64::from(!length), 16);
            self.flush();
            self.bytes[self.length..self.length + now.len()].copy_from_slice(now);
            self.length += now.len();
            left = rest;
            if left.is_empty() {
                return;
            }
        }
    }

    /// Bytes so far; only whole ones count.
    pub(super) fn length(&self) -> usize {
        self.length
    }
}
