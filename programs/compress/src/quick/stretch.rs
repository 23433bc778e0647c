//! A stretch of the input (the bytes that share one set of codes), as literals and matches: counts
//! them while they are noted, and writes the complete stretch.
#![forbid(unsafe_code)]

use super::bits::Bits;
use super::codes::{Code, codes, lengths};

const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const END: usize = 256;
const LONGEST_CODE: usize = 15;
/// The order in which the lengths of the codes for lengths are written.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Literals, then a match.
#[derive(Clone, Copy)]
struct Step {
    literals: u32,
    /// The match length minus three, the shortest possible length.
    length: u8,
    distance: u16,
    distance_symbol: u8,
}

pub(super) struct Stretch {
    steps: Vec<Step>,
    literal_counts: [u32; LITERALS],
    distance_counts: [u32; DISTANCES],
}

impl Default for Stretch {
    fn default() -> Self {
        Self { steps: Vec::new(), literal_counts: [0; LITERALS], distance_counts: [0; DISTANCES] }
    }
}

impl Stretch {
    pub(super) fn clear(&mut self) {
        self.steps.clear();
        self.literal_counts = [0; LITERALS];
        self.distance_counts = [0; DISTANCES];
    }

    /// Notes literals, then a match of this length at this distance back.
    #[inline(always)]
    pub(super) fn note(&mut self, literals: &[u8], length: usize, distance: usize) {
        self.note_rest(literals);
        let length = (length - 3) as u8;
        let distance_symbol = distance_symbol(distance);
        self.literal_counts[usize::from(LENGTH_SYMBOLS[usize::from(length)])] += 1;
        self.distance_counts[usize::from(distance_symbol)] += 1;
        let (literals, distance) = (literals.len() as u32, distance as u16);
        self.steps.push(Step { literals, length, distance, distance_symbol });
    }

    /// Notes the bytes after the last match.
    #[inline(always)]
    pub(super) fn note_rest(&mut self, literals: &[u8]) {
        for &literal in literals {
            self.literal_counts[usize::from(literal)] += 1;
        }
    }

    /// Writes the stretch in the shortest of the three possible ways.
    pub(super) fn write(&mut self, bytes: &[u8], is_last: bool, bits: &mut Bits<'_>) {
        self.literal_counts[END] += 1;
        let literal_lengths = lengths(&self.literal_counts, LONGEST_CODE);
        let distance_lengths = lengths(&self.distance_counts, LONGEST_CODE);
        let table = Table::new(&literal_lengths, &distance_lengths);
        let own = table.cost() + self.cost(&literal_lengths, &distance_lengths);
        let fixed = self.cost(&FIXED_LITERALS, &[5; DISTANCES]);
        let stored = 8 * bytes.len() as u64 + 64;
        if stored < own.min(fixed) {
            return bits.stored(bytes, is_last);
        }
        bits.reserve(own.min(fixed) + 8);
        bits.add(u64::from(is_last), 1);
        if fixed <= own {
            bits.add(1, 2);
            let mut all = [8; 288];
            all[..LITERALS].copy_from_slice(&FIXED_LITERALS);
            let all = codes(&all);
            let literals: [Code; LITERALS] = std::array::from_fn(|symbol| all[symbol]);
            return self.write_steps(bytes, &literals, &codes(&[5; DISTANCES]), bits);
        }
        bits.add(2, 2);
        table.write(bits);
        self.write_steps(bytes, &codes(&literal_lengths), &codes(&distance_lengths), bits);
    }

    /// The cost in bits with codes of these lengths.
    fn cost(&self, literals: &[u8; LITERALS], distances: &[u8; DISTANCES]) -> u64 {
        let sum = |counts: &[u32], lengths: &[u8], extra: &dyn Fn(usize) -> u32| -> u64 {
            let each = counts.iter().zip(lengths).enumerate();
            each.map(|(symbol, (count, length))| {
                u64::from(*count) * u64::from(u32::from(*length) + extra(symbol))
            })
            .sum()
        };
        sum(&self.literal_counts, literals, &length_extra)
            + sum(&self.distance_counts, distances, &distance_extra)
    }

    fn write_steps(
        &self,
        bytes: &[u8],
        literals: &[Code; LITERALS],
        distances: &[Code; DISTANCES],
        bits: &mut Bits<'_>,
    ) {
        let literal = |bits: &mut Bits<'_>, byte: u8| {
            let code = literals[usize::from(byte)];
            bits.add(u64::from(code.bits), u32::from(code.length));
        };
        let run = |bits: &mut Bits<'_>, run: &[u8]| {
            // After a flush, three codes of the greatest length fit next to the waiting bits.
            let threes = run.chunks_exact(3);
            let rest = threes.remainder();
            for three in threes {
                bits.flush();
                literal(bits, three[0]);
                literal(bits, three[1]);
                literal(bits, three[2]);
            }
            bits.flush();
            rest.iter().for_each(|byte| literal(bits, *byte));
            bits.flush();
        };
        let length_codes = length_codes(literals);
        bits.flush();
        let mut at = 0;
        for step in &self.steps {
            let end = at + step.literals as usize;
            run(bits, &bytes[at..end]);
            let (code, count) = length_codes[usize::from(step.length)];
            bits.add(u64::from(code), u32::from(count));
            let symbol = usize::from(step.distance_symbol);
            let code = distances[symbol];
            bits.add(u64::from(code.bits), u32::from(code.length));
            let beyond = step.distance.wrapping_sub(DISTANCE_BASES[symbol]);
            bits.add(u64::from(beyond), distance_extra(symbol));
            bits.flush();
            at = end + usize::from(step.length) + 3;
        }
        run(bits, &bytes[at..]);
        let end = literals[END];
        bits.add(u64::from(end.bits), u32::from(end.length));
        bits.flush();
    }
}

