//! Passes any bytes through the compressors of `compress`, in blocks of any size. Another inflater
//! must return the same bytes.
#![no_main]
#![allow(dead_code, reason = "parts of a program, of which not all is used")]

#[path = "../../programs/compress/src/blocks.rs"]
mod blocks;
#[path = "../../programs/compress/src/deflater.rs"]
mod deflater;
#[path = "../../programs/compress/src/quick/mod.rs"]
mod quick;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use blocks::Blocks;
use deflater::Deflater;
use libfuzzer_sys::{Corpus, fuzz_target};

thread_local! {
    /// Reused as in a worker: what one input leaves behind must not affect the next.
    static DEFLATERS: RefCell<HashMap<u8, Deflater>> = RefCell::default();
    static FILE: File = File::from(
        rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC).expect("a file in memory"),
    );
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let [kind, repeats, size @ .., _] = data.first_chunk::<5>().copied().unwrap_or_default();
    if data.len() < 5 {
        return Corpus::Reject;
    }
    // Half of all inputs run at level 1, which is our own code.
    let level = if kind & 1 == 0 { 1 } else { 2 + (kind >> 1) % 8 };
    let size = usize::from(u16::from_le_bytes(size)) + 1;
    // Repeat the input, so that a short one reaches as far back as a long one.
    let input = data[5..].repeat(1 + usize::from(repeats % 64));
    if input.len() / size > 2_000 {
        return Corpus::Reject;
    }
    DEFLATERS.with_borrow_mut(|deflaters| {
        let deflater = deflaters.entry(level).or_insert_with(|| Deflater::new(level));
        check(deflater, &input, size, kind & 0x80 != 0);
    });
    Corpus::Keep
});

fn check(deflater: &mut Deflater, input: &[u8], size: usize, is_known: bool) {
    let known = if is_known { input.len() as u64 } else { 0 };
    let (blocks, give_back) = Blocks::new(file_of(input), known, size);
    let (mut packed, mut at) = (Vec::new(), 0);
    for block in blocks {
        let mut block = block.expect("memory can be read");
        block.fill().expect("memory can be read");
        deflater.squeeze(&mut block);
        packed.extend_from_slice(block.packed());
        let end = at + block.data().len();
        assert!(block.data() == &input[at..end], "the input was cut wrongly");
        let mut sum = flate2::Crc::new();
        sum.update(block.data());
        assert_eq!(block.sum, sum.sum());
        at = end;
        let _ = give_back.send(block);
    }
    assert_eq!(at, input.len());
    let mut output = Vec::new();
    let mut inflater = flate2::bufread::DeflateDecoder::new(&*packed);
    inflater.read_to_end(&mut output).expect("what was compressed is sound");
    assert!(output == input, "something else came back");
    assert!(inflater.into_inner().is_empty(), "something stands behind the end");
}

fn file_of(bytes: &[u8]) -> File {
    FILE.with(|file| {
        let mut file = file.try_clone().expect("a second handle");
        file.set_len(0).expect("memory can be cut");
        file.seek(SeekFrom::Start(0)).expect("memory can be sought");
        file.write_all(bytes).expect("there is memory");
        file.seek(SeekFrom::Start(0)).expect("memory can be sought");
        file
    })
}
