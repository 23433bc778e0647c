//! The frame of a gzip member: its header and its trailer (RFC 1952).
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStrExt;

use zlib_rs::crc32::crc32;

use crate::failure::Broken;

pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;
const HAS_HEADER_CHECK: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;
const UNIX: u8 = 3;

pub(crate) const TRUNCATED: Broken = Broken::Damaged("unexpected end of file");

/// What a member says about the file that it was made from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The file name without directories.
    pub(crate) name: Option<Vec<u8>>,
    /// Seconds since 1970. Zero means unknown.
    pub(crate) modified: u32,
}

impl Origin {
    pub(crate) fn new(name: Option<&OsStr>, modified: Option<i64>) -> Self {
        // A time before 1970 or after 2106 does not fit into the field, and unknown is better than
        // wrong.
        let modified = modified.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0);
        Self { name: name.map(|name| name.as_bytes().to_vec()), modified }
    }
}

/// The bytes before the compressed data.
pub(crate) fn header(origin: &Origin, level: u8) -> Vec<u8> {
    let flags = if origin.name.is_some() { HAS_NAME } else { 0 };
    let effort = match level {
        1 => 4,
        9 => 2,
        _ => 0,
    };
    let mut bytes = vec![MAGIC[0], MAGIC[1], DEFLATE, flags];
    bytes.extend(origin.modified.to_le_bytes());
    bytes.extend([effort, UNIX]);
    if let Some(name) = &origin.name {
        bytes.extend(name);
        bytes.push(0);
    }
    bytes
}

/// The bytes after the compressed data. The size is modulo 2^32, as the format requires.
pub(crate) fn trailer(sum: u32, size: u64) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes[4..].copy_from_slice(&(size as u32).to_le_bytes());
    bytes
}

/// Reads the header of a member, after its two magic bytes.
pub(crate) fn read_header(input: &mut impl BufRead) -> Result<(), Broken> {
    let mut header = Header { input, sum: crc32(0, &MAGIC) };
    let [method, flags, ..] = header.take::<8>()?;
    if method != DEFLATE {
        return Err(Broken::Damaged("compressed by a method that gzip does not have"));
    }
    if flags & RESERVED != 0 {
        return Err(Broken::Damaged("has flags that gzip does not have"));
    }
    if flags & HAS_EXTRA != 0 {
        let length = u16::from_le_bytes(header.take()?);
        for _ in 0..length {
            header.take::<1>()?;
        }
    }
    for _ in [HAS_NAME, HAS_COMMENT].iter().filter(|has| flags & **has != 0) {
        while header.take::<1>()? != [0] {}
    }
    if flags & HAS_HEADER_CHECK != 0 {
        let sum = header.sum as u16;
        if u16::from_le_bytes(header.take()?) != sum {
            return Err(Broken::Damaged("invalid compressed data: wrong checksum of the header"));
        }
    }
    Ok(())
}

/// Reads the checksum and the size.
pub(crate) fn read_trailer(input: &mut impl BufRead) -> Result<(u32, u32), Broken> {
    let mut header = Header { input, sum: 0 };
    Ok((u32::from_le_bytes(header.take()?), u32::from_le_bytes(header.take()?)))
}

/// Looks at the next bytes: the beginning of a member, only zeros until the end, or something else.
pub(crate) fn read_magic(input: &mut impl BufRead) -> Result<Magic, Broken> {
    let mut found = [0; 2];
    let mut length = 0;
    while length < 2 {
        let Some(byte) = next_byte(input).map_err(Broken::Read)? else { break };
        found[length] = byte;
        length += 1;
    }
    if length == 2 && found == MAGIC {
        return Ok(Magic::Member);
    }
    if length == 0 {
        return Ok(Magic::End);
    }
    if found != [0, 0] {
        return Ok(Magic::Other);
    }
    // Tapes and block devices are padded with zeros.
    while let Some(byte) = next_byte(input).map_err(Broken::Read)? {
        if byte != 0 {
            return Ok(Magic::Other);
        }
    }
    Ok(Magic::Zeros)
}

/// What was found where a member could begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Magic {
    Member,
    End,
    Zeros,
    Other,
}

fn next_byte(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    let byte = input.fill_buf()?.first().copied();
    if byte.is_some() {
        input.consume(1);
    }
    Ok(byte)
}

/// Computes the checksum of the bytes that are taken.
struct Header<'a, R> {
    input: &'a mut R,
    sum: u32,
}

impl<R: BufRead> Header<'_, R> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = next_byte(self.input).map_err(Broken::Read)?.ok_or(TRUNCATED)?;
        }
        self.sum = crc32(self.sum, &bytes);
        Ok(bytes)
    }
}
