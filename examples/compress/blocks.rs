//! Cuts a stream into blocks, each with the end of the one before, in buffers that are used again
//! and again.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// As far back as deflate can refer.
pub(crate) const REACH: usize = 32 << 10;

/// One block on its way through the pool, with room for what becomes of it.
pub(crate) struct Block {
    /// `REACH` bytes for the end of the block before, then the block's own.
    bytes: Box<[u8]>,
    before: usize,
    length: usize,
    pub(crate) place: Place,
    /// Where its bytes are still to be read from, by whoever compresses it.
    unread: Option<(Arc<File>, u64)>,
    /// Compressed; the first `packed_length` count.
    pub(crate) packed: Vec<u8>,
    pub(crate) packed_length: usize,
    /// Of the block's own bytes.
    pub(crate) sum: u32,
}

/// Whether something comes after a block.
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

    /// Reads what was left to be read. To be called before anything is asked for.
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        let Some((file, at)) = self.unread.take() else { return Ok(()) };
        let bytes = &mut self.bytes[REACH - self.before..REACH + self.length];
        file.read_exact_at(bytes, at - self.before as u64).map_err(|why| match why.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::other("became shorter while it was read"),
            _ => why,
        })
    }

    /// What stands before the block, as far as it can be referred to.
    pub(crate) fn dictionary(&self) -> &[u8] {
        &self.bytes[REACH - self.before..REACH]
    }

    /// Both in one piece, and where the block's own bytes begin in it.
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

/// Reads blocks. After the last one, or an error, it ends.
///
/// Of an ordinary file it only says which bytes belong to a block, and the workers read them, each
/// into its own cache: copying on one thread alone took a seventh of the whole work at level 1.
pub(crate) struct Blocks {
    input: Arc<File>,
    size: usize,
    /// Up to here the file may be read anywhere.
    known: u64,
    /// The beginning of the next block, as long as that is below `known`.
    at: u64,
    /// The end of the last block that was read here.
    tail: Vec<u8>,
    used: Receiver<Block>,
    is_over: bool,
}

impl Blocks {
    /// `known` is the length of a file that can be read anywhere, and zero for anything else. What
    /// such a file has grown by meanwhile is read too. Blocks that are sent to the other end of the
    /// channel are used again; it is a channel, because the pool's map owns this iterator.
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

    /// The rest, whose end is only known when it is reached, is read here.
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
        // A file that ends with a full block gets an empty one behind it, which costs two bytes. To
        // look ahead would hold each block back until a slow pipe has more.
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

/// Reads until the buffer is full or the input ends, and says how much that was.
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
