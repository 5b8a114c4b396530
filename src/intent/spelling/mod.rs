//! Spellings: which texts name the same thing, and where a value stands in prose.

// docs/ceilings.md tells this to those who declare ceilings. Two spellings are merged only where every target treats them as the same:
// * an amount is its decimal number (`12.50`, `12.5`, `1.25e1`), and in prose it may carry thousands separators (`3,000`),
//   because that is how people write numbers and no tool takes it for another number;
// * an address is compared without white space around it and with its domain in lower case (RFC 5321 §2.4: domains are not
//   case-sensitive, local parts may be);
// * an `http` or `https` URL is compared with scheme and host in lower case, without the default port, and an empty path is
//   `/` (RFC 3986 §6.2.2.1 and §6.2.3); other parts, percent-encoding included, stay as they are, because servers differ;
// * in prose a name (no id, path or account) may begin with a capital, each of its words, where the value has none: sentences and
//   titles begin so (`Restart Checkout` names `checkout`), and no service has two objects that differ in nothing else. Not the other
//   way round: `will` is a word, and `Will` somebody;
// * everything else is compared byte for byte; in prose an id may stand without its number sign (`W2` for `#W2`), and a name
//   with the mark of a channel or a person (`#general`, `@alice`).
//
// In prose a value has to stand on its own: `evil-acme.test` does not hold `acme.test`, and `1234` does not hold `34`.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use crate::model::decimal::Decimal;
use crate::model::sink::SinkKind;

/// Longest run of digits that is taken for a counter (a date, an hour, a quantity, the n-th object of some kind) rather than
/// for an id that names one object only.
pub(crate) const COUNTER_DIGITS_MAX: usize = 5;

/// The form in which values of a kind are compared.
pub(crate) fn key(kind: SinkKind, text: &str) -> Cow<'_, str> {
    match kind {
        SinkKind::Amount => match text.trim_ascii().parse::<Decimal>() {
            Ok(amount) => Cow::Owned(amount.to_string()),
            Err(_) => Cow::Borrowed(text),
        },
        SinkKind::Address => {
            let text = text.trim_ascii();
            match text.rsplit_once('@') {
                Some((local, domain)) if domain.bytes().any(|b| b.is_ascii_uppercase()) => {
                    Cow::Owned(format!("{local}@{}", domain.to_ascii_lowercase()))
                }
                _ => Cow::Borrowed(text),
            }
        }
        SinkKind::Url => url_key(text),
        SinkKind::Account | SinkKind::Path | SinkKind::Id | SinkKind::Other => Cow::Borrowed(text),
    }
}

fn url_key(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Cow::Borrowed(text) };
    let scheme = scheme.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return Cow::Borrowed(text),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // What stands before an `@` is not part of the host; a URL that has it is left as it is.
    if authority.contains('@') {
        return Cow::Borrowed(text);
    }
    // With two ports, or what looks like them, it is no URL, and left as it is as well.
    let behind = authority.rsplit_once(']').map_or(authority, |(_, behind)| behind);
    if behind.matches(':').count() > 1 {
        return Cow::Borrowed(text);
    }
    let host = authority.to_ascii_lowercase();
    let host = host.strip_suffix(port).unwrap_or(&host);
    let slash = if path.starts_with('/') { "" } else { "/" };
    Cow::Owned(format!("{scheme}://{host}{slash}{path}"))
}

/// A number that is the same for any two texts that are equal by [`key`] under one kind: for finding candidates fast.
pub(crate) fn fingerprint(text: &str) -> u32 {
    let text = text.trim();
    let folded: Cow<'_, str> = match text.parse::<Decimal>() {
        Ok(amount) => Cow::Owned(amount.to_string()),
        Err(_) => url_key(text),
    };
    // FNV-1a: the same in every build, so that snapshots stay readable.
    folded.bytes().fold(0x811c_9dc5_u32, |hash, b| (hash ^ u32::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0193))
}

