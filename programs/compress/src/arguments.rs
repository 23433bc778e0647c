//! The command line: the short options of gzip and pigz, joined or separate, and their long names.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::str::FromStr;

pub(crate) const USAGE: &str = "\
usage: compress [OPTION]... [FILE|DIR]...

Compresses each FILE to FILE.gz with all cores, and removes FILE when FILE.gz is whole. Without
FILE, or where it is -, from stdin to stdout. Any gunzip reads what is written.

  -d, --decompress  FILE.gz to FILE, of any gzip
  -t, --test        only check that each FILE is whole
  -k, --keep        keep FILE
  -c, --stdout      write to stdout, and keep FILE
  -f, --force       overwrite, follow links, and write compressed data to a terminal
  -r, --recursive   go through directories
  -1 to -9          from fastest to smallest, by default -6 (--fast is -1, --best is -9)
  -p, --processes N workers, by default one for each core that may be used
  -b, --blocksize K KiB a block, 32 to 16384, by default 128
  -q, --quiet       no warnings, and no progress on a terminal
  -h, --help        this text
  -V, --version     the version

Status: 0 all is well, 1 an error, 2 a warning.
";

pub(crate) const MOST_WORKERS: usize = 512;
const BLOCK_KIB: std::ops::RangeInclusive<usize> = 32..=16384;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Compress,
    Decompress,
    Test,
}

/// The parsed options.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) keep: bool,
    pub(crate) to_stdout: bool,
    pub(crate) force: bool,
    pub(crate) recursive: bool,
    pub(crate) quiet: bool,
    /// 1 to 9.
    pub(crate) level: u8,
    /// `None` for one worker per core.
    pub(crate) workers: Option<usize>,
    /// In bytes.
    pub(crate) block: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Compress,
            keep: false,
            to_stdout: false,
            force: false,
            recursive: false,
            quiet: false,
            level: 6,
            workers: None,
            block: 128 << 10,
        }
    }
}

pub(crate) enum Wanted {
    Help,
    Version,
    Run(Settings, Vec<OsString>),
}

/// Parses the command line. The error is the line to print.
pub(crate) fn read(mut words: impl Iterator<Item = OsString>) -> Result<Wanted, String> {
    let mut settings = Settings::default();
    let mut inputs = Vec::new();
    while let Some(word) = words.next() {
        let is_option = word.as_encoded_bytes().starts_with(b"-") && word != "-";
        if !is_option {
            inputs.push(word);
            continue;
        }
        if word == "--" {
            inputs.extend(words);
            break;
        }
        let text = word.to_str().ok_or_else(|| format!("unknown option {}", shown(&word)))?;
        let wanted = match text.strip_prefix("--") {
            Some(name) => settings.long(name, &mut words)?,
            None => settings.letters(&text[1..], &mut words)?,
        };
        if let Some(wanted) = wanted {
            return Ok(wanted);
        }
    }
    Ok(Wanted::Run(settings, inputs))
}

impl Settings {
    fn long(
        &mut self,
        name: &str,
        words: &mut impl Iterator<Item = OsString>,
    ) -> Result<Option<Wanted>, String> {
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        let letter = match name {
            "decompress" | "uncompress" => 'd',
            "test" => 't',
            "keep" => 'k',
            "stdout" | "to-stdout" => 'c',
            "force" => 'f',
            "recursive" => 'r',
            "quiet" => 'q',
            "fast" => '1',
            "best" => '9',
            "processes" => 'p',
            "blocksize" => 'b',
            "help" => 'h',
            "version" => 'V',
            _ => return Err(format!("unknown option --{name}")),
        };
        if value.is_some() && !matches!(letter, 'p' | 'b') {
            return Err(format!("--{name} takes no value"));
        }
        let letters = letter.to_string() + value.unwrap_or("");
        self.letters(&letters, words)
    }

    /// Parses several letters in one word. The rest of the word after `p` or `b` is its value.
    fn letters(
        &mut self,
        letters: &str,
        words: &mut impl Iterator<Item = OsString>,
    ) -> Result<Option<Wanted>, String> {
        for (at, letter) in letters.char_indices() {
            let rest = &letters[at + letter.len_utf8()..];
            match letter {
                'd' => self.mode = Mode::Decompress,
                't' => self.mode = Mode::Test,
                'k' => self.keep = true,
                'c' => self.to_stdout = true,
                'f' => self.force = true,
                'r' => self.recursive = true,
                'q' => self.quiet = true,
                '1'..='9' => self.level = letter as u8 - b'0',
                'h' => return Ok(Some(Wanted::Help)),
                'V' => return Ok(Some(Wanted::Version)),
                'p' => {
                    self.workers = Some(value(letter, rest, words, 1..=MOST_WORKERS)?);
                    return Ok(None);
                }
                'b' => {
                    self.block = value(letter, rest, words, BLOCK_KIB)? << 10;
                    return Ok(None);
                }
                _ => return Err(format!("unknown option -{letter}")),
            }
        }
        Ok(None)
    }
}

fn value(
    letter: char,
    rest: &str,
    words: &mut impl Iterator<Item = OsString>,
    allowed: std::ops::RangeInclusive<usize>,
) -> Result<usize, String> {
    let word = if rest.is_empty() {
        words.next().ok_or_else(|| format!("-{letter} wants a number"))?
    } else {
        rest.into()
    };
    let number = word.to_str().and_then(|word| usize::from_str(word).ok());
    number.filter(|number| allowed.contains(number)).ok_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        format!("-{letter} wants a number from {least} to {most}, not {}", shown(&word))
    })
}

fn shown(word: &OsStr) -> String {
    format!("{:?}", word.to_string_lossy())
}
