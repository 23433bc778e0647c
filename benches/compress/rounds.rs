//! One row: the contestants take turns, round after round, and the results are printed.
#![forbid(unsafe_code)]

use std::fs;
use std::time::Instant;

use flate2::read::MultiGzDecoder;
use std::io::Read;

use crate::contestants::{Job, OURS, OURS_ALONE, REFERENCE, Want, Work, contestants};
use crate::corpus::Corpus;
use crate::options::Options;

struct Runner {
    name: &'static str,
    work: Work,
    /// The size of the output in bytes.
    size: usize,
    seconds: Vec<f64>,
    processor: Vec<f64>,
}

pub(crate) fn row(name: &str, corpus: &Corpus, job: Job, options: &Options) {
    if !options.wants(name) {
        return;
    }
    let mut runners: Vec<_> = contestants(job, corpus)
        .into_iter()
        .map(|(name, work)| {
            let size = check(name, &work(Want::Output), corpus, job);
            Runner { name, work, size, seconds: Vec::new(), processor: Vec::new() }
        })
        .collect();
    if options.test {
        return println!("{name}: every result is right");
    }
    for round in 0..options.rounds {
        for at in order(round, runners.len()) {
            runners[at].measure();
        }
    }
    print(name, corpus, &runners);
}

/// Checks that the output is right, and returns its size.
fn check(name: &str, output: &[u8], corpus: &Corpus, job: Job) -> usize {
    let mut plain = Vec::new();
    match job {
        Job::Compress(_) => {
            MultiGzDecoder::new(output).read_to_end(&mut plain).expect("a whole gzip");
        }
        Job::Decompress => plain.extend(output),
    }
    if corpus.is_file() {
        assert!(plain == fs::read(&corpus.path).expect("the corpus"), "{name} is wrong");
    } else {
        // Only the length, because contestants go through the directory in different orders.
        assert_eq!(plain.len(), corpus.length, "{name} is wrong");
    }
    output.len()
}

/// Each round begins with a different contestant, and every other round runs backwards.
fn order(round: usize, runners: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..runners).collect();
    order.rotate_left(round / 2 % runners);
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

impl Runner {
    fn measure(&mut self) {
        let (start, used) = (Instant::now(), processor_seconds());
        (self.work)(Want::Time);
        self.seconds.push(start.elapsed().as_secs_f64());
        self.processor.push(processor_seconds() - used);
    }
}

fn print(name: &str, corpus: &Corpus, runners: &[Runner]) {
    let find = |name| runners.iter().find(|runner| runner.name == name);
    let reference = find(REFERENCE);
    println!("\n{name}");
    println!(
        "  {:<20} {:>8} {:>9} {:>12} {:>8} {:>9}",
        "", "MB/s", "to pigz", "CPU to pigz", "size", "to pigz"
    );
    for runner in runners {
        let speed = corpus.length as f64 / 1e6 / median(&runner.seconds);
        let times =
            |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let faster = reference.map(|other| ratio(&other.seconds, &runner.seconds));
        let cheaper = reference.map(|other| ratio(&other.processor, &runner.processor));
        let size = reference.map(|other| runner.size as f64 / other.size as f64);
        println!(
            "  {:<20} {speed:>8.1} {:>9} {:>12} {:>7.2}% {:>9}",
            runner.name,
            times(faster),
            times(cheaper),
            100.0 * runner.size as f64 / corpus.length as f64,
            size.map_or("-".to_owned(), |size| format!("{size:.4}")),
        );
    }
    if let Some((both, one)) = find(OURS).zip(find(OURS_ALONE)) {
        println!("  two workers against one: {:.2}", ratio(&one.seconds, &both.seconds));
    }
}

/// The median of the ratios within the rounds.
fn ratio(above: &[f64], below: &[f64]) -> f64 {
    let ratios: Vec<_> = above.iter().zip(below).map(|(above, below)| above / below).collect();
    median(&ratios)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The time of this process and of the child processes that it waited for, in steps of 10 ms. Zero
/// where the system does not report it.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is a name in parentheses that may contain blanks. The times are fields 14 to
    // 17.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(4).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
