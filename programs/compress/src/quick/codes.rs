//! Huffman codes: computes the lengths from the counts, and the codes from the lengths.
#![forbid(unsafe_code)]

/// A symbol's code, with its first bit lowest.
#[derive(Clone, Copy, Default)]
pub(super) struct Code {
    pub(super) bits: u16,
    pub(super) length: u8,
}

/// The best lengths for these counts, none above `longest`. At least two symbols get a code,
/// because not every decoder accepts fewer.
pub(super) fn lengths<const N: usize>(counts: &[u32; N], longest: usize) -> [u8; N] {
    let mut used: Vec<(u32, usize)> = (0..N)
        .filter(|&symbol| counts[symbol] > 0)
        .map(|symbol| (counts[symbol], symbol))
        .collect();
    let unused = (0..N).filter(|&symbol| counts[symbol] == 0);
    let wanting = 2_usize.saturating_sub(used.len());
    used.extend(unused.take(wanting).map(|symbol| (1, symbol)));
    used.sort_unstable();
    let mut weights: Vec<usize> = used.iter().map(|(count, _)| *count as usize).collect();
    depths(&mut weights);
    let mut of_length = [0; 16];
    for depth in weights {
        of_length[depth.min(longest)] += 1;
    }
    shorten(&mut of_length, longest);
    let mut lengths = [0; N];
    let mut symbols = used.iter().rev().map(|(_, symbol)| *symbol);
    for (length, &count) in of_length.iter().enumerate() {
        for symbol in symbols.by_ref().take(count) {
            lengths[symbol] = length as u8;
        }
    }
    lengths
}

/// Turns weights in rising order into depths in the best tree, in place (Moffat and Katajainen).
fn depths(weights: &mut [usize]) {
    let count = weights.len();
    let (mut leaf, mut root) = (0, 0);
    // First each place holds the weight of an inner node. When that node gets a parent, the place
    // holds the parent's index instead.
    for next in 0..count - 1 {
        let mut sum = 0;
        for _ in 0..2 {
            if leaf >= count || root < next && weights[root] < weights[leaf] {
                sum += weights[root];
                weights[root] = next;
                root += 1;
            } else {
                sum += weights[leaf];
                leaf += 1;
            }
        }
        weights[next] = sum;
    }
    weights[count - 2] = 0;
    for next in (0..count - 2).rev() {
        weights[next] = weights[weights[next]] + 1;
    }
    // Then turn the inner nodes' depths into the leaves' depths, deepest first.
    let (mut free, mut depth, mut inner, mut next) = (1, 0, count - 1, count);
    while free > 0 {
        let mut nodes = 0;
        while inner > 0 && weights[inner - 1] == depth {
            nodes += 1;
            inner -= 1;
        }
        for _ in nodes..free {
            next -= 1;
            weights[next] = depth;
        }
        free = 2 * nodes;
        depth += 1;
    }
}

/// Codes that were cut to the greatest length take too much of the code space. Makes other codes
/// longer until all fit.
fn shorten(of_length: &mut [usize; 16], longest: usize) {
    let mut taken: usize =
        (1..=longest).map(|length| of_length[length] << (longest - length)).sum();
    while taken > 1 << longest {
        of_length[longest] -= 1;
        let shorter = (1..longest).rev().find(|&length| of_length[length] > 0);
        let shorter = shorter.expect("so many codes of the greatest length fit");
        of_length[shorter] -= 1;
        of_length[shorter + 1] += 2;
        taken -= 1;
    }
}

/// The codes that follow from the lengths.
pub(super) fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut of_length = [0_u16; 16];
    for &length in lengths.iter().filter(|length| **length > 0) {
        of_length[usize::from(length)] += 1;
    }
    let mut next = [0_u16; 16];
    for length in 1..16 {
        next[length] = (next[length - 1] + of_length[length - 1]) << 1;
    }
    lengths.map(|length| {
        if length == 0 {
            return Code::default();
        }
        let code = &mut next[usize::from(length)];
        let bits = code.reverse_bits() >> (16 - length);
        *code = code.wrapping_add(1);
        Code { bits, length }
    })
}
