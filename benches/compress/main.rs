//! Compares compression of the same data by our program `compress`, pigz, gzp, rayon in chunks, and
//! flate2 alone.
//!
//! ```text
//! cargo bench --bench compress -- [--test] [--quick] [--rounds N] [--size MIB] [ROW]...
//! ```
//!
//! Each row is a corpus at a level. A row runs if its name contains one of the words. The
//! contestants take turns, and the result is the median over the rounds of the ratio to pigz within
//! each round. `CPU` is processor time, which other processes disturb less than wall-clock time.
#![forbid(unsafe_code)]

mod corpus;
mod contestants;
mod options;
mod programs;
mod rounds;

use contestants::Job;
use corpus::Corpus;
use options::Options;

fn main() {
    let options = Options::read();
    let place = corpus::Place::new();
    let corpora = Corpus::all(&place, options.bytes);
    for corpus in &corpora {
        println!("{}: {} bytes, {}", corpus.name, corpus.length, corpus.from);
    }
    for corpus in &corpora {
        for &level in corpus.levels {
            let job = Job::Compress(level);
            rounds::row(&format!("{} -{level}", corpus.name), corpus, job, &options);
        }
    }
    for corpus in corpora.iter().filter(|corpus| corpus.is_file()) {
        rounds::row(&format!("{} -d", corpus.name), corpus, Job::Decompress, &options);
    }
}
