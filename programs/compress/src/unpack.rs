//! Decompresses member after member, as pieces for a sink that checks and writes them.
#![forbid(unsafe_code)]

use std::io::{BufRead, Write};

use zlib_rs::crc32::crc32;
use zlib_rs::{Inflate, InflateFlush, Status};

use crate::failure::Broken;
use crate::format::{self, Magic};

/// Bytes of a piece. It is large because the inflater copies its window after each call.
pub(crate) const PIECE: usize = 256 << 10;

const WINDOW_BITS: u8 = 15;

/// What comes out of the inflater, in order.
pub(crate) enum Piece {
    /// Decompressed bytes: a buffer, and how many of its bytes are valid.
    Bytes(Box<[u8]>, usize),
    /// The end of a member, with the checksum and the size from its trailer.
    End(u32, u32),
}

/// Where pieces go.
pub(crate) trait Sink {
    /// Returns a buffer of `PIECE` bytes with any content.
    fn buffer(&mut self) -> Box<[u8]>;

    fn take(&mut self, piece: Piece) -> Result<(), Broken>;
}

/// Decompresses all members of the input to the sink.
pub(crate) fn unpack(input: &mut impl BufRead, sink: &mut impl Sink) -> Result<(), Broken> {
    let mut inflate = Inflate::new(false, WINDOW_BITS);
    match format::read_magic(input)? {
        Magic::Member => {}
        Magic::End => return Err(format::TRUNCATED),
        Magic::Zeros | Magic::Other => return Err(Broken::Damaged("not in gzip format")),
    }
    loop {
        format::read_header(input)?;
        unpack_member(&mut inflate, input, sink)?;
        let (sum, size) = format::read_trailer(input)?;
        sink.take(Piece::End(sum, size))?;
        match format::read_magic(input)? {
            Magic::Member => inflate.reset(false),
            Magic::End | Magic::Zeros => return Ok(()),
            Magic::Other => return Err(Broken::Garbage),
        }
    }
}

fn unpack_member(
    inflate: &mut Inflate,
    input: &mut impl BufRead,
    sink: &mut impl Sink,
) -> Result<(), Broken> {
    let mut buffer = sink.buffer();
    let mut filled = 0;
    loop {
        let bytes = input.fill_buf().map_err(Broken::Read)?;
        let is_over = bytes.is_empty();
        let (taken, made) = (inflate.total_in(), inflate.total_out());
        let status = inflate
            .decompress(bytes, &mut buffer[filled..], InflateFlush::NoFlush)
            .map_err(|_| Broken::Damaged("invalid compressed data"))?;
        let (taken, made) = (inflate.total_in() - taken, inflate.total_out() - made);
        input.consume(taken as usize);
        filled += made as usize;
        if status == Status::StreamEnd {
            return sink.take(Piece::Bytes(buffer, filled));
        }
        if filled == buffer.len() {
            sink.take(Piece::Bytes(buffer, filled))?;
            buffer = sink.buffer();
            filled = 0;
        } else if is_over && made == 0 {
            return Err(format::TRUNCATED);
        }
    }
}

/// Compares each member with its trailer.
#[derive(Default)]
pub(crate) struct Check {
    sum: u32,
    size: u64,
}

impl Check {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.sum = crc32(self.sum, bytes);
        self.size += bytes.len() as u64;
    }

    /// Ends a member, and is then ready for the next one.
    pub(crate) fn end(&mut self, sum: u32, size: u32) -> Result<(), Broken> {
        let found = std::mem::take(self);
        if found.sum != sum {
            return Err(Broken::Damaged("invalid compressed data: wrong checksum"));
        }
        if found.size as u32 != size {
            return Err(Broken::Damaged("invalid compressed data: wrong length"));
        }
        Ok(())
    }
}

/// Checks and writes on the inflating thread, for small inputs.
pub(crate) struct Direct<'a, W> {
    output: &'a mut W,
    check: Check,
    spare: Option<Box<[u8]>>,
}

impl<'a, W: Write> Direct<'a, W> {
    pub(crate) fn new(output: &'a mut W) -> Self {
        Self { output, check: Check::default(), spare: None }
    }
}

impl<W: Write> Sink for Direct<'_, W> {
    fn buffer(&mut self) -> Box<[u8]> {
        self.spare.take().unwrap_or_else(|| vec![0; PIECE].into())
    }

    fn take(&mut self, piece: Piece) -> Result<(), Broken> {
        match piece {
            Piece::Bytes(buffer, length) => {
                self.check.add(&buffer[..length]);
                self.output.write_all(&buffer[..length]).map_err(Broken::Write)?;
                self.spare = Some(buffer);
                Ok(())
            }
            Piece::End(sum, size) => self.check.end(sum, size),
        }
    }
}
