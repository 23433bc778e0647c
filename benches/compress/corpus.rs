//! The data to compress: found on the machine or generated. Generated data is the same each time.
#![forbid(unsafe_code)]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

/// The directory with the corpora. It is removed afterwards.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        let path = env::temp_dir().join(format!("corepool-bench-compress-{}", process::id()));
        fs::create_dir(&path).expect("a directory for the corpora");
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    /// Where the data comes from.
    pub(crate) from: &'static str,
    /// A file, or a directory of many files.
    pub(crate) path: PathBuf,
    pub(crate) length: usize,
    pub(crate) levels: &'static [u8],
}

const ALL_LEVELS: &[u8] = &[1, 6, 9];
/// The size of each small file, about that of a source file.
const SMALL_FILE: usize = 12 << 10;

impl Corpus {
    pub(crate) fn all(place: &Place, bytes: usize) -> Vec<Self> {
        let (source, from) = source_text(bytes);
        let file = |name: &'static str, from, levels, content: &[u8]| {
            let path = place.0.join(name);
            fs::write(&path, content).expect("room for a corpus");
            Self { name, from, path, length: content.len(), levels }
        };
        let mut random = Random(1);
        let small = &source[..source.len() / 4];
        vec![
            file("source", from, ALL_LEVELS, &source),
            file("logs", "generated", &[6], log(&mut random, bytes / 2).as_bytes()),
            file("json", "generated", &[6], json(&mut random, bytes / 2).as_bytes()),
            file("random", "generated", &[6], &noise(&mut random, bytes / 2)),
            Self {
                name: "files",
                from: "the beginning of the source text in many files",
                path: many_files(place, small),
                length: small.len(),
                levels: &[6],
            },
        ]
    }

    pub(crate) fn is_file(&self) -> bool {
        self.path.is_file()
    }

    /// The files of the corpus.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        if self.is_file() {
            return vec![self.path.clone()];
        }
        let entries = fs::read_dir(&self.path).expect("it is ours");
        let paths = entries.map(|entry| entry.expect("it is ours").path());
        paths.filter(|path| path.extension().is_none()).collect()
    }
}

/// Source code that cargo has downloaded. Where there is none, generated words.
fn source_text(bytes: usize) -> (Vec<u8>, &'static str) {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let mut text = Vec::with_capacity(bytes);
    if let Some(home) = home {
        add_sources(&home.join("registry/src"), &mut text, bytes);
    }
    if text.len() < bytes {
        return (
            log(&mut Random(2), bytes).into_bytes(),
            "generated, for cargo has no sources here",
        );
    }
    text.truncate(bytes);
    (text, "Rust from cargo's registry")
}

fn add_sources(directory: &Path, text: &mut Vec<u8>, bytes: usize) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    for path in paths {
        if text.len() >= bytes {
            return;
        }
        if path.is_dir() {
            add_sources(&path, text, bytes);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.extend(fs::read(&path).unwrap_or_default());
        }
    }
}

fn many_files(place: &Place, text: &[u8]) -> PathBuf {
    let directory = place.0.join("files");
    fs::create_dir(&directory).expect("a directory");
    for (at, part) in text.chunks(SMALL_FILE).enumerate() {
        fs::write(directory.join(at.to_string()), part).expect("room for a corpus");
    }
    directory
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % end
    }

    fn word(&mut self) -> &'static str {
        const WORDS: [&str; 16] = [
            "request", "user", "session", "cache", "order", "payment", "invoice", "upload",
            "search", "login", "report", "worker", "queue", "timeout", "retry", "closed",
        ];
        WORDS[self.below(16) as usize]
    }
}

fn log(random: &mut Random, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 200);
    let mut clock = 1_700_000_000_000;
    while text.len() < bytes {
        clock += random.below(2000);
        let level = ["INFO", "INFO", "INFO", "DEBUG", "WARN"][random.below(5) as usize];
        let (first, second) = (random.word(), random.word());
        let (id, host, micros) = (random.below(1 << 31), random.below(256), random.below(90_000));
        writeln!(
            text,
            "{clock} {level} {first}::{second} id={id:08x} peer=10.0.3.{host} took {micros}us"
        )
        .expect("memory");
    }
    text.truncate(bytes);
    text
}

fn json(random: &mut Random, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 200);
    while text.len() < bytes {
        let (id, score) = (random.below(1_000_000), random.below(100_000) as f64 / 1000.0);
        let (first, second, third) = (random.word(), random.word(), random.word());
        let active = random.below(2) == 0;
        writeln!(
            text,
            "{{\"id\":{id},\"kind\":\"{first}\",\"tags\":[\"{second}\",\"{third}\"],\"score\":{score},\"active\":{active}}}"
        )
        .expect("memory");
    }
    text.truncate(bytes);
    text
}

fn noise(random: &mut Random, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| random.below(256) as u8).collect()
}