/// The form in which it is told whether a tool repeats what it was sent: percent-decoded, in compatibility form (NFKC), in lower
/// case, and nothing but letters and digits. It merges what no target would: good for doubt, never for ground.
pub(crate) fn folded(text: &str) -> String {
    if text.is_ascii() && !text.contains('%') {
        return text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    }
    let decoded = percent_decoded(text);
    decoded.nfkc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

/// Decoded until nothing is left to decode (`%2540` is `@` to whoever decodes twice), in one pass: what a decoded byte completes is
/// decoded at once.
fn percent_decoded(text: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        out.push(byte);
        while let Some((rest, [b'%', digits @ ..])) = out.split_last_chunk::<3>() {
            let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            let Some(decoded) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) else { break };
            let len = rest.len();
            out.truncate(len);
            out.push(decoded);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// True when `value` (canonical, of that kind) stands in prose on its own.
pub(crate) fn stands_in(prose: &str, kind: SinkKind, value: &str) -> bool {
    if value.is_empty() || value.len() > prose.len() + 64 {
        return false;
    }
    match kind {
        SinkKind::Amount => amounts(prose, false).any(|amount| amount.to_string() == value),
        SinkKind::Address | SinkKind::Url => {
            let wanted = key(kind, value);
            tokens(prose).any(|token| key(kind, token) == wanted)
                || find_alone(prose, kind, value).next().is_some()
                || kind == SinkKind::Address && !value.contains('@') && stands_capitalised(prose, kind, value)
        }
        SinkKind::Id => {
            // A number sign only says that a number follows; people leave it out.
            let bare = value.strip_prefix('#').filter(|rest| !rest.is_empty() && !is_counter(rest));
            find_alone(prose, kind, value).chain(find_alone(prose, kind, bare.unwrap_or(value))).next().is_some()
        }
        SinkKind::Other => find_alone(prose, kind, value).next().is_some() || stands_capitalised(prose, kind, value),
        SinkKind::Account | SinkKind::Path => find_alone(prose, kind, value).next().is_some(),
    }
}

/// True when `value` stands in prose on its own with words of it that begin with a capital there, and not in the value.
fn stands_capitalised(prose: &str, kind: SinkKind, value: &str) -> bool {
    find_capitalised(prose, kind, value).next().is_some()
}

/// Where a value stands so.
pub(crate) fn find_capitalised<'a>(prose: &'a str, kind: SinkKind, value: &'a str) -> impl Iterator<Item = usize> + 'a {
    // What merely looks like a name is none: an address, a number, a word of one letter.
    let first = value.chars().next().filter(|c| c.is_ascii_lowercase() && value.len() > 1);
    let begun = first.into_iter().flat_map(|first| prose.match_indices(first.to_ascii_uppercase()));
    begun.map(|(at, _)| at).filter(move |at| {
        let (before, rest) = prose.split_at(*at);
        let Some((found, after)) = rest.split_at_checked(value.len()) else { return false };
        let mut last = ' ';
        let is_same = found.chars().zip(value.chars()).all(|(prose, own)| {
            let begins = !last.is_alphanumeric();
            last = own;
            prose == own || begins && prose.is_ascii_uppercase() && prose.to_ascii_lowercase() == own
        });
        is_same && begins(before, kind, value) && ends(after, kind)
    })
}

/// What every spelling of a value in prose holds, where prose may spell it otherwise than it stands; `None` where it may not.
pub(crate) fn hint(kind: SinkKind, value: &str) -> Option<&str> {
    match kind {
        SinkKind::Amount => {
            // Thousands may be set apart.
            let digits = value.trim_start_matches('-');
            let whole = digits.find('.').unwrap_or(digits.len());
            let first = if whole > 3 && !whole.is_multiple_of(3) { whole % 3 } else { whole.min(3) };
            digits.get(..first)
        }
        SinkKind::Address => value.rsplit_once('@').map(|(local, _)| local),
        SinkKind::Id => value.strip_prefix('#'),
        SinkKind::Url => value.split_once("://").map(|_| "://"),
        SinkKind::Account | SinkKind::Path | SinkKind::Other => None,
    }
    .filter(|hint| !hint.is_empty())
}

/// True when the value is a short run of digits, which means little without the word that it counts.
pub(crate) fn is_counter(value: &str) -> bool {
    value.len() <= COUNTER_DIGITS_MAX && !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit())
}

/// True when a counter stands in prose as the name of an object: in quotes, after `#`, or after one of `nouns`, `id`, `no`,
/// `number` (`order 13`, `id: 13`, `ID is 13`, `file with ID '13'`).
pub(crate) fn counter_stands_in(prose: &str, value: &str, nouns: &[String]) -> bool {
    find_alone(prose, SinkKind::Other, value).any(|at| {
        let (before, after) = (prose.get(..at).unwrap_or(""), prose.get(at + value.len()..).unwrap_or(""));
        let quoted = before.ends_with(['\'', '"', '`', '\u{2018}', '\u{201c}'])
            && after.starts_with(['\'', '"', '`', '\u{2019}', '\u{201d}']);
        if quoted || before.ends_with('#') {
            return true;
        }
        let mut lead = before.rsplit(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
        let word = lead.find(|w| !matches!(w.to_ascii_lowercase().as_str(), "is" | "was" | "are" | "be"));
        let word = word.unwrap_or("").to_lowercase();
        let word = word.strip_suffix('s').unwrap_or(&word);
        matches!(word, "id" | "no" | "nr" | "number") || nouns.iter().any(|noun| noun == word)
    })
}

/// True when prose names a value of that kind, whichever: an address or a URL.
pub(crate) fn names_any(prose: &str, kind: SinkKind) -> bool {
    tokens(prose).any(|token| match kind {
        SinkKind::Address => is_address(token),
        SinkKind::Url => is_url(token),
        _ => false,
    })
}

/// True for `local@domain` with a dot in the domain.
pub(crate) fn is_address(token: &str) -> bool {
    let Some((local, domain)) = token.rsplit_once('@') else { return false };
    let inner_dot = domain.trim_matches('.').contains('.');
    !local.is_empty()
        && !local.contains('@')
        && inner_dot
        && domain.chars().all(|c| c.is_alphanumeric() || ".-".contains(c))
}

/// True for a web address, with its scheme or with `www.`.
pub(crate) fn is_url(token: &str) -> bool {
    let lower = token.to_ascii_lowercase();
    ["http://", "https://", "www."].iter().any(|start| lower.strip_prefix(start).is_some_and(|rest| rest.contains('.')))
}

/// The words of a text as a value could be spelled: split at white space, quotes, brackets and commas; without the
/// punctuation of a sentence around them.
pub(crate) fn tokens(prose: &str) -> impl Iterator<Item = &str> {
    prose
        .split(|c: char| {
            c.is_whitespace() || c.is_control() || "\"'`<>()[]{},;|\u{2018}\u{2019}\u{201c}\u{201d}".contains(c)
        })
        .map(|token| token.trim_end_matches(['.', ':', '!', '?']).trim_start_matches([':', '!', '?', '*']))
        .filter(|token| !token.is_empty())
}

/// Every place (byte offset) at which `value` stands in `prose` on its own.
pub(crate) fn find_alone<'a>(prose: &'a str, kind: SinkKind, value: &'a str) -> impl Iterator<Item = usize> + 'a {
    prose.match_indices(value).map(|(at, _)| at).filter(move |at| {
        let (before, after) = (prose.get(..*at).unwrap_or(""), prose.get(*at + value.len()..).unwrap_or(""));
        begins(before, kind, value) && ends(after, kind)
    })
}

fn begins(before: &str, kind: SinkKind, value: &str) -> bool {
    let mut back = before.chars().rev();
    let Some(last) = back.next() else { return true };
    // `#general` and `@alice` are how people mark a channel or a name; the targets take either spelling.
    if matches!(last, '#' | '@') && kind == SinkKind::Other && !value.starts_with(last) {
        return back.next().is_none_or(|c| !joins(c, kind));
    }
    !joins(last, kind) || !value.starts_with(|c| joins(c, kind))
}

fn ends(after: &str, kind: SinkKind) -> bool {
    // The query of a URL is part of it; a question mark at the end of a sentence is not.
    if kind == SinkKind::Url && after.strip_prefix('?').is_some_and(|rest| rest.starts_with(char::is_alphanumeric)) {
        return false;
    }
    // Punctuation that ends a sentence or a clause does not belong to the value; inside a name it does.
    let rest = after.trim_start_matches(['.', ':', '-']);
    if rest.len() < after.len() {
        return rest.chars().next().is_none_or(|c| !joins(c, kind));
    }
    after.chars().next().is_none_or(|c| !joins(c, kind))
}

fn joins(c: char, kind: SinkKind) -> bool {
    c.is_alphanumeric()
        || matches!(c, '_' | '-' | '.' | '@')
        || kind != SinkKind::Other && matches!(c, '/' | '\\' | '%' | '+' | '=' | '&' | '~' | ':' | '#')
}

/// True when `value` (canonical) stands in prose as a number of things, which needs no currency.
pub(crate) fn quantity_stands_in(prose: &str, value: &str) -> bool {
    amounts(prose, true).any(|amount| amount.to_string() == value)
}

/// Every number of a text that can be an amount: not part of a word, a date, a time or a version, and not the name of
/// something (`invoice 9876`, `#9876`). Where the text says of some numbers that they are money, the others are none, unless
/// it is a `quantity` that is looked for.
fn amounts(prose: &str, quantity: bool) -> impl Iterator<Item = Decimal> + '_ {
    let words: Vec<&str> =
        prose.split(|c: char| c.is_whitespace() || "\"'`<>()[]{};|".contains(c)).filter(|w| !w.is_empty()).collect();
    let found: Vec<(Decimal, bool, bool)> = (0..words.len())
        .filter_map(|at| {
            let word = |at: Option<usize>| at.and_then(|at| words.get(at)).copied().unwrap_or("");
            let (before, after) = (word(at.checked_sub(1)), word(Some(at + 1)));
            let (number, marked) = number(word(Some(at)))?;
            let plain = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
            let is_money = marked
                || is_currency(before)
                || is_currency(after)
                || before.ends_with(CURRENCY_SIGNS)
                || after.starts_with(CURRENCY_SIGNS);
            let is_name = NUMBERED.contains(&plain(before).as_str()) || word(Some(at)).starts_with('#');
            Some((number, is_money, is_name))
        })
        .collect();
    let says_money = !quantity && found.iter().any(|(_, is_money, _)| *is_money);
    let kept = found.into_iter().filter(move |(_, is_money, is_name)| *is_money || !(says_money || *is_name));
    kept.map(|(number, ..)| number)
}

/// The number that a word is, and whether it carries a currency.
fn number(word: &str) -> Option<(Decimal, bool)> {
    // A dash before it begins an item of a list.
    let bare = word.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '.');
    let bare = bare.trim_end_matches(|c: char| !c.is_alphanumeric());
    let digits = bare.trim_start_matches(char::is_alphabetic).trim_end_matches(char::is_alphabetic);
    let letters = [bare.strip_suffix(digits), bare.strip_prefix(digits)];
    let letters = letters.into_iter().flatten().find(|l| !l.is_empty()).unwrap_or("");
    let coded = is_currency(letters);
    if digits.len() < bare.len() && !coded || digits.contains(',') && !has_thousands(digits) {
        return None;
    }
    Some((digits.replace(',', "").parse().ok()?, coded || word.contains(CURRENCY_SIGNS)))
}

