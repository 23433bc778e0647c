//! Reads Rust source as far as the house rules need it: code apart from comments and literals, as
//! words.

/// One file, taken apart.
#[derive(Debug)]
pub(super) struct Source {
    /// From the crate's root, with `/` between folders.
    pub(super) path: String,
    pub(super) text: String,
    /// The comments of each line; empty where there is none.
    pub(super) comments: Vec<String>,
    pub(super) words: Vec<Word>,
}

/// A name, a `::`, or one other sign, outside comments and literals.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    /// Counted from 1.
    pub(super) line: usize,
    /// The modules around it that stand in this file, from the outermost in.
    pub(super) inside: Vec<String>,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = split(text);
        Self {
            path: path.replace('\\', "/"),
            text: text.to_owned(),
            comments: comments.lines().map(|line| line.trim().to_owned()).collect(),
            words: with_modules(words(&code)),
        }
    }

    /// The file's module as the crate knows it: `task`, `raw` for `src/task/raw.rs`; none for
    /// `lib.rs`.
    pub(super) fn home(&self) -> Vec<String> {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let mut home: Vec<_> =
            inner.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if home.last().is_some_and(|name| name == "mod") || home == ["lib"] {
            home.pop();
        }
        home
    }

    /// The name of the module under the crate's root that this file belongs to; `lib` for the root.
    pub(super) fn top(&self) -> String {
        self.home().into_iter().next().unwrap_or_else(|| "lib".to_owned())
    }

    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| &word.text)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// Code and comments as two texts of the same lines; what is in neither is blank.
fn split(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let mut at = 0;
    while at < chars.len() {
        let (kind, length) = piece(&chars[at..]);
        for &c in &chars[at..(at + length).min(chars.len())] {
            let only = |wanted| if kind == wanted || c == '\n' { c } else { ' ' };
            code.push(only(Kind::Code));
            comments.push(only(Kind::Comment));
        }
        at += length;
    }
    (code, comments)
}

/// What starts here, and how long it is: at least 1.
fn piece(rest: &[char]) -> (Kind, usize) {
    if rest.starts_with(&['/', '/']) {
        return (Kind::Comment, length_until(rest, |c| c == '\n'));
    }
    if rest.starts_with(&['/', '*']) {
        return (Kind::Comment, block_comment(rest));
    }
    if let Some(length) = raw_string(rest) {
        return (Kind::Literal, length);
    }
    match rest[0] {
        '"' => (Kind::Literal, quoted(rest, '"')),
        // A lifetime has no closing quote right after its first letter.
        '\'' if rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'') => {
            (Kind::Literal, quoted(rest, '\''))
        }
        c if is_name(c) => (Kind::Code, length_until(rest, |c| !is_name(c))),
        _ => (Kind::Code, 1),
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn length_until(rest: &[char], end: impl Fn(char) -> bool) -> usize {
    rest.iter().position(|&c| end(c)).unwrap_or(rest.len())
}

/// Block comments nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The length of `r"..."`, `br#"..."#` and their like.
fn raw_string(rest: &[char]) -> Option<usize> {
    let prefix = length_until(rest, |c| !is_name(c));
    if !matches!(rest[..prefix], ['r'] | ['b' | 'c', 'r']) {
        return None;
    }
    let hashes = length_until(&rest[prefix..], |c| c != '#');
    let inner = prefix + hashes + 1;
    if rest.get(inner - 1) != Some(&'"') {
        return None;
    }
    let mut closing = vec!['"'];
    closing.resize(hashes + 1, '#');
    let length = rest[inner..].windows(closing.len()).position(|window| window == closing);
    Some(length.map_or(rest.len(), |length| inner + length + closing.len()))
}

fn words(code: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let length = match rest.find(|c| !is_name(c)).unwrap_or(rest.len()) {
                0 if rest.starts_with("::") => 2,
                0 => rest.chars().next().map_or(1, char::len_utf8),
                name => name,
            };
            let (text, after) = rest.split_at(length);
            words.push(Word { text: text.to_owned(), line: number + 1, inside: Vec::new() });
            rest = after.trim_start();
        }
    }
    words
}

/// Notes for each word which `mod name { ... }` it stands in.
fn with_modules(mut words: Vec<Word>) -> Vec<Word> {
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    for at in 0..words.len() {
        match words[at].text.as_str() {
            "{" => {
                depth += 1;
                if at >= 2 && words[at - 2].text == "mod" {
                    open.push((words[at - 1].text.clone(), depth));
                }
            }
            "}" => {
                if open.last().is_some_and(|(_, opened)| *opened == depth) {
                    open.pop();
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        words[at].inside = open.iter().map(|(name, _)| name.clone()).collect();
    }
    words
}
