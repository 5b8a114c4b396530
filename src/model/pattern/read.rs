//! Texts as patterns read them: a value in one way or in none, and once, however many patterns it is held against.

use std::borrow::Cow;
use std::cell::OnceCell;

use unicode_normalization::UnicodeNormalization as _;

/// Longest domain name, in bytes (RFC 1035 §2.3.4, without the root).
const DOMAIN_BYTES_MAX: usize = 253;
/// Longest label of a domain name, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// A text that is held against patterns. What they ask of it is worked out when the first one asks.
#[derive(Debug)]
pub struct Read<'a> {
    text: &'a str,
    domain: OnceCell<Option<String>>,
    host: OnceCell<Option<(String, Option<u16>)>>,
    plain_from: OnceCell<Option<usize>>,
}

impl<'a> Read<'a> {
    /// That text.
    #[must_use]
    pub const fn of(text: &'a str) -> Self {
        Self { text, domain: OnceCell::new(), host: OnceCell::new(), plain_from: OnceCell::new() }
    }

    /// As it stands.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The domain of an address, or of anything else the whole, where it is a domain name. An address is `local@domain` and nothing
    /// beside it.
    pub(super) fn domain(&self) -> Option<&str> {
        let read = || match self.text.split_once('@') {
            Some((local, domain)) => is_plain_local(local).then(|| domain_name(domain)).flatten(),
            None => domain_name(self.text),
        };
        self.domain.get_or_init(read).as_deref()
    }

    /// Host and port of a web address, the port only where it is not the scheme's own.
    pub(super) fn host(&self) -> Option<(&str, Option<u16>)> {
        let host = self.host.get_or_init(|| web_host(self.text)).as_ref();
        host.map(|(name, port)| (name.as_str(), *port))
    }

    /// What of it stands below a folder; `None` when it is elsewhere, or could be read otherwise.
    pub(super) fn below(&self, folder: &str) -> Option<&'a str> {
        let rest = self.text.strip_prefix(folder)?.strip_prefix('/')?;
        let from = (*self.plain_from.get_or_init(|| plain_from(self.text)))?;
        (self.text.len() - rest.len() >= from).then_some(rest)
    }
}

/// Where the plain segments at the end of a path begin; `None` when the last one is none.
fn plain_from(path: &str) -> Option<usize> {
    let plain = path.rsplit('/').take_while(|segment| is_plain_segment(segment));
    let bytes: usize = plain.map(|segment| segment.len() + 1).sum();
    // There is no stroke before the first segment.
    (bytes > 0).then(|| (path.len() + 1).saturating_sub(bytes))
}

/// A domain name in lower case; `None` for what is none, or could be written otherwise: a dot at its end, letters beyond ASCII.
pub(super) fn domain_name(text: &str) -> Option<String> {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (text.len() <= DOMAIN_BYTES_MAX && text.split('.').all(is_label)).then(|| text.to_ascii_lowercase())
}

/// True for a local part in which nothing means anything to some mail server: no second address, no comment, no route (`a%b@c`, `b!a@c`).
fn is_plain_local(local: &str) -> bool {
    !local.is_empty() && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-'=~&".contains(&b))
}

/// Host and port of a web address, the port only where it is not that of the scheme; `None` where readers could differ: user
/// information, white space, a backslash, an escape or a letter beyond ASCII in the host, no scheme.
fn web_host(url: &str) -> Option<(String, Option<u16>)> {
    if url.chars().any(|c| c == '\\' || c.is_control() || c.is_whitespace()) {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let own = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, self::port(port)?),
        None => (authority, own),
    };
    Some((domain_name(host)?, (port != own).then_some(port)))
}

pub(super) fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

pub(super) fn are_plain(segments: &str) -> bool {
    segments.split('/').all(is_plain_segment)
}

/// True for a segment that every reader takes for the name of one thing. None is: an empty one, one of dots alone (with a parameter or a
/// space behind them as well, `..;x`), what holds an escape, a backslash or what some reader folds into a stroke, a dot or nothing.
pub(super) fn is_plain_segment(segment: &str) -> bool {
    let folded: Cow<'_, str> =
        if segment.is_ascii() { Cow::Borrowed(segment) } else { Cow::Owned(segment.nfkc().collect()) };
    let name = folded.split(';').next().unwrap_or("");
    let dots = name.trim_matches(|c: char| c == '.' || c.is_whitespace()).is_empty();
    !dots && !segment.chars().chain(folded.chars()).any(is_odd)
}

fn is_odd(c: char) -> bool {
    let stroke =
        matches!(c, '/' | '\\' | '%' | '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{29F5}' | '\u{29F8}' | '\u{29F9}');
    stroke || is_unseen(c) || c.is_control()
}

/// True for what nobody sees where it stands: `Default_Ignorable_Code_Point` of Unicode, and beside it separators of lines, marks of
/// annotations and the blank of Braille.
pub(super) const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}'
    )
}
