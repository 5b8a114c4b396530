//! What an intent hands over to a source that it names: `pay the bill in may.txt`, `her e-mail address is on her page https://…`. The
//! user said which source says the value and what kind of value it is; what stands there alone of its kind is what he meant.

// To whoever can add to that source this gives nothing: a value beside the one that is meant makes two, and a person is asked. Whoever
// replaces it writes the very value that the user asked to take from him. So:
// * accounts are never handed over: a bill with another account is the oldest fraud there is, and takes a person's look;
// * the intent names the source exactly, by an argument of the read that brought it (a path, a URL, an id, a channel), and what was
//   searched for names none: whoever writes can be found by any word;
// * it says in the same sentence, before the source, what kind of value stands there (`address`, `link`, `amount`), or it
//   tells to pay a bill, which says how much. `Do what it says` hands over no value: everything may stand there;
// * the kind has a shape by which others of it are seen, and they are counted widely: what merely looks like one counts. So names,
//   ids and paths are never handed over;
// * it names no value of that kind itself: then it is that one;
// * the value is ground for this sink, and what is done with it makes no ground for others (as with patterns);
// * the agent had not said it before: else it could have written the source.

use std::collections::BTreeSet;

use super::fit::lexicon_holds as holds;
use super::{spelling, walk};
use crate::catalogue::tool::Tool;
use crate::model::access::Effect;
use crate::model::json::Json;
use crate::model::limits::SINK_VALUE_BYTES_MAX;
use crate::model::sink::SinkKind;

/// Shortest argument, in bytes, that names a source: shorter ones stand in any sentence by chance.
const SOURCE_BYTES_MIN: usize = 3;
/// How far before an address a word may stand that says whose it is.
const OWNER_DISTANCE: usize = 3;
/// Digits of a word that looks like the name of an object.
const OBJECT_DIGITS_MIN: usize = 3;

/// The kinds of values that can be handed over: those with a shape.
const KINDS: [SinkKind; 3] = [SinkKind::Address, SinkKind::Amount, SinkKind::Url];

/// Words of names of tools that look for things instead of opening one.
const SEARCHES: &str = "search find query lookup list filter";

/// What a source says that the intent handed over to it, with the paths at which it stands there.
pub(super) fn by(intent: &str, tool: &Tool, arguments: &Json, result: &Json) -> Vec<(SinkKind, String, String)> {
    if tool.effect != Effect::Read {
        return Vec::new();
    }
    let kinds = kinds(intent, tool, arguments);
    let alone = |kind: &SinkKind| {
        let names_one = match kind {
            // The page that a link stands on is named by its own.
            SinkKind::Url | SinkKind::Amount => false,
            kind => !values(*kind, intent).is_empty(),
        };
        let (value, path) = alone(*kind, result).filter(|_| !names_one)?;
        Some((*kind, value, path))
    };
    let mut out: Vec<_> = kinds.iter().filter_map(alone).collect();
    if values(SinkKind::Address, intent).is_empty() {
        out.extend(of_role(intent, tool, arguments, result).map(|(value, path)| (SinkKind::Address, value, path)));
    }
    out
}

/// The address in a field that the intent names by its role, in a record that it names: `write to the requester of T-1`. The service has
/// put it there, whatever the requester wrote; who it is, is what the user said.
fn of_role(intent: &str, tool: &Tool, arguments: &Json, result: &Json) -> Option<(String, String)> {
    let sources = sources(tool, arguments);
    let named = sentences(intent).filter(|s| sources.iter().any(|source| stands_in(s, source).is_some()));
    let words: BTreeSet<String> = named.flat_map(str::split_whitespace).map(plain).collect();
    let mut found: Vec<(String, String)> = Vec::new();
    walk::leaves(result, &mut |path, text| {
        let is_role = |part: &str| holds(ROLES, part) && (words.contains(part) || words.contains(&format!("{part}'s")));
        if path.split('.').any(is_role) && spelling::is_address(text) && found.iter().all(|(known, _)| known != text) {
            found.push((text.to_owned(), path.to_owned()));
        }
    });
    found.pop().filter(|_| found.is_empty())
}

/// Who takes part in a record, as fields and people say it.
const ROLES: &str = "requester customer client sender author reporter owner organizer organiser creator applicant guest tenant patient \
    landlord buyer seller assignee submitter";

fn plain(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace('\u{2019}', "'")
}

/// The kinds of values of which the intent says that they stand in what these arguments name.
fn kinds(intent: &str, tool: &Tool, arguments: &Json) -> Vec<SinkKind> {
    let sources = sources(tool, arguments);
    let mut out = Vec::new();
    for sentence in sentences(intent) {
        for source in &sources {
            if let Some(at) = stands_in(sentence, source) {
                out.extend(said_before(sentence.get(..at).unwrap_or("")));
            }
        }
    }
    KINDS.into_iter().filter(|kind| out.contains(kind)).collect()
}

/// What of the arguments names what is read.
fn sources<'a>(tool: &Tool, arguments: &'a Json) -> Vec<&'a str> {
    let searches = super::words::name_words(tool.name.as_str()).iter().any(|word| holds(SEARCHES, word));
    let mut sources = Vec::new();
    walk::leaves(arguments, &mut |path, text| {
        let names_one = tool.sink(path).is_some() || !searches;
        if names_one && (SOURCE_BYTES_MIN..=SINK_VALUE_BYTES_MAX).contains(&text.len()) {
            sources.push(text);
        }
    });
    sources
}

