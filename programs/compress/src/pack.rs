//! Compresses a stream: the calling thread reads and writes, and a task compresses each block.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use corepool::{WorkerLocal, WorkerPool};
use zlib_rs::crc32::crc32_combine;

use crate::blocks::{Block, Blocks};
use crate::deflater::Deflater;
use crate::failure::Broken;
use crate::format::{self, Origin};
use crate::progress::Progress;

/// Blocks in flight for each worker: one being compressed, one waiting for the worker, and one
/// waiting to be written.
const BLOCKS_A_WORKER: usize = 3;

/// What all streams of a run share.
#[derive(Clone)]
pub(crate) struct Packer {
    pub(crate) level: u8,
    /// In bytes.
    pub(crate) block: usize,
    deflaters: Arc<WorkerLocal<Deflater>>,
}

impl Packer {
    pub(crate) fn new(level: u8, block: usize) -> Self {
        let deflaters = Arc::new(WorkerLocal::new(move || Deflater::new(level)));
        Self { level, block, deflaters }
    }

    /// Compresses the whole input to one member. `known` is as for [`Blocks::new`].
    pub(crate) fn pack(
        &self,
        pool: &WorkerPool,
        input: File,
        known: u64,
        output: &mut impl Write,
        origin: &Origin,
        progress: &Progress,
    ) -> Result<(), Broken> {
        let (blocks, give_back) = Blocks::new(input, known, self.block);
        let window = pool.worker_count() * BLOCKS_A_WORKER;
        let deflaters = Arc::clone(&self.deflaters);
        let blocks = blocks.map(|block| block.map_err(Broken::Read));
        let packed = pool.try_map_ordered(blocks, window, move |mut block: Block| {
            block.fill().map_err(Broken::Read)?;
            deflaters.with(|deflater| deflater.squeeze(&mut block));
            Ok(block)
        });
        let mut member = Member::begin(output, origin, self.level)?;
        for block in packed {
            let block = block?;
            member.add(&block)?;
            progress.add(block.data().len(), block.packed().len());
            // The send fails only when the input has ended and no block is needed any more.
            let _ = give_back.send(block);
        }
        member.end()
    }

    /// Does the same on this thread alone, for small inputs.
    pub(crate) fn pack_here(
        &self,
        input: File,
        output: &mut impl Write,
        origin: &Origin,
    ) -> Result<(), Broken> {
        let (blocks, give_back) = Blocks::new(input, 0, self.block);
        let mut member = Member::begin(output, origin, self.level)?;
        for block in blocks {
            let mut block = block.map_err(Broken::Read)?;
            self.deflaters.with(|deflater| deflater.squeeze(&mut block));
            member.add(&block)?;
            let _ = give_back.send(block);
        }
        member.end()
    }
}

/// A member that is being written.
struct Member<'a, W> {
    output: &'a mut W,
    sum: u32,
    size: u64,
}

impl<'a, W: Write> Member<'a, W> {
    fn begin(output: &'a mut W, origin: &Origin, level: u8) -> Result<Self, Broken> {
        output.write_all(&format::header(origin, level)).map_err(Broken::Write)?;
        Ok(Self { output, sum: 0, size: 0 })
    }

    fn add(&mut self, block: &Block) -> Result<(), Broken> {
        let length = block.data().len() as u64;
        self.sum = crc32_combine(self.sum, block.sum, length);
        self.size += length;
        self.output.write_all(block.packed()).map_err(Broken::Write)
    }

    fn end(self) -> Result<(), Broken> {
        let trailer = format::trailer(self.sum, self.size);
        self.output.write_all(&trailer).and_then(|()| self.output.flush()).map_err(Broken::Write)
    }
}