/// Code and extra bits in one, for each match length.
fn length_codes(literals: &[Code; LITERALS]) -> [(u32, u8); 256] {
    std::array::from_fn(|length| {
        let symbol = usize::from(LENGTH_SYMBOLS[length]);
        let code = literals[symbol];
        let beyond = length as u32 - u32::from(LENGTH_BASES[symbol - END - 1]);
        let bits = u32::from(code.bits) | beyond << code.length;
        (bits, code.length + length_extra(symbol) as u8)
    })
}

/// The lengths of a stretch's own codes, as they are written before it: run-length encoded, with a
/// separate set of codes.
struct Table {
    literals: usize,
    distances: usize,
    /// A symbol, and the value of its extra bits.
    runs: Vec<(usize, u8)>,
    lengths: [u8; 19],
    used: usize,
}

impl Table {
    fn new(literals: &[u8; LITERALS], distances: &[u8; DISTANCES]) -> Self {
        let until = |lengths: &[u8], least: usize| {
            lengths.iter().rposition(|length| *length > 0).map_or(least, |last| least.max(last + 1))
        };
        let (literal_end, distance_end) = (until(literals, 257), until(distances, 1));
        let all = [&literals[..literal_end], &distances[..distance_end]].concat();
        let runs = runs(&all);
        let mut counts = [0; 19];
        runs.iter().for_each(|(symbol, _)| counts[*symbol] += 1);
        let lengths = lengths(&counts, 7);
        let used = ORDER.iter().rposition(|&symbol| lengths[symbol] > 0).map_or(4, |at| at + 1);
        Self { literals: literal_end, distances: distance_end, runs, lengths, used: used.max(4) }
    }

    fn cost(&self) -> u64 {
        let each =
            |(symbol, _): &(usize, u8)| u64::from(self.lengths[*symbol]) + run_extra(*symbol);
        14 + 3 * self.used as u64 + self.runs.iter().map(each).sum::<u64>()
    }

    fn write(&self, bits: &mut Bits<'_>) {
        bits.add(self.literals as u64 - 257, 5);
        bits.add(self.distances as u64 - 1, 5);
        bits.add(self.used as u64 - 4, 4);
        bits.flush();
        for symbol in &ORDER[..self.used] {
            bits.add(u64::from(self.lengths[*symbol]), 3);
            bits.flush();
        }
        let codes = codes(&self.lengths);
        for (symbol, extra) in &self.runs {
            let code = codes[*symbol];
            bits.add(u64::from(code.bits), u32::from(code.length));
            bits.add(u64::from(*extra), run_extra(*symbol) as u32);
            bits.flush();
        }
    }
}

/// Symbol 16 repeats the previous length 3 to 6 times. Symbols 17 and 18 are 3 to 10 and 11 to 138
/// zeros.
fn runs(lengths: &[u8]) -> Vec<(usize, u8)> {
    let mut runs = Vec::new();
    for same in lengths.chunk_by(|a, b| a == b) {
        let mut left = same.len();
        let symbol = usize::from(same[0]);
        if symbol != 0 {
            runs.push((symbol, 0));
            left -= 1;
        }
        while left >= 3 {
            let (name, least, most) = match (symbol, left) {
                (0, 11..) => (18, 11, 138),
                (0, _) => (17, 3, 10),
                _ => (16, 3, 6),
            };
            let now = left.min(most);
            runs.push((name, (now - least) as u8));
            left -= now;
        }
        runs.extend(std::iter::repeat_n((symbol, 0), left));
    }
    runs
}

fn run_extra(symbol: usize) -> u64 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

fn length_extra(symbol: usize) -> u32 {
    match symbol {
        265..285 => (symbol as u32 - 261) / 4,
        _ => 0,
    }
}

#[inline(always)]
fn distance_extra(symbol: usize) -> u32 {
    (symbol as u32 / 2).saturating_sub(1)
}

/// Computed from the two highest bits of the distance.
#[inline(always)]
fn distance_symbol(distance: usize) -> u8 {
    let less = distance as u32 - 1;
    if less < 4 {
        return less as u8;
    }
    let high = 31 - less.leading_zeros();
    (2 * high + (less >> (high - 1) & 1)) as u8
}

const FIXED_LITERALS: [u8; LITERALS] = {
    let mut lengths = [8; LITERALS];
    let mut symbol = 144;
    while symbol < 280 {
        lengths[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    lengths
};

/// The shortest match of each symbol from 257 on, minus three.
const LENGTH_BASES: [u8; 29] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128,
    160, 192, 224, 255,
];

/// The symbol of each match length, indexed by the length minus three.
const LENGTH_SYMBOLS: [u16; 256] = {
    let mut symbols = [0; 256];
    let mut length = 0;
    let mut symbol = 0;
    while length < 256 {
        while symbol + 1 < LENGTH_BASES.len() && LENGTH_BASES[symbol + 1] as usize <= length {
            symbol += 1;
        }
        symbols[length] = 257 + symbol as u16;
        length += 1;
    }
    symbols
};

/// The shortest distance of each symbol.
const DISTANCE_BASES: [u16; DISTANCES] = {
    let mut bases = [1; DISTANCES];
    let mut symbol = 1;
    while symbol < DISTANCES {
        let extra = if symbol < 3 { 0 } else { (symbol - 1) / 2 - 1 };
        bases[symbol] = bases[symbol - 1] + (1 << extra);
        symbol += 1;
    }
    bases
};
