//! What an intent says is not to be done: a value that it names only there is named, and not asked for.

use std::borrow::Cow;

/// The prose without what it refuses: from the word that does so to the end of the clause.
pub(crate) fn affirmed(prose: &str) -> Cow<'_, str> {
    let words: Vec<(&str, String)> = prose.split_inclusive(char::is_whitespace).map(|raw| (raw, plain(raw))).collect();
    let word = |at: Option<usize>| at.and_then(|at| words.get(at)).map_or("", |(_, plain)| plain.as_str());
    if !words.iter().any(|(_, plain)| plain == "not" || REFUSALS.contains(&plain.as_str())) {
        return Cow::Borrowed(prose);
    }
    let (mut out, mut refusing) = (String::with_capacity(prose.len()), false);
    for (at, (raw, plain)) in words.iter().enumerate() {
        let (before, after) = (word(at.checked_sub(1)), word(Some(at + 1)));
        let bare_not = plain == "not" && (AUXILIARIES.contains(&before) || PREPOSITIONS.contains(&after));
        if TURNS.contains(&plain.as_str()) {
            refusing = false;
        } else if (bare_not || REFUSALS.contains(&plain.as_str())) && !UNREFUSED.contains(&after) {
            refusing = true;
        }
        // Something stands in its place, so that what is left and right of it does not come together.
        out.push_str(if refusing { "\n" } else { raw });
        let ends = raw.contains('\n')
            || raw.trim_end_matches(|c: char| c.is_whitespace() || CLOSING.contains(&c)).ends_with(ENDS);
        refusing &= !ends;
    }
    Cow::Owned(out)
}

fn plain(raw: &str) -> String {
    raw.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace('\u{2019}', "'")
}

/// Words that refuse what follows.
const REFUSALS: &[&str] = &["don't", "dont", "never", "mustn't", "shouldn't", "can't", "cannot", "avoid"];
/// Words after which `not` refuses.
const AUXILIARIES: &[&str] = &["do", "must", "should", "shall", "may", "can", "will"];
/// Words before which `not` refuses: `to Ann, not to Bob`.
const PREPOSITIONS: &[&str] = &["to", "into", "at", "from", "in", "with", "for"];
/// Words that make a refusal a request.
const UNREFUSED: &[&str] = &["forget", "fail", "hesitate", "miss", "only", "just"];
/// Words that turn from what is refused to what is asked for.
const TURNS: &[&str] = &["but", "instead", "rather", "then"];
const ENDS: &[char] = &['.', ',', ';', ':', '!', '?'];
const CLOSING: &[char] = &['"', '\'', ')', ']', '\u{2019}', '\u{201d}'];
