//! Compresses a file in blocks, all cores at once, and writes the blocks in order.
//!
//! ```text
//! cargo run --release --example tiny_gzip FROM TO
//! ```
//!
//! `map_ordered` does the parallel part: it reads a few blocks ahead, compresses each in a task,
//! and returns them in their order, so memory stays small however long the file is. A gzip file may
//! consist of several members; here each block is one, with fixed Huffman codes and the first match
//! that a small table finds. `programs/compress` is the program to use.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, iter};

use corepool::WorkerPool;

const USAGE: &str = "\
usage: tiny_gzip FROM TO

Compresses the file FROM to the new file TO, which gunzip reads, and says how long that took.
";
const BLOCK: usize = 128 << 10;
/// Blocks in flight for each worker.
const AHEAD: usize = 4;
/// What fixed codes can express; 258 has a code of its own, which is left out.
const LENGTHS: std::ops::RangeInclusive<usize> = 4..=257;
const FARTHEST: usize = 32 << 10;
const END: u32 = 256;

fn main() -> ExitCode {
    let words: Vec<_> = env::args_os().skip(1).collect();
    let result = match &words[..] {
        [word] if word == "-h" || word == "--help" => Ok(USAGE.to_owned()),
        [from, to] => compress(Path::new(from), Path::new(to)),
        _ => Err("wants two files, FROM and TO (try --help)".into()),
    };
    match result {
        Ok(text) => {
            // A reader that closes the pipe early has read enough.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("tiny_gzip: {why}");
            ExitCode::FAILURE
        }
    }
}

fn compress(from: &Path, to: &Path) -> Result<String, Box<dyn Error>> {
    let mut input = File::open(from).map_err(|why| format!("{}: {why}", from.display()))?;
    let mut output = File::create_new(to).map_err(|why| format!("{}: {why}", to.display()))?;
    let pool = WorkerPool::new()?;
    let (start, mut packed) = (Instant::now(), 0);
    let blocks = iter::from_fn(|| next_block(&mut input).transpose());
    let members = pool.map_ordered(blocks, AHEAD * pool.worker_count(), |block: io::Result<_>| {
        block.map(|block: Vec<u8>| member(&block))
    });
    for bytes in members {
        // The task may have failed, or the reading.
        let bytes = bytes??;
        output.write_all(&bytes)?;
        packed += bytes.len();
    }
    if packed == 0 {
        // Of an empty file, too, there is one member.
        let bytes = member(&[]);
        output.write_all(&bytes)?;
        packed = bytes.len();
    }
    let (time, workers) = (start.elapsed(), pool.worker_count());
    Ok(format!("{} bytes to {packed} on {workers} workers: {time:.1?}\n", from.metadata()?.len()))
}

/// The next block, or nothing at the end of the file.
fn next_block(input: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut block = Vec::with_capacity(BLOCK);
    input.take(BLOCK as u64).read_to_end(&mut block)?;
    Ok((!block.is_empty()).then_some(block))
}

/// A whole gzip member: a header, the compressed block, its check sum and its length.
fn member(block: &[u8]) -> Vec<u8> {
    let header = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut bits = Bits { bytes: header, held: 0, count: 0 };
    // The only block of its stream, with fixed codes.
    bits.put(0b011, 3);
    let (mut seen, mut at) = (vec![0; 1 << 14], 0);
    while at < block.len() {
        match find(block, at, &mut seen) {
            Some((length, distance)) => {
                bits.copy(length, distance);
                at += length;
            }
            None => {
                bits.symbol(block[at].into());
                at += 1;
            }
        }
    }
    bits.symbol(END);
    bits.put(0, 7);
    bits.bytes.extend(crc32(block).to_le_bytes());
    bits.bytes.extend((block.len() as u32).to_le_bytes());
    bits.bytes
}

/// The length and the distance of an earlier copy of what follows. `seen` has the end of the last
/// four bytes with each hash.
fn find(block: &[u8], at: usize, seen: &mut [usize]) -> Option<(usize, usize)> {
    let four = u32::from_le_bytes(*block[at..].first_chunk()?);
    let hash = four.wrapping_mul(0x9e37_79b1) >> 18;
    let before = std::mem::replace(&mut seen[hash as usize], at + 4).checked_sub(4)?;
    let pairs = block[before..].iter().zip(&block[at..]).take(*LENGTHS.end());
    let length = pairs.take_while(|(old, new)| old == new).count();
    let is_useful = LENGTHS.contains(&length) && at - before <= FARTHEST;
    is_useful.then_some((length, at - before))
}

/// Bits that become bytes, the lowest bit first.
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, bits: u32, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// A Huffman code, whose highest bit comes first.
    fn code(&mut self, code: u32, count: u32) {
        self.put(code.reverse_bits() >> (32 - count), count);
    }

    /// A byte, the end, or the class of a length.
    fn symbol(&mut self, symbol: u32) {
        match symbol {
            0..=143 => self.code(0x30 + symbol, 8),
            144..=255 => self.code(0x190 + symbol - 144, 9),
            END..=279 => self.code(symbol - END, 7),
            _ => self.code(0xc0 + symbol - 280, 8),
        }
    }

    /// A copy of earlier bytes.
    fn copy(&mut self, length: usize, distance: usize) {
        let (class, extra, count) = class(length as u32 - 3, 2);
        self.symbol(END + 1 + class);
        self.put(extra, count);
        let (class, extra, count) = self::class(distance as u32 - 1, 1);
        self.code(class, 5);
        self.put(extra, count);
    }
}

/// Deflate has few codes for lengths and distances: a class, `1 << fine` of them for each power of
/// two, and the bits that tell its members apart.
fn class(value: u32, fine: u32) -> (u32, u32, u32) {
    let count = value.max(1).ilog2().saturating_sub(fine);
    ((count << fine) + (value >> count), value & ((1 << count) - 1), count)
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), bit))
}
