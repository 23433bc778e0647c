//! The text to compress: words from a generator that produces the same bytes here and in text.js.

#![forbid(unsafe_code)]

const SEED: u32 = 0x9e37_79b9;
const LINE: usize = 80;

/// Generates this many bytes of text.
pub(crate) fn text(length: usize) -> Vec<u8> {
    let words: Vec<&str> = include_str!("words.txt").split_whitespace().collect();
    // A word may extend beyond the end before it is cut off.
    let mut text = Vec::with_capacity(length + LINE);
    let mut random = SEED;
    let mut column = 0;
    while text.len() < length {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let before = text.len();
        put_word(&mut text, &words, random);
        column += text.len() - before + 1;
        let ends = column >= LINE;
        text.push(if ends { b'\n' } else { b' ' });
        if ends {
            column = 0;
        }
    }
    text.truncate(length);
    text
}

/// Appends a word, with the first ones more often, or now and then a number, as in human text.
fn put_word(text: &mut Vec<u8>, words: &[&str], random: u32) {
    let (high, low) = (random >> 16, random & 0xffff);
    if low < 0x0800 {
        text.extend_from_slice(high.to_string().as_bytes());
    } else {
        let skewed = (u64::from(low) * u64::from(high)) >> 16;
        let place = (skewed * words.len() as u64) >> 16;
        text.extend_from_slice(words[place as usize].as_bytes());
    }
}

/// FNV-1a, to check that both sides compress the same text.
pub(crate) fn checksum(text: &[u8]) -> u32 {
    text.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
