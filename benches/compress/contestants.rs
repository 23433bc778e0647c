//! The contestants, and how each does the work: it reads files, discards the output, and has two
//! workers.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Crc, FlushCompress};
use gzp::ZWriter;
use gzp::deflate::Gzip;
use gzp::par::compress::ParCompressBuilder;
use rayon::prelude::{IntoParallelIterator, ParallelIterator, ParallelSlice};

use crate::corpus::Corpus;
use crate::programs::{self, ours, pigz};

const WORKERS: usize = 2;
const BLOCK: usize = 128 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Compress at this level.
    Compress(u8),
    /// Decompress what pigz, or else flate2, made of the corpus.
    Decompress,
}

pub(crate) type Work = Box<dyn Fn(Want) -> Vec<u8>>;

/// Whether the output is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Output,
    Time,
}

pub(crate) const REFERENCE: &str = "pigz";
pub(crate) const OURS: &str = "compress";
pub(crate) const OURS_ALONE: &str = "compress, 1 worker";

/// All contestants that can do this job.
pub(crate) fn contestants(job: Job, corpus: &Corpus) -> Vec<(&'static str, Work)> {
    let mut all: Vec<(&'static str, Work)> = Vec::new();
    if pigz().is_some() {
        all.push((REFERENCE, program(|| pigz().expect("it was there"), WORKERS, job, corpus)));
    }
    all.push((OURS, program(ours, WORKERS, job, corpus)));
    all.push((OURS_ALONE, program(ours, 1, job, corpus)));
    match job {
        Job::Compress(level) if corpus.is_file() => {
            all.push(("gzp", in_process(corpus, move |path| with_gzp(path, level))));
            all.push(("rayon in chunks", in_process(corpus, move |path| with_rayon(path, level))));
            all.push(("flate2", in_process(corpus, move |path| with_flate2(path, level))));
        }
        Job::Compress(level) => {
            let files = corpus.files();
            let rayon = move |want| {
                let each = files.clone().into_par_iter().map(|path| with_flate2(&path, level));
                let packed: Vec<_> = pool().install(|| each.collect());
                if want == Want::Output { packed.concat() } else { Vec::new() }
            };
            all.push(("rayon, a file each", Box::new(rayon)));
            all.push(("flate2", in_process(corpus, move |path| with_flate2(path, level))));
        }
        Job::Decompress => all.push(("flate2", in_process(&packed(corpus), unpack))),
    }
    all
}

/// The compressed form of a corpus, in a file next to it.
fn packed(corpus: &Corpus) -> Corpus {
    let path = corpus.path.with_extension("gz");
    if !path.exists() {
        let bytes = match pigz() {
            Some(mut pigz) => {
                pigz.arg("-c").arg(&corpus.path);
                programs::output(pigz)
            }
            None => with_flate2(&corpus.path, 6),
        };
        fs::write(&path, bytes).expect("room for it");
    }
    Corpus { path, ..*corpus }
}

fn program(
    start: impl Fn() -> std::process::Command + 'static,
    workers: usize,
    job: Job,
    corpus: &Corpus,
) -> Work {
    let (path, flags) = match job {
        Job::Compress(level) => (corpus.path.clone(), format!("-cr{level}")),
        Job::Decompress => (packed(corpus).path, "-dc".to_owned()),
    };
    Box::new(move |want| {
        let mut command = start();
        command.arg(format!("-p{workers}")).arg("-b128").arg(&flags).arg(&path);
        match want {
            Want::Output => programs::output(command),
            Want::Time => {
                programs::run(command);
                Vec::new()
            }
        }
    })
}

fn in_process(corpus: &Corpus, work: impl Fn(&Path) -> Vec<u8> + 'static) -> Work {
    let files = corpus.files();
    Box::new(move |want| {
        let outputs = files.iter().map(|path| work(path));
        match want {
            Want::Output => outputs.collect::<Vec<_>>().concat(),
            Want::Time => {
                outputs.for_each(drop);
                Vec::new()
            }
        }
    })
}

fn with_flate2(path: &Path, level: u8) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level.into()));
    let mut file = File::open(path).expect("the corpus");
    io::copy(&mut BufReader::with_capacity(BLOCK, &mut file), &mut encoder).expect("memory");
    encoder.finish().expect("memory")
}

fn unpack(path: &Path) -> Vec<u8> {
    let file = BufReader::with_capacity(BLOCK, File::open(path).expect("the corpus"));
    let mut bytes = Vec::new();
    MultiGzDecoder::new(file).read_to_end(&mut bytes).expect("it is whole");
    bytes
}

fn with_gzp(path: &Path, level: u8) -> Vec<u8> {
    let output = Shared::default();
    let mut writer = ParCompressBuilder::<Gzip>::new()
        .compression_level(Compression::new(level.into()))
        .num_threads(WORKERS)
        .and_then(|builder| builder.buffer_size(BLOCK))
        .expect("settings that it takes")
        .from_writer(output.clone());
    let mut file = File::open(path).expect("the corpus");
    io::copy(&mut BufReader::with_capacity(BLOCK, &mut file), &mut writer).expect("memory");
    writer.finish().expect("memory");
    std::mem::take(&mut *output.0.lock().expect("nobody panicked"))
}

/// A shared buffer, because gzp must own what it writes to.
#[derive(Clone, Default)]
struct Shared(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pool() -> &'static rayon::ThreadPool {
    static POOL: std::sync::OnceLock<rayon::ThreadPool> = std::sync::OnceLock::new();
    POOL.get_or_init(|| {
        rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("two threads")
    })
}

/// What one would write in an afternoon: the whole file in memory, and one task per chunk. The
/// chunks are primed with a dictionary and joined as in pigz.
fn with_rayon(path: &Path, level: u8) -> Vec<u8> {
    let bytes = fs::read(path).expect("the corpus");
    let last = bytes.len().div_ceil(BLOCK).saturating_sub(1);
    let one = |(at, chunk): (usize, &[u8])| {
        let mut compress = Compress::new(Compression::new(level.into()), false);
        let start = at * BLOCK;
        if at > 0 {
            compress.set_dictionary(&bytes[start - (32 << 10)..start]).expect("a fresh stream");
        }
        let flush = if at == last { FlushCompress::Finish } else { FlushCompress::Sync };
        let mut packed = Vec::with_capacity(chunk.len() + chunk.len() / 256 + 1024);
        compress.compress_vec(chunk, &mut packed, flush).expect("a sound stream");
        let mut sum = Crc::new();
        sum.update(chunk);
        (packed, sum)
    };
    let parts: Vec<_> = pool().install(|| {
        let chunks: Vec<_> = bytes.chunks(BLOCK).enumerate().collect();
        chunks.par_chunks(1).map(|chunk| one(chunk[0])).collect()
    });
    let mut output = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut sum = Crc::new();
    for (packed, part) in parts {
        output.extend(packed);
        sum.combine(&part);
    }
    output.extend(sum.sum().to_le_bytes());
    output.extend((bytes.len() as u32).to_le_bytes());
    output
}
