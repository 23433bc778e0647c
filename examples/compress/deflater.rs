//! One worker's compressor.
#![forbid(unsafe_code)]

use zlib_rs::crc32::crc32;
use zlib_rs::{Deflate, DeflateFlush};

use crate::blocks::{Block, Place};
use crate::quick::Quick;

/// Without zlib's header and with the largest window.
const WINDOW_BITS: u8 = 15;

/// Kept by a worker from block to block.
pub(crate) enum Deflater {
    /// For level 1. Its tables are some hundred KiB.
    Quick(Box<Quick>),
    /// The effort: each block has a `Deflate` of its own. A block has to come out as the same bytes
    /// whichever worker has it, but in zlib-rs 0.6.8 one that was used before, and `reset`, packs
    /// one block in ten to other bytes than a fresh one. A fresh one for each block costs 8 % at
    /// level 8, and up to 2 % below.
    Thorough(i32),
}

impl Deflater {
    pub(crate) fn new(level: u8) -> Self {
        match level {
            1 => Self::Quick(Box::new(Quick::new())),
            _ => Self::Thorough(effort(level)),
        }
    }

    /// Compresses and sums one block.
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

/// Gives the number of bytes in `packed`, which grows if it has to.
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

/// Room for data that can't be compressed.
fn most(length: usize) -> usize {
    length + length / 256 + 1024
}

/// The effort of zlib-rs that answers a level of gzip. Its 9 makes larger output than its 8 from
/// much of what we tried, and whoever says `-9` wants the smallest.
fn effort(level: u8) -> i32 {
    i32::from(level.min(8))
}