fn stands_in(sentence: &str, source: &str) -> Option<usize> {
    spelling::find_alone(sentence, SinkKind::Url, source).next()
}

/// The kinds of values that the words before a source say to be there.
fn said_before(before: &str) -> Vec<SinkKind> {
    let words: Vec<String> = before.split_whitespace().map(str::to_lowercase).collect();
    // What stands before another source is said of that one.
    let own = words.iter().rposition(|word| is_object(word)).map_or(0, |at| at + 1);
    let words: Vec<&str> = words.iter().skip(own).map(|w| w.trim_matches(|c: char| !c.is_alphanumeric())).collect();
    let pays = words.iter().any(|w| holds("pay paying settle settling transfer transferring", w));
    let mut out = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = words.get(at.saturating_sub(OWNER_DISTANCE)..at).unwrap_or(&[]);
        let is_owned = before.iter().any(|w| holds("her his their its whose my our", w) || is_possessive(w));
        let is_mail = before.last().is_some_and(|w| holds("email e-mail mail", w));
        match *word {
            "address" | "addresses" if is_mail || is_owned => out.push(SinkKind::Address),
            "email" | "e-mail" if is_owned => out.push(SinkKind::Address),
            "link" | "links" | "linked" | "url" | "urls" => out.push(SinkKind::Url),
            "bill" | "invoice" | "fine" | "fee" | "toll" | "dues" if pays => out.push(SinkKind::Amount),
            "amount" | "total" | "sum" | "price" | "fee" | "rent" => out.push(SinkKind::Amount),
            _ => {}
        }
    }
    out
}

fn is_possessive(word: &str) -> bool {
    word.ends_with("'s") || word.ends_with("\u{2019}s")
}

/// True for a word that is the name of an object rather than a word: a path, a URL, an address, an id.
fn is_object(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let inner_dot = word.split('.').filter(|part| !part.is_empty()).count() > 1;
    inner_dot || word.contains(['/', '@', '\\']) || word.bytes().filter(u8::is_ascii_digit).count() >= OBJECT_DIGITS_MIN
}

/// The sentences of a text: they end at a line's end, and at a mark behind which a space stands.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = |(at, c): (usize, char)| {
            let behind = rest.get(at + c.len_utf8()..).unwrap_or("");
            (c == '\n' || matches!(c, '.' | '!' | '?' | ';') && behind.starts_with(char::is_whitespace))
                .then_some(at + c.len_utf8())
        };
        let end = rest.char_indices().find_map(ends).unwrap_or(rest.len());
        let (sentence, behind) = rest.split_at(end);
        rest = behind;
        Some(sentence)
    })
}

/// The only value of a kind in a result, and where it stands first.
fn alone(kind: SinkKind, result: &Json) -> Option<(String, String)> {
    let (mut all, mut totals) = (BTreeSet::new(), BTreeSet::new());
    let mut places: Vec<(String, String)> = Vec::new();
    walk::leaves(result, &mut |path, text| {
        for value in values(kind, text) {
            places.push((value.clone(), path.to_owned()));
            all.insert(value);
        }
        if kind == SinkKind::Amount {
            let says = path.rsplit('.').next().unwrap_or("");
            let lines = text.lines().filter(|line| is_total(line) || is_total(says));
            totals.extend(lines.flat_map(|line| values(kind, line)));
        }
    });
    // A bill lists what it adds up.
    let only = if all.len() > 1 && kind == SinkKind::Amount { totals } else { all };
    let value = only.first().filter(|_| only.len() == 1)?;
    // What has a shape of its own can be what was meant; what merely looks like one only stands beside it.
    let is_one = match kind {
        SinkKind::Address => spelling::is_address(value),
        SinkKind::Url => value.contains("://"),
        _ => true,
    };
    let place = places.into_iter().find(|(found, _)| found == value)?;
    is_one.then_some(place)
}

fn is_total(line: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric()).any(|w| holds("total due payable sum", &w.to_lowercase()))
}

/// Every value of a kind in a text, and all that looks like one.
fn values(kind: SinkKind, text: &str) -> Vec<String> {
    match kind {
        SinkKind::Amount => spelling::numbers(text).map(|amount| amount.to_string()).collect(),
        SinkKind::Address => {
            let hidden = ["(at)", "[at]", "{at}"].iter().find(|at| text.to_lowercase().contains(**at));
            let written = text
                .split(|c: char| c.is_whitespace() || "\"'`<>()[]{},;|:".contains(c))
                .filter(|t| t.contains(['@', '\u{ff20}']));
            let written = written.map(|t| spelling::key(kind, t.trim_end_matches(['.', '!', '?'])).into_owned());
            written.chain(hidden.map(|at| (*at).to_owned())).collect()
        }
        SinkKind::Url => spelling::tokens(text)
            .filter(|token| !token.contains('@') && looks_like_url(token))
            .map(|token| spelling::key(kind, token).into_owned())
            .collect(),
        SinkKind::Account | SinkKind::Path | SinkKind::Id | SinkKind::Other => Vec::new(),
    }
}

fn looks_like_url(token: &str) -> bool {
    let host = token.split(['/', '?', '#']).next().unwrap_or("");
    let labels: Vec<&str> = host.split('.').collect();
    let is_host = labels.len() > 1
        && labels.iter().all(|label| !label.is_empty())
        && labels.last().is_some_and(|top| top.len() > 1 && top.chars().all(char::is_alphabetic));
    token.contains("://") || token.starts_with("www.") || is_host
}

#[cfg(test)]
mod tests;
