//! Prose as words, with what parts them: pauses, ends of sentences, items of lists, quotes and brackets.

use std::collections::BTreeMap;

/// What stands before a word, the strongest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pause {
    None,
    /// The end of a line, which may be that of a sentence or the edge of the page.
    Line,
    /// A comma or a dash.
    Comma,
    Colon,
    Semicolon,
    /// The end of a sentence, or an empty line.
    Stop,
    /// The mark of an item of a list.
    Item,
}

/// A word, with where it stands.
#[derive(Debug)]
pub(super) struct Word<'a> {
    pub(super) start: usize,
    /// As it stands in the text, with everything up to the next.
    pub(super) raw: &'a str,
    /// In lower case, without marks around it.
    pub(super) plain: String,
    pub(super) before: Pause,
    /// There was a colon among what stands before it.
    pub(super) colon: bool,
    /// In how many quotes and brackets it stands.
    pub(super) depth: usize,
    /// A pair of those opens right before it.
    pub(super) opens: bool,
}

impl Word<'_> {
    /// True for what looks like a place: an address, a URL, a path, a number of an account.
    pub(super) fn is_value(&self) -> bool {
        self.plain.contains(['@', '/', '\\'])
            || self.plain.bytes().filter(u8::is_ascii_digit).count() >= VALUE_DIGITS_MIN
    }
}

/// Longest word, in bytes, that is taken for one where it is marked.
const MARKED_MAX: usize = 512;
/// Digits from which on a word is taken for a value.
const VALUE_DIGITS_MIN: usize = 4;

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut reader = Reader {
        text,
        words: Vec::new(),
        begun: None,
        gap: Gap::default(),
        closers: Vec::new(),
        looked: BTreeMap::new(),
    };
    let mut prev = '\n';
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map_or('\n', |(_, c)| *c);
        reader.take(at, (prev, c, next));
        prev = c;
    }
    reader.end(text.len());
    let mut end = text.len();
    for word in reader.words.iter_mut().rev() {
        word.raw = text.get(word.start..end).unwrap_or("");
        end = word.start;
    }
    reader.words
}

/// What was met since the last word.
#[derive(Debug)]
struct Gap {
    pause: Pause,
    colon: bool,
    opens: bool,
    lines: usize,
}

impl Default for Gap {
    fn default() -> Self {
        Self { pause: Pause::None, colon: false, opens: false, lines: 0 }
    }
}

struct Reader<'a> {
    text: &'a str,
    words: Vec<Word<'a>>,
    begun: Option<usize>,
    gap: Gap,
    /// What closes the quotes and brackets that are open.
    closers: Vec<char>,
    /// Of each of those, what the last look for it has found: so many open ones cost no more than one.
    looked: BTreeMap<char, Looked>,
}

/// A look for what closes, within a paragraph.
#[derive(Debug, Clone, Copy)]
struct Looked {
    from: usize,
    /// Where it was found, or where the paragraph ends.
    to: usize,
    found: bool,
}