fn is_currency(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    CURRENCIES.contains(&word) || CURRENCY_WORDS.contains(&word.to_lowercase().as_str())
}

const CURRENCY_SIGNS: &[char] = &['$', '\u{20ac}', '\u{a3}', '\u{a5}', '\u{20b9}', '\u{20bf}'];
/// ISO 4217 codes of what is traded most; only in capitals, because some are words.
const CURRENCIES: &[&str] = &[
    "USD", "EUR", "GBP", "JPY", "CHF", "CNY", "INR", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF",
    "RON", "TRY", "ILS", "AED", "SAR", "ZAR", "BRL", "MXN", "SGD", "HKD", "KRW", "TWD", "THB", "IDR",
];
const CURRENCY_WORDS: &[&str] =
    &["dollar", "dollars", "euro", "euros", "pound", "pounds", "cent", "cents", "francs", "yen", "rupees", "bucks"];
/// Nouns before a number that names one of them.
const NUMBERED: &[&str] = &[
    "id",
    "no",
    "nr",
    "number",
    "invoice",
    "bill",
    "order",
    "ticket",
    "case",
    "issue",
    "account",
    "booking",
    "reservation",
    "customer",
    "reference",
    "ref",
    "item",
    "file",
    "page",
    "room",
    "flight",
    "gate",
    "version",
    "chapter",
    "line",
    "step",
];

fn has_thousands(digits: &str) -> bool {
    let whole = digits.split('.').next().unwrap_or("");
    let mut groups = whole.trim_start_matches('-').split(',');
    let first = groups.next().unwrap_or("");
    (1..=3).contains(&first.len()) && groups.all(|g| g.len() == 3)
}

#[cfg(test)]
mod tests;
