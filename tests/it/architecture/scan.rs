//! Reads Rust files as text: which rooms and crates a file names in its code, comments and strings left out.

use std::fs;
use std::path::Path;

/// One source file.
pub struct Source {
    /// From the root of the repository, with forward slashes.
    pub path: String,
    pub text: String,
}

/// A word or a mark of the code, and the line that it stands on.
#[derive(Debug, PartialEq)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// Every file below `src/`, in a stable order.
pub fn sources() -> Vec<Source> {
    let out = below(&["src"]);
    assert!(out.len() > 20, "src/ was not found");
    out
}

/// Every Rust file that was written by hand, tests, benchmarks and examples too.
pub fn all_rust() -> Vec<Source> {
    let places = ["src", "tests", "examples", "benches", "build.rs"];
    let out = below(&places);
    for place in places.into_iter().chain(["tests/it", "tests/fuzz", "tests/compile_fail"]) {
        assert!(out.iter().any(|source| source.path.starts_with(place)), "{place} was not found");
    }
    out
}

/// The Rust files at these places, each a file or a folder.
fn below(places: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut out, mut open) = (Vec::new(), places.iter().map(|place| root.join(place)).collect::<Vec<_>>());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let inside = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            // What is built below `tests/fuzz` was written by nobody.
            open.extend(inside.filter(|path| !path.ends_with("target")));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            out.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

impl Source {
    /// The room that it stands in; none for the root files.
    pub fn room(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(room, _)| room)
    }

    /// True for unit tests.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// True when there is more in it than comments.
    pub fn holds_code(&self) -> bool {
        !blank(&self.text).trim().is_empty()
    }

    /// Rooms that its code names, with the line of each.
    pub fn named_rooms(&self) -> Vec<(String, usize)> {
        let code = blank(&self.text);
        let tokens = tokens(&code);
        let mut out = Vec::new();
        for (at, window) in tokens.windows(3).enumerate() {
            let [root, colons, next] = window else { continue };
            if !matches!(root.text, "crate" | "carnet") || colons.text != "::" {
                continue;
            }
            if next.text == "{" {
                out.extend(group(&tokens[at + 3..]));
            } else {
                out.push((next.text.to_owned(), next.line));
            }
        }
        out
    }

    /// Lines on which `super::` climbs out of the room.
    pub fn escapes(&self) -> Vec<usize> {
        let folders = self.path.trim_end_matches("/mod.rs").trim_end_matches(".rs").matches('/').count();
        let code = blank(&self.text);
        let tokens = tokens(&code);
        let (mut out, mut climbed) = (Vec::new(), 0);
        for pair in tokens.windows(2) {
            match (pair[0].text, pair[1].text) {
                ("super", "::") => {
                    climbed += 1;
                    if climbed == folders {
                        out.push(pair[0].line);
                    }
                }
                ("::", "super") => {}
                _ => climbed = 0,
            }
        }
        out
    }

    /// Lines on which the code names that crate.
    pub fn names_crate(&self, name: &str) -> Vec<usize> {
        let code = blank(&self.text);
        let tokens = tokens(&code);
        let (mut out, mut group) = (Vec::new(), None);
        for (at, token) in tokens.iter().enumerate() {
            let before = |n: usize| at.checked_sub(n).and_then(|i| tokens.get(i)).map_or("", |t| t.text);
            // Members of `use a::{b, c}` begin no path of their own.
            group = match (group, token.text) {
                (None, "use") => Some(0),
                (Some(_), ";") => None,
                (Some(0), "{") if before(1) == "use" => Some(0),
                (Some(depth), "{") => Some(depth + 1),
                (Some(depth), "}") => Some(depth.max(1) - 1),
                (group, _) => group,
            };
            if token.text != name || group.is_some_and(|depth| depth > 0) {
                continue;
            }
            let after = tokens.get(at + 1).map_or("", |t| t.text);
            let is_root = before(1) != "::" || !is_word(before(2)) && before(2) != ">";
            let is_use = before(1) == "use" && matches!(after, ";" | "as" | "::");
            if is_root && (after == "::" || is_use) {
                out.push(token.line);
            }
        }
        out
    }

    /// Lines on which the code has that word.
    pub fn names_word(&self, word: &str) -> Vec<usize> {
        let code = blank(&self.text);
        tokens(&code).iter().filter(|t| t.text == word).map(|t| t.line).collect()
    }

    /// Modules that it declares.
    pub fn modules(&self) -> Vec<String> {
        let code = blank(&self.text);
        let tokens = tokens(&code);
        let pairs = tokens.windows(2).filter(|pair| pair[0].text == "mod" && is_word(pair[1].text));
        pairs.map(|pair| pair[1].text.to_owned()).collect()
    }
}

/// The first words of each member of a `{…}` group, up to its end.
fn group(tokens: &[Token<'_>]) -> Vec<(String, usize)> {
    let (mut depth, mut is_start, mut out) = (0, true, Vec::new());
    for token in tokens {
        match token.text {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," if depth == 0 => is_start = true,
            word if is_start => {
                out.push((word.to_owned(), token.line));
                is_start = false;
            }
            _ => {}
        }
    }
    out
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::`, and every other mark by itself.
fn tokens(code: &str) -> Vec<Token<'_>> {
    let (mut out, mut line, mut rest) = (Vec::new(), 1, code);
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (text, after) = rest.split_at(length);
        if first == '\n' {
            line += 1;
        } else if !first.is_whitespace() {
            out.push(Token { text, line });
        }
        rest = after;
    }
    out
}

/// The text with comments, strings and character literals replaced by blanks; lines stay where they are.
fn blank(text: &str) -> String {
    let (mut out, mut rest, mut after_word) = (String::with_capacity(text.len()), text, false);
    while let Some(first) = rest.chars().next() {
        let hidden = if after_word { opaque_after_word(rest) } else { opaque(rest) };
        let length = hidden.unwrap_or(first.len_utf8());
        let (piece, after) = rest.split_at(length);
        match hidden {
            None => out.push_str(piece),
            Some(_) => out.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
        }
        after_word = hidden.is_none() && (first.is_alphanumeric() || first == '_');
        rest = after;
    }
    out
}

/// Within a word `r"` is no raw string, but a comment or a plain string may still begin.
fn opaque_after_word(rest: &str) -> Option<usize> {
    if rest.starts_with(['/', '"']) { opaque(rest) } else { None }
}

/// Length of the comment or literal that `rest` begins with.
fn opaque(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    let body = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let prefix = rest.len() - body.len();
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let inner = raw[hashes + 1..].find(&end).unwrap_or(raw.len() - hashes - 1);
            return Some((prefix + 1 + hashes + 1 + inner + end.len()).min(rest.len()));
        }
    }
    if body.starts_with('"') {
        return Some(prefix + quoted(body, '"'));
    }
    let mut chars = body.strip_prefix('\'')?.chars();
    match (chars.next()?, chars.next()?) {
        ('\\', _) => Some(prefix + quoted(body, '\'')),
        (c, '\'') => Some(prefix + 2 + c.len_utf8()),
        _ => None, // a lifetime
    }
}

fn quoted(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    body.len()
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}