impl Reader<'_> {
    fn take(&mut self, at: usize, (prev, c, next): (char, char, char)) {
        let within = |c: char| c.is_alphanumeric();
        let pause = match c {
            '\n' => Pause::Line,
            ',' | ';' if prev.is_ascii_digit() && next.is_ascii_digit() => return self.go_on(at),
            ',' | '\u{2013}' | '\u{2014}' => Pause::Comma,
            ';' => Pause::Semicolon,
            '.' | '!' | '?' | ':' if !is_edge(next) => return self.go_on(at),
            ':' => Pause::Colon,
            '.' | '!' | '?' => Pause::Stop,
            '-' | '*' | '\u{2022}' if self.is_line_begin(at) && next.is_whitespace() => Pause::Item,
            '-' if prev.is_whitespace() && (next.is_whitespace() || next == '-') => Pause::Comma,
            '\'' | '\u{2019}' if within(prev) && within(next) => return self.go_on(at),
            c if c.is_whitespace() => Pause::None,
            ')' if self.is_number_of_item(at) => Pause::Item,
            c if OPENING.contains(&c) || CLOSING.contains(&c) => {
                self.end(at);
                self.bracket(at, (prev, c, next));
                Pause::None
            }
            _ => return self.go_on(at),
        };
        let pause = if c == '.' && self.goes_on(at) { Pause::None } else { pause };
        let pause = if pause == Pause::Stop && self.is_number_of_item(at) { Pause::Item } else { pause };
        self.end(at);
        let gap = &mut self.gap;
        gap.lines = if c == '\n' { gap.lines + 1 } else { gap.lines };
        gap.colon |= pause == Pause::Colon;
        gap.pause = gap.pause.max(if gap.lines > 1 && pause == Pause::Line { Pause::Stop } else { pause });
        if gap.lines > 1 {
            self.closers.clear();
        }
    }

    fn go_on(&mut self, at: usize) {
        self.begun.get_or_insert(at);
    }

    fn end(&mut self, at: usize) {
        let Some(start) = self.begun.take() else { return };
        let gap = std::mem::take(&mut self.gap);
        let plain = self.text.get(start..at).unwrap_or("").trim_matches(|c: char| !c.is_alphanumeric() && c != '/');
        let plain = plain.to_lowercase().replace('\u{2019}', "'");
        if plain.is_empty() {
            self.gap = gap;
            return;
        }
        // A full stop before a small letter ends no sentence for sure.
        let first = self.text.get(start..).and_then(|rest| rest.chars().next());
        let small = gap.pause == Pause::Stop && gap.lines < 2 && first.is_some_and(char::is_lowercase);
        let before = if small { Pause::Comma } else { gap.pause };
        let (depth, colon, opens) = (self.closers.len(), gap.colon, gap.opens);
        self.words.push(Word { start, raw: "", plain, before, colon, depth, opens });
    }

    fn bracket(&mut self, at: usize, (prev, c, next): (char, char, char)) {
        if self.closers.last() == Some(&c) && (c != '\'' || !next.is_alphanumeric()) {
            self.closers.pop();
            return;
        }
        let Some(closer) = OPENING.iter().position(|o| *o == c).and_then(|n| CLOSERS.get(n)) else { return };
        if c == '\'' && (prev.is_alphanumeric() || next.is_whitespace()) {
            return;
        }
        let from = at + c.len_utf8();
        let closed = self.closed(from, *closer);
        // One word alone may be marked for its weight (`do "not" send`).
        let inner = closed.and_then(|end| self.text.get(from..end)).unwrap_or("");
        if inner.len() > MARKED_MAX || inner.trim().contains(char::is_whitespace) {
            self.closers.push(*closer);
            self.gap.opens = true;
        }
    }

    /// Where that is closed from there on, in the same paragraph.
    fn closed(&mut self, from: usize, closer: char) -> Option<usize> {
        let known = self.looked.get(&closer).copied().filter(|known| (known.from..=known.to).contains(&from));
        let looked = known.unwrap_or_else(|| {
            let rest = self.text.get(from..).unwrap_or("");
            let rest = rest.split("\n\n").next().unwrap_or("");
            let found = rest.char_indices().find(|(i, c)| {
                let behind = rest.get(i + c.len_utf8()..).and_then(|rest| rest.chars().next());
                *c == closer && (*c != '\'' || behind.is_none_or(|b| !b.is_alphanumeric()))
            });
            Looked { from, to: from + found.map_or(rest.len(), |(i, _)| i), found: found.is_some() }
        });
        self.looked.insert(closer, looked);
        looked.found.then_some(looked.to)
    }

    fn is_line_begin(&self, at: usize) -> bool {
        let line = self.text.get(..at).and_then(|before| before.rsplit('\n').next()).unwrap_or("");
        line.chars().all(char::is_whitespace)
    }

    /// True when the word that ends there is a short form, and no end of a sentence.
    fn goes_on(&self, at: usize) -> bool {
        let word = self.begun.and_then(|start| self.text.get(start..at)).unwrap_or("");
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        word.chars().count() == 1 && word.chars().all(char::is_alphabetic)
            || word.contains('.') && word.len() <= 5
            || SHORT_FORMS.contains(&word.as_str())
    }

    /// True when the word that ends there is the number of an item of a list; it is dropped then.
    fn is_number_of_item(&mut self, at: usize) -> bool {
        let Some(start) = self.begun else { return false };
        let number = self.text.get(start..at).unwrap_or("");
        let is_number = number.bytes().all(|b| b.is_ascii_digit()) && self.is_line_begin(start);
        if is_number {
            self.begun = None;
        }
        is_number
    }
}

/// The words of a stretch by sentences, as places in the text.
pub(super) fn sentences(words: &[Word<'_>], group: &[usize]) -> Vec<Vec<usize>> {
    let mut out: Vec<Vec<usize>> = Vec::new();
    for at in group {
        let Some(word) = words.get(*at) else { continue };
        // What stands in quotes or brackets between them may have begun it.
        let last = out.last().and_then(|sentence| sentence.last());
        let marked = last.map(|last| last + 1).filter(|first| first < at).and_then(|first| words.get(first));
        // A line that begins with a verb in capitals is a sentence of its own; any other may go on with the one before.
        let begins = word.before >= Pause::Stop
            || marked.is_some_and(|w| w.depth > word.depth && w.before >= Pause::Stop)
            || word.before == Pause::Line
                && word.raw.starts_with(char::is_uppercase)
                && crate::intent::fit::is_verb(&word.plain);
        match out.last_mut() {
            Some(sentence) if !begins => sentence.push(*at),
            _ => out.push(vec![*at]),
        }
    }
    out
}

/// True for what ends a word: white space, or a mark that closes something.
fn is_edge(c: char) -> bool {
    c.is_whitespace() || CLOSING.contains(&c) || matches!(c, '"' | '.' | '!' | '?' | ',' | '*')
}

const OPENING: &[char] = &['(', '[', '{', '"', '`', '\'', '\u{201c}', '\u{2018}', '\u{201e}'];
/// What closes each of them, in their order.
const CLOSERS: &[char] = &[')', ']', '}', '"', '`', '\'', '\u{201d}', '\u{2019}', '\u{201c}'];
const CLOSING: &[char] = &[')', ']', '}', '"', '`', '\'', '\u{201d}', '\u{2019}', '\u{201c}'];
/// Words that end with a full stop in the middle of a sentence.
const SHORT_FORMS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "nr", "etc", "vs", "cf", "approx", "incl", "excl", "dept", "inc", "ltd",
    "co", "corp", "jr", "sr",
];
