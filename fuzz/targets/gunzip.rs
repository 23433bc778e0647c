//! Passes any bytes to the decompressor of `compress`. Its verdict and output must equal those of
//! another gzip reader.
#![no_main]
#![allow(dead_code, reason = "parts of a program, of which not all is used")]

#[path = "../../programs/compress/src/failure.rs"]
mod failure;
#[path = "../../programs/compress/src/format.rs"]
mod format;
#[path = "../../programs/compress/src/unpack.rs"]
mod unpack;

use std::io::{BufReader, Read};

use failure::Broken;
use libfuzzer_sys::{Corpus, fuzz_target};

/// Inputs that unpack to more are skipped, because they only cost time.
const MOST: u64 = 8 << 20;

fuzz_target!(|data: &[u8]| -> Corpus {
    // The first byte says how many bytes the input yields at a time.
    let Some((&step, gzip)) = data.split_first() else { return Corpus::Reject };
    let (other, rest) = read_other(gzip);
    if other.as_ref().is_ok_and(|bytes| bytes.len() as u64 >= MOST) {
        return Corpus::Reject;
    }
    let mut output = Vec::new();
    let mut input = BufReader::with_capacity(usize::from(step) + 1, gzip);
    let verdict = unpack::unpack(&mut input, &mut unpack::Direct::new(&mut output));
    match (verdict, other) {
        (Ok(()), Ok(other)) => {
            assert!(output == other, "another output");
            assert!(rest.iter().all(|byte| *byte == 0), "garbage was passed over");
        }
        (Err(Broken::Garbage), Ok(other)) => {
            assert!(output == other, "another output before garbage");
            assert!(rest.iter().any(|byte| *byte != 0), "there was no garbage");
        }
        (Err(Broken::Damaged(_)), Err(())) => {}
        (verdict, other) => {
            panic!("{verdict:?}, the other one: {:?}", other.map(|bytes| bytes.len()))
        }
    }
    Corpus::Keep
});

/// Reads all members one by one. The rest is what does not begin like a member. Returns an error if
/// a member is damaged.
fn read_other(mut gzip: &[u8]) -> (Result<Vec<u8>, ()>, &[u8]) {
    let mut output = Vec::new();
    let mut is_first = true;
    while is_first || gzip.starts_with(&format::MAGIC) {
        is_first = false;
        let mut member = flate2::bufread::GzDecoder::new(gzip);
        let read = member.by_ref().take(MOST).read_to_end(&mut output);
        let has_reserved_flags = gzip.get(3).is_some_and(|flags| flags & 0b1110_0000 != 0);
        if read.is_err() || has_reserved_flags || output.len() as u64 > MOST {
            return (if output.len() as u64 >= MOST { Ok(output) } else { Err(()) }, gzip);
        }
        gzip = member.into_inner();
    }
    (Ok(output), gzip)
}
