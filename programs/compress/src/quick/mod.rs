//! Deflate for speed, used by `-1`. For this, zlib-rs is either faster with much larger output, or
//! makes output as large but is too slow.
//!
//! The search is greedy: it takes the last place that began with the same four bytes, and does not
//! look for a better one. Every stretch of the input gets its own Huffman codes (RFC 1951).
//! `matches.rs` finds the repetitions, `codes.rs` computes the codes, `stretch.rs` writes a stretch
//! with them, and `bits.rs` packs bits into bytes.
#![forbid(unsafe_code)]

mod bits;
mod codes;
mod matches;
mod stretch;

use bits::Bits;
use matches::Matches;
use stretch::Stretch;

use crate::blocks::Place;

/// Bytes that share one set of codes. With a smaller stretch the codes fit better, but more code
/// tables are written.
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

    /// Compresses the buffer from `start` on. Matches may refer to the bytes before `start`. The
    /// result ends at a byte boundary. Returns its length in `packed`, which grows if necessary.
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
            // An empty stored block, so that the next block starts at a byte boundary.
            Place::Within => bits.stored(&[], false),
            Place::Last => bits.fill_byte(),
        }
        bits.length()
    }
}
