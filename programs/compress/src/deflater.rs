//! A worker's compressor.
#![forbid(unsafe_code)]

use zlib_rs::crc32::crc32;
use zlib_rs::{Deflate, DeflateFlush};

use crate::blocks::{Block, Place};
use crate::quick::Quick;

/// The largest window. (The zlib header is turned off in `Deflate::new`.)
const WINDOW_BITS: u8 = 15;

/// Kept by a worker from block to block.
pub(crate) enum Deflater {
    /// For level 1. Its tables take some hundred KiB.
    Quick(Box<Quick>),
    /// For the other levels, with zlib-rs's level. Each block gets a new `Deflate`, because a block
    /// must compress to the same bytes on every worker. In zlib-rs 0.6.8, a `Deflate` that was used
    /// before and then `reset` packs one block in ten to different bytes than a new one. A new one
    /// per block costs 8 % at level 8, and up to 2 % below.
    Thorough(i32),
}

impl Deflater {
    pub(crate) fn new(level: u8) -> Self {
        match level {
            1 => Self::Quick(Box::new(Quick::new())),
            _ => Self::Thorough(effort(level)),
        }
    }

    /// Compresses one block and computes its checksum.
    pub(crate) fn squeeze(&mut self, block: &mut Block) {
        let mut packed = std::mem::take(&mut block.packed);
        block.packed_length = match self {
            Self::Quick(quick) => {
                let (buffer, start) = block.with_dictionary();
                quick.compress(buffer, start, block.place, &mut packed)
            }
            Self::Thorough(effort) => squeeze(*effort, block, &mut packed),
        };
        block.packed = packed;
        block.sum = crc32(0, block.data());
    }
}

/// Returns the number of bytes in `packed`, which grows if necessary.
fn squeeze(effort: i32, block: &Block, packed: &mut Vec<u8>) -> usize {
    let flush = match block.place {
        Place::Within => DeflateFlush::SyncFlush,
        Place::Last => DeflateFlush::Finish,
    };
    let mut deflate = Deflate::new(effort, false, WINDOW_BITS);
    if !block.dictionary().is_empty() {
        deflate.set_dictionary(block.dictionary()).expect("a fresh stream takes one");
    }
    let data = block.data();
    if packed.len() < most(data.len()) {
        packed.resize(most(data.len()), 0);
    }
    loop {
        let (taken, made) = (deflate.total_in() as usize, deflate.total_out() as usize);
        deflate.compress(&data[taken..], &mut packed[made..], flush).expect("the stream is sound");
        let made = deflate.total_out() as usize;
        if made < packed.len() {
            return made;
        }
        packed.resize(packed.len() * 2, 0);
    }
}

/// Enough room for incompressible data.
fn most(length: usize) -> usize {
    length + length / 256 + 1024
}

/// The zlib-rs level for a gzip level. On much of the data we tried, zlib-rs's level 9 makes larger
/// output than its level 8, and a user who says `-9` wants the smallest.
fn effort(level: u8) -> i32 {
    i32::from(level.min(8))
}
