//! Decompresses a large input: one task reads, one task inflates, and the calling thread checks and
//! writes.
//!
//! Inflating can't be split, so this is a pipeline and not a map. Each stage passes its buffers on
//! through a short channel and gets them back through another, so memory is bounded. A stage that
//! waits lends its worker's core: another thread runs tasks on it meanwhile. So the pipeline also
//! works with one worker.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};

use corepool::{WorkerPool, blocking};

use crate::failure::Broken;
use crate::progress::Progress;
use crate::unpack::{Check, PIECE, Piece, Sink, unpack};

/// Buffers that may wait between two stages.
const DEPTH: usize = 4;
/// Bytes that are read at a time.
const CHUNK: usize = 128 << 10;

/// Decompresses all members of the input to the output, and checks each of them.
pub(crate) fn unpack_wide(
    pool: &WorkerPool,
    input: impl Read + Send + 'static,
    output: &mut impl Write,
    progress: &Progress,
) -> Result<(), Broken> {
    let (send_chunk, chunks) = sync_channel(DEPTH);
    let (give_chunk_back, used_chunks) = channel();
    let (send_piece, pieces) = sync_channel(DEPTH);
    let (give_piece_back, used_pieces) = channel();
    let told = progress.clone();
    let reading = pool.spawn(move || read(input, &send_chunk, &used_chunks, &told));
    let inflating = pool.spawn(move || {
        let mut chunks = Chunks { chunks, give_back: give_chunk_back, now: Chunk::default() };
        unpack(&mut chunks, &mut Pieces { pieces: send_piece, used: used_pieces })
    });
    let mut check = Check::default();
    for piece in pieces {
        match piece {
            Piece::Bytes(buffer, length) => {
                check.add(&buffer[..length]);
                output.write_all(&buffer[..length]).map_err(Broken::Write)?;
                progress.add(0, length);
                // The send fails when inflating is over.
                let _ = give_piece_back.send(buffer);
            }
            Piece::End(sum, size) => check.end(sum, size)?,
        }
    }
    output.flush().map_err(Broken::Write)?;
    // Do not wait for the reader. After garbage it may be blocked on a pipe that gives nothing
    // more. Without the inflater its chunks have no receiver, so it ends by itself.
    reading.detach();
    inflating.join()?
}

#[derive(Default)]
struct Chunk {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

/// Reads until the input ends, reading fails, or the receiver is gone.
fn read(
    mut input: impl Read,
    chunks: &SyncSender<io::Result<Chunk>>,
    used: &Receiver<Chunk>,
    progress: &Progress,
) {
    loop {
        let mut chunk = used.try_recv().unwrap_or_default();
        if chunk.bytes.is_empty() {
            chunk.bytes = vec![0; CHUNK].into();
        }
        let read = blocking(|| input.read(&mut chunk.bytes));
        let sent = match read {
            Ok(0) => return,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Ok(length) => {
                progress.add(length, 0);
                blocking(|| chunks.send(Ok(Chunk { start: 0, end: length, ..chunk })))
            }
            Err(why) => {
                let _ = blocking(|| chunks.send(Err(why)));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The chunks as a buffered reader.
struct Chunks {
    chunks: Receiver<io::Result<Chunk>>,
    give_back: Sender<Chunk>,
    now: Chunk,
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.now.start == self.now.end {
            let next = match self.chunks.try_recv() {
                Err(TryRecvError::Empty) => blocking(|| self.chunks.recv().ok()),
                at_once => at_once.ok(),
            };
            let used = std::mem::replace(&mut self.now, next.transpose()?.unwrap_or_default());
            if !used.bytes.is_empty() {
                // The send fails when reading is over.
                let _ = self.give_back.send(used);
            }
        }
        Ok(&self.now.bytes[self.now.start..self.now.end])
    }

    fn consume(&mut self, length: usize) {
        self.now.start += length;
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

/// The sink that sends pieces to the writer.
struct Pieces {
    pieces: SyncSender<Piece>,
    used: Receiver<Box<[u8]>>,
}

impl Sink for Pieces {
    fn buffer(&mut self) -> Box<[u8]> {
        self.used.try_recv().unwrap_or_else(|_| vec![0; PIECE].into())
    }

    fn take(&mut self, piece: Piece) -> Result<(), Broken> {
        // The writer gives up only when it has a failure to report, so this error is never seen.
        blocking(|| self.pieces.send(piece))
            .map_err(|_| Broken::Write(io::ErrorKind::BrokenPipe.into()))
    }
}
