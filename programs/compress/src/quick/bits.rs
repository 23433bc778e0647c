//! Packs bits into bytes, lowest bit first.
#![forbid(unsafe_code)]

pub(super) struct Bits<'a> {
    bytes: &'a mut Vec<u8>,
    /// The number of complete bytes in `bytes`. What follows them is spare room.
    length: usize,
    /// Bits that are not yet in `bytes`: the lowest `count` bits.
    waiting: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, length: 0, waiting: 0, count: 0 }
    }

    /// Makes room for this many bits, plus the word that is written after them.
    pub(super) fn reserve(&mut self, bits: u64) {
        let needed = self.length + (bits / 8) as usize + 32;
        if self.bytes.len() < needed {
            self.bytes.resize(needed, 0);
        }
    }

    /// Adds bits without checks. The caller must flush before more than 64 bits wait, and must have
    /// reserved room.
    #[inline(always)]
    pub(super) fn add(&mut self, bits: u64, count: u32) {
        self.waiting |= bits << self.count;
        self.count += count;
    }

    /// Writes the waiting bits. Afterwards fewer than eight bits wait.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        self.bytes[self.length..self.length + 8].copy_from_slice(&self.waiting.to_le_bytes());
        let whole = self.count / 8;
        self.length += whole as usize;
        // Two shifts, because a single shift by all 64 bits is not allowed.
        self.waiting = self.waiting >> (whole * 4) >> (whole * 4);
        self.count %= 8;
    }

    pub(super) fn fill_byte(&mut self) {
        self.reserve(8);
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Stores the bytes uncompressed, in as many blocks as necessary.
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

    /// The number of complete bytes so far.
    pub(super) fn length(&self) -> usize {
        self.length
    }
}
