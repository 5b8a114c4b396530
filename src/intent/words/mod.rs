//! The words of an intent as somebody wrote it: lower case, by sentence, without what stands in quotes (that is content, and
//! asks for nothing), and the base forms that a word may have.

/// One word of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// In lower case, with its apostrophe.
    pub(super) text: String,
    /// True when a clause begins with it: first in a sentence or after a comma, a colon, a dash or a number of a list.
    pub(super) begins: bool,
}

/// The sentences of a text, each as its words.
pub(super) fn sentences(text: &str) -> Vec<Vec<Word>> {
    let mut out = Vec::new();
    let mut sentence: Vec<Word> = Vec::new();
    let mut begins = true;
    for piece in pieces(&without_quotes(text)) {
        match piece {
            Piece::Word(w) => {
                // The number of a list item (`1.`) is no word of the sentence that follows.
                if w.bytes().all(|b| b.is_ascii_digit()) && begins {
                    continue;
                }
                sentence.push(Word { text: w, begins });
                begins = false;
            }
            Piece::Pause => begins = true,
            Piece::End => {
                begins = true;
                if !sentence.is_empty() {
                    out.push(std::mem::take(&mut sentence));
                }
            }
        }
    }
    if !sentence.is_empty() {
        out.push(sentence);
    }
    out
}

enum Piece {
    Word(String),
    Pause,
    End,
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let joined = matches!(c, '\'' | '\u{2019}' | '-' | '.' | '@' | '_' | '/')
            && !word.is_empty()
            && chars.peek().is_some_and(|n| n.is_alphanumeric());
        if c.is_alphanumeric() || joined {
            word.push(if c == '\u{2019}' { '\'' } else { c });
            continue;
        }
        if !word.is_empty() {
            out.push(Piece::Word(std::mem::take(&mut word).to_lowercase()));
        }
        match c {
            '.' | '!' | '?' | ';' | '\n' => out.push(Piece::End),
            ',' | ':' | '(' | ')' | '\u{2014}' | '\u{2013}' => out.push(Piece::Pause),
            _ => {}
        }
    }
    if !word.is_empty() {
        out.push(Piece::Word(word.to_lowercase()));
    }
    out
}

/// The text with everything between quotation marks left out. An apostrophe inside a word opens nothing.
fn without_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut close: Option<char> = None;
    let chars: Vec<char> = text.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|p| chars.get(p)).copied();
        let after = chars.get(i + 1).copied();
        let opens = before.is_none_or(|b| b.is_whitespace() || "([{:,".contains(b))
            && after.is_some_and(|a| !a.is_whitespace());
        let closes = after.is_none_or(|a| !a.is_alphanumeric());
        match (close, *c) {
            (Some(end), c) if c == end && closes => close = None,
            (Some(_), '\n') => {
                // A quotation that is not closed on its line was none.
                close = None;
                out.push('\n');
            }
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') if opens && is_closed(&chars, i) => close = Some(*c),
            (None, '\u{201c}') if is_closed(&chars, i) => close = Some('\u{201d}'),
            (None, '\u{2018}') if is_closed(&chars, i) => close = Some('\u{2019}'),
            (None, c) => out.push(c),
        }
    }
    out
}

fn is_closed(chars: &[char], open: usize) -> bool {
    let end = match chars.get(open) {
        Some('\u{201c}') => '\u{201d}',
        Some('\u{2018}') => '\u{2019}',
        Some(c) => *c,
        None => return false,
    };
    let rest = chars.get(open + 1..).unwrap_or(&[]);
    let line = rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
    rest.iter().take(line).enumerate().any(|(i, c)| *c == end && rest.get(i + 1).is_none_or(|a| !a.is_alphanumeric()))
}

/// The base form of a noun, roughly: without a plural's ending.
pub(crate) fn singular(word: &str) -> &str {
    if word.len() > 4 && (word.ends_with("sses") || word.ends_with("xes") || word.ends_with("ches")) {
        return word.strip_suffix("es").unwrap_or(word);
    }
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 1 && !stem.ends_with(['s', 'u', 'i']) => stem,
        _ => word,
    }
}

/// The verbs that a word in `-ing` may come from: `sending` → `send`, `deleting` → `delete`, `cancelling` → `cancel`.
pub(super) fn from_ing(word: &str) -> impl Iterator<Item = String> {
    let stem = word.strip_suffix("ing").filter(|s| s.len() > 2);
    let doubled = stem.and_then(|s| {
        let mut back = s.chars().rev();
        (back.next().is_some() && back.next() == s.chars().next_back()).then(|| s.get(..s.len() - 1)).flatten()
    });
    let silent_e = stem.map(|s| format!("{s}e"));
    stem.map(str::to_owned).into_iter().chain(silent_e).chain(doubled.map(str::to_owned))
}

/// The words of a name: split at `_`, `-`, `.`, `/`, white space and where capitals begin, in lower case.
pub(crate) fn name_words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            out.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            continue;
        }
        let after_small = i > 0 && chars.get(i - 1).is_some_and(|p| p.is_lowercase() || p.is_ascii_digit());
        let before_small = chars.get(i + 1).is_some_and(|n| n.is_lowercase());
        let after_big = i > 0 && chars.get(i - 1).is_some_and(|p| p.is_uppercase());
        if c.is_uppercase() && (after_small || after_big && before_small) && !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        word.extend(c.to_lowercase());
    }
    out.extend((!word.is_empty()).then_some(word));
    out
}

#[cfg(test)]
mod tests;
