//! Cuts a stream into blocks, each with the end of the previous block, and reuses the buffers.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// How far back a deflate match can refer.
pub(crate) const REACH: usize = 32 << 10;

/// One block on its way through the pool, with room for its compressed form.
pub(crate) struct Block {
    /// `REACH` bytes for the end of the previous block, then the block's own bytes.
    bytes: Box<[u8]>,
    before: usize,
    length: usize,
    pub(crate) place: Place,
    /// Where the compressing task must still read the block's bytes from.
    unread: Option<(Arc<File>, u64)>,
    /// The compressed bytes. Only the first `packed_length` are valid.
    pub(crate) packed: Vec<u8>,
    pub(crate) packed_length: usize,
    /// The checksum of the block's own bytes.
    pub(crate) sum: u32,
}

/// Whether more blocks follow this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Within,
    Last,
}

impl Block {
    fn new(size: usize) -> Self {
        Self {
            bytes: vec![0; REACH + size].into(),
            before: 0,
            length: 0,
            place: Place::Within,
            unread: None,
            packed: Vec::new(),
            packed_length: 0,
            sum: 0,
        }
    }

    /// Reads the bytes that are still unread. Must be called before any other method.
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        let Some((file, at)) = self.unread.take() else { return Ok(()) };
        let bytes = &mut self.bytes[REACH - self.before..REACH + self.length];
        file.read_exact_at(bytes, at - self.before as u64).map_err(|why| match why.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::other("became shorter while it was read"),
            _ => why,
        })
    }

    /// The bytes before the block, as far back as deflate can refer.
    pub(crate) fn dictionary(&self) -> &[u8] {
        &self.bytes[REACH - self.before..REACH]
    }

    /// The dictionary and the block's bytes in one slice, and where the block's own bytes begin.
    pub(crate) fn with_dictionary(&self) -> (&[u8], usize) {
        (&self.bytes[REACH - self.before..REACH + self.length], self.before)
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.bytes[REACH..REACH + self.length]
    }

    pub(crate) fn packed(&self) -> &[u8] {
        &self.packed[..self.packed_length]
    }
}

/// Reads blocks. The iterator ends after the last block or an error.
///
/// For an ordinary file, it only says which bytes belong to a block. The workers read them, each
/// into its own cache. Copying on a single thread took a seventh of the whole work at level 1.
pub(crate) struct Blocks {
    input: Arc<File>,
    size: usize,
    /// Below this offset the file can be read at any position.
    known: u64,
    /// The beginning of the next block, while that is below `known`.
    at: u64,
    /// The end of the last block that was read here.
    tail: Vec<u8>,
    used: Receiver<Block>,
    is_over: bool,
}

impl Blocks {
    /// `known` is the length of a file that can be read at any position, and zero for any other
    /// input. Bytes that are appended to such a file meanwhile are read too. Blocks that are sent
    /// back over the returned channel are reused. A channel is needed because the pool's map owns
    /// this iterator.
    pub(crate) fn new(input: File, known: u64, size: usize) -> (Self, Sender<Block>) {
        let (give_back, used) = channel();
        let (input, tail) = (Arc::new(input), Vec::new());
        (Self { input, size, known, at: 0, tail, used, is_over: false }, give_back)
    }

    fn cut(&mut self) -> io::Result<Block> {
        let mut block = self.used.try_recv().unwrap_or_else(|_| Block::new(self.size));
        let end = self.at + self.size as u64;
        if end <= self.known {
            block.before = self.at.min(REACH as u64) as usize;
            block.length = self.size;
            block.place = Place::Within;
            block.unread = Some((Arc::clone(&self.input), self.at));
            self.at = end;
            return Ok(block);
        }
        if self.at > 0 {
            self.go_on_by_reading()?;
        }
        self.read(&mut block)?;
        Ok(block)
    }

    /// Switches to reading the rest here, because its end is only known when it is reached.
    fn go_on_by_reading(&mut self) -> io::Result<()> {
        self.tail.resize(self.at.min(REACH as u64) as usize, 0);
        let start = self.at - self.tail.len() as u64;
        self.input.read_exact_at(&mut self.tail, start)?;
        (&*self.input).seek(SeekFrom::Start(self.at))?;
        (self.known, self.at) = (0, 0);
        Ok(())
    }

    fn read(&mut self, block: &mut Block) -> io::Result<()> {
        block.before = self.tail.len();
        block.bytes[REACH - self.tail.len()..REACH].copy_from_slice(&self.tail);
        block.length = read_full(&mut &*self.input, &mut block.bytes[REACH..])?;
        // A file that ends with a full block gets an empty last block, which costs two bytes.
        // Looking ahead instead would hold each block back until a slow pipe has more data.
        block.place = if block.length < self.size { Place::Last } else { Place::Within };
        self.tail.clear();
        let end = REACH + block.length;
        let start = block.length.max(REACH - block.before);
        self.tail.extend_from_slice(&block.bytes[start..end]);
        Ok(())
    }
}

impl Iterator for Blocks {
    type Item = io::Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let block = self.cut();
        self.is_over = !matches!(&block, Ok(Block { place: Place::Within, .. }));
        Some(block)
    }
}

/// Reads until the buffer is full or the input ends. Returns the number of bytes read.
pub(crate) fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match input.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(length)
}
