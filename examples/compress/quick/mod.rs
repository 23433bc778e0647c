//! Deflate for speed: what `-1` uses, for zlib-rs is either faster and much larger there, or as
//! large and too slow.
//!
//! Greedy: the last place that began with the same four bytes is taken, and no better one is looked
//! for. Every stretch of the input gets Huffman codes of its own (RFC 1951). `matches.rs` finds
//! what repeats, `codes.rs` makes the codes, `stretch.rs` writes a stretch with them, and `bits.rs`
//! packs bits into bytes.
#![forbid(unsafe_code)]

mod bits;
mod codes;
mod matches;
mod stretch;

use bits::Bits;
use matches::Matches;
use stretch::Stretch;

use crate::blocks::Place;

/// Bytes that share their codes: fewer fit them better, and pay for more tables of codes.
const STRETCH: usize = 64 << 10;

/// Kept from block to block for its tables.
pub(crate) struct Quick {
    matches: Matches,
    stretch: Stretch,
}

impl Quick {
    pub(crate) fn new() -> Self {
        Self { matches: Matches::new(), stretch: Stretch::default() }
    }

    /// Compresses what stands in the buffer from `start` on; what is before may be referred to. The
    /// result ends at a whole byte. Gives its length in `packed`, which grows if it has to.
    pub(crate) fn compress(
        &mut self,
        buffer: &[u8],
        start: usize,
        place: Place,
        packed: &mut Vec<u8>,
    ) -> usize {
        let mut bits = Bits::new(packed);
        self.matches.begin(buffer, start);
        let mut at = start;
        loop {
            let end = buffer.len().min(at + STRETCH);
            let is_last = end == buffer.len() && place == Place::Last;
            if at < end || is_last {
                self.stretch.clear();
                self.matches.find(buffer, at, end, &mut self.stretch);
                self.stretch.write(&buffer[at..end], is_last, &mut bits);
            }
            at = end;
            if end == buffer.len() {
                break;
            }
        }
        match place {
            // An empty stored block, which brings the next block to a whole byte.
            Place::Within => bits.stored(&[], false),
            Place::Last => bits.fill_byte(),
        }
        bits.length()
    }
}
