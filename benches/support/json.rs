//! Writes measurements as JSON lines, one flat object per line, for `ci/bench_table.sh`.

#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The file for the measurements, if one was requested.
pub(crate) struct Journal(Option<File>);

/// What a field can hold.
pub(crate) enum Value<'a> {
    Word(&'a str),
    Number(f64),
    /// Written as `null`: there was nothing to divide by, or nothing was measured.
    Nothing,
}

impl Journal {
    /// Opens the file for appending, so that the benches can share it.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let append = |path| OpenOptions::new().create(true).append(true).open(path);
        path.map(append).transpose().map(Self)
    }

    /// Writes one object, with its fields in the given order.
    pub(crate) fn line(&mut self, fields: &[(&str, Value<'_>)]) {
        let Some(file) = &mut self.0 else { return };
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("\"{name}\":{}", value.text())).collect();
        writeln!(file, "{{{}}}", fields.join(",")).expect("the journal can be written");
    }
}

impl From<Option<f64>> for Value<'_> {
    fn from(number: Option<f64>) -> Self {
        number.filter(|n| n.is_finite()).map_or(Self::Nothing, Self::Number)
    }
}

impl Value<'_> {
    fn text(&self) -> String {
        match self {
            // All words are our own, without quotes or backslashes. `{:?}` would escape those
            // anyway.
            Self::Word(word) => format!("{word:?}"),
            Self::Number(number) => format!("{number:.4}"),
            Self::Nothing => "null".to_owned(),
        }
    }
}
