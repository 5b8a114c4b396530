//! Patterns of ceilings: sets of values and of resources, compared by whole labels and whole segments. A value that two readers could
//! take for different ones is in no pattern: to name it, a ceiling lists it as it stands.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use super::limits::{NAME_BYTES_MAX, REFERENCE_BYTES_MAX, SINK_VALUE_BYTES_MAX};
use super::sink::SinkKind;
use super::spiffe_pattern::Reach;

/// Longest domain name, in bytes (RFC 1035 §2.3.4, without the root).
const DOMAIN_BYTES_MAX: usize = 253;
/// Longest label of a domain name, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// A set of texts.
pub trait Pattern: Clone + PartialEq + fmt::Display {
    /// True when the text is in it.
    fn lets(&self, text: &str) -> bool;
    /// True when everything that is in it is surely in `other` too.
    fn is_within(&self, other: &Self) -> bool;
    /// The one text that is in it, where there is only one.
    fn only(&self) -> Option<String>;
    /// What it is a pattern of, in words.
    fn noun(&self) -> &'static str;
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(&'static str);

/// A pattern of values of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkPattern {
    /// Addresses of a domain, or the domain itself.
    Domain(DomainPattern),
    /// Web addresses of a host.
    Host(HostPattern),
    /// A folder and what lies below it.
    PathPrefix(PathPrefix),
    /// The accounts of a set that the catalogue names. By itself it lets nothing in: what the set holds says the catalogue in force.
    AccountSet(AccountSet),
}

impl SinkPattern {
    /// True when values of that kind can be in it. An id and what has no kind of its own may be anything.
    #[must_use]
    pub const fn suits(&self, kind: SinkKind) -> bool {
        match (self, kind) {
            (_, SinkKind::Amount) => false,
            (_, SinkKind::Id | SinkKind::Other) => true,
            (Self::Domain(_), kind) => matches!(kind, SinkKind::Address),
            (Self::Host(_), kind) => matches!(kind, SinkKind::Url),
            (Self::PathPrefix(_), kind) => matches!(kind, SinkKind::Path),
            (Self::AccountSet(_), kind) => matches!(kind, SinkKind::Account | SinkKind::Address),
        }
    }
}

impl Pattern for SinkPattern {
    fn lets(&self, text: &str) -> bool {
        match self {
            Self::Domain(domain) => domain.lets(text),
            Self::Host(host) => host.lets(text),
            Self::PathPrefix(prefix) => prefix.lets(text),
            Self::AccountSet(_) => false,
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Domain(own), Self::Domain(other)) => own.is_within(other),
            (Self::Host(own), Self::Host(other)) => own.port == other.port && own.domain.is_within(&other.domain),
            (Self::PathPrefix(own), Self::PathPrefix(other)) => other.lets(&own.0),
            (Self::AccountSet(own), Self::AccountSet(other)) => own == other,
            _ => false,
        }
    }

    fn only(&self) -> Option<String> {
        None
    }

    fn noun(&self) -> &'static str {
        match self {
            Self::Domain(_) => "domain",
            Self::Host(_) => "host",
            Self::PathPrefix(_) => "folder",
            Self::AccountSet(_) => "account set",
        }
    }
}

impl fmt::Display for SinkPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Host(host) => host.fmt(f),
            Self::PathPrefix(prefix) => prefix.fmt(f),
            Self::AccountSet(set) => set.fmt(f),
        }
    }
}

/// A domain name, or with `*.` before it all names of one or more whole labels more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainPattern {
    name: String,
    below: bool,
}

impl DomainPattern {
    /// Of an address its domain counts, of anything else the whole. An address is `local@domain` and nothing beside it.
    fn lets(&self, value: &str) -> bool {
        let domain = match value.split_once('@') {
            Some((local, domain)) if is_plain_local(local) => domain,
            Some(_) => return false,
            None => value,
        };
        domain_name(domain).is_some_and(|name| self.has(&name))
    }

    /// True when that name, in lower case, is in it.
    fn has(&self, name: &str) -> bool {
        if self.below { is_below(name, &self.name) } else { name == self.name }
    }

    fn is_within(&self, other: &Self) -> bool {
        match (self.below, other.below) {
            (false, _) => other.has(&self.name),
            (true, false) => false,
            (true, true) => self.name == other.name || is_below(&self.name, &other.name),
        }
    }
}

fn is_below(name: &str, above: &str) -> bool {
    name.strip_suffix(above).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
}

/// A domain name in lower case; `None` for what is none, or could be written otherwise: a dot at its end, letters beyond ASCII.
fn domain_name(text: &str) -> Option<String> {
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

impl FromStr for DomainPattern {
    type Err = PatternError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (text, below) = s.strip_prefix("*.").map_or((s, false), |name| (name, true));
        if text.contains('*') {
            return Err(PatternError("a `*` stands only for whole labels at the front, as in `*.acme.test`"));
        }
        if text.contains('@') {
            return Err(PatternError("names an address; a domain stands without what is before the `@`"));
        }
        let name = domain_name(text).ok_or(PatternError(
            "is no domain name of letters, digits and hyphens without a dot at its end; what is not ASCII is written as `xn--`",
        ))?;
        // What ends in a number is an address of a machine, and nothing lies below it (WHATWG URL §3.5).
        let last = name.rsplit('.').next().unwrap_or("");
        if below && (last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x")) {
            return Err(PatternError("a `*` stands before names, not before numbers of machines"));
        }
        Ok(Self { name, below })
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

/// A host of web addresses, and its port where that is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    domain: DomainPattern,
    port: Option<u16>,
}

impl HostPattern {
    fn lets(&self, value: &str) -> bool {
        web_host(value).is_some_and(|(name, port)| port == self.port && self.domain.has(&name))
    }
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

fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (host, port) = match s.split_once(':') {
            Some((_, rest)) if rest.starts_with("//") => return Err(PatternError("names a URL; a host stands alone")),
            Some((host, port)) => {
                (host, Some(self::port(port).ok_or(PatternError("what stands behind the colon is no port"))?))
            }
            None => (s, None),
        };
        if host.contains('/') {
            return Err(PatternError("names more than a host"));
        }
        if matches!(port, Some(80 | 443)) {
            return Err(PatternError("80 and 443 are the schemes' own ports, which a host without a port has"));
        }
        Ok(Self { domain: host.parse()?, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.domain.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A folder and what lies below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPrefix(String);

impl PathPrefix {
    fn lets(&self, path: &str) -> bool {
        path == self.0 || below(path, self.0.strip_suffix('/').unwrap_or(&self.0)).is_some_and(are_plain)
    }
}

/// What of a path stands below a folder; `None` when it is elsewhere.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    path.strip_prefix(folder)?.strip_prefix('/')
}

fn are_plain(segments: &str) -> bool {
    segments.split('/').all(is_plain_segment)
}

/// True for a segment that every reader takes for the name of one thing. None is: an empty one, one of dots alone (with a parameter or a
/// space behind them as well, `..;x`), what holds an escape, a backslash or what some reader folds into a stroke, a dot or nothing.
fn is_plain_segment(segment: &str) -> bool {
    let folded: Cow<'_, str> =
        if segment.is_ascii() { Cow::Borrowed(segment) } else { Cow::Owned(segment.nfkc().collect()) };
    let name = folded.split(';').next().unwrap_or("");
    let dots = name.trim_matches(|c: char| c == '.' || c.is_whitespace()).is_empty();
    !dots && !segment.chars().chain(folded.chars()).any(is_odd)
}

fn is_odd(c: char) -> bool {
    let stroke =
        matches!(c, '/' | '\\' | '%' | '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{29F5}' | '\u{29F8}' | '\u{29F9}');
    let unseen = matches!(
        c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}'
    );
    stroke || unseen || c.is_control()
}

impl FromStr for PathPrefix {
    type Err = PatternError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if s.len() > SINK_VALUE_BYTES_MAX {
            return Err(PatternError("is too long"));
        }
        if s.ends_with("/*") || s.ends_with("/**") {
            return Err(PatternError("a folder stands without `/*`: what lies below it is meant as well"));
        }
        let plain = s == "/" || are_plain(s.strip_prefix('/').unwrap_or(s));
        if plain { Ok(Self(s.to_owned())) } else { Err(PatternError(NOT_PLAIN)) }
    }
}

const NOT_PLAIN: &str =
    "holds an empty segment, `.`, `..`, a `%`, a backslash, or what some reader takes for one of them";

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a set of accounts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountSet(String);

impl AccountSet {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountSet {
    type Err = PatternError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let plain = s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if s.is_empty() || s.len() > NAME_BYTES_MAX || !plain {
            return Err(PatternError("is no name of letters, digits, `_`, `-` and `.`"));
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for AccountSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern of resources, in the form of those of `identities.toml`: exact, or ending in `/*` (one more segment) or `/**` (one or more).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourcePattern {
    prefix: String,
    reach: Reach,
}

impl Pattern for ResourcePattern {
    fn lets(&self, text: &str) -> bool {
        let rest = || below(text, &self.prefix).filter(|rest| are_plain(rest));
        match self.reach {
            Reach::Exact => text == self.prefix,
            Reach::OneSegment => rest().is_some_and(|rest| !rest.contains('/')),
            Reach::AnyDepth => rest().is_some(),
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        match (self.reach, other.reach) {
            (Reach::Exact, _) => other.lets(&self.prefix),
            (_, Reach::Exact) | (Reach::AnyDepth, Reach::OneSegment) => false,
            (Reach::OneSegment, Reach::OneSegment) => self.prefix == other.prefix,
            (_, Reach::AnyDepth) => self.prefix == other.prefix || other.lets(&self.prefix),
        }
    }

    fn only(&self) -> Option<String> {
        (self.reach == Reach::Exact).then(|| self.prefix.clone())
    }

    fn noun(&self) -> &'static str {
        "resources"
    }
}

impl FromStr for ResourcePattern {
    type Err = PatternError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (prefix, reach) = if let Some(prefix) = s.strip_suffix("/**") {
            (prefix, Reach::AnyDepth)
        } else if let Some(prefix) = s.strip_suffix("/*") {
            (prefix, Reach::OneSegment)
        } else {
            (s, Reach::Exact)
        };
        if s.len() > REFERENCE_BYTES_MAX {
            return Err(PatternError("is too long"));
        }
        if prefix.contains('*') {
            return Err(PatternError("a `*` stands only at the end: `/*` for one more segment, `/**` for one or more"));
        }
        if prefix.is_empty() || prefix.chars().any(char::is_control) {
            return Err(PatternError("is empty, or holds a control character"));
        }
        // The segments of what is exact are nobody's to split.
        let (_, path) = prefix.split_once("://").unwrap_or(("", prefix));
        if reach != Reach::Exact && !are_plain(path.strip_prefix('/').unwrap_or(path)) {
            return Err(PatternError(NOT_PLAIN));
        }
        Ok(Self { prefix: prefix.to_owned(), reach })
    }
}

impl fmt::Display for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match self.reach {
            Reach::Exact => "",
            Reach::OneSegment => "/*",
            Reach::AnyDepth => "/**",
        };
        write!(f, "{}{suffix}", self.prefix)
    }
}

macro_rules! written_as_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = PatternError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(pattern: $name) -> Self {
                pattern.to_string()
            }
        }
    )*};
}
written_as_text!(DomainPattern, HostPattern, PathPrefix, AccountSet, ResourcePattern);

/// True for a text that is surely meant as a pattern, where only texts as they stand are compared.
#[must_use]
pub fn looks_like_one(text: &str) -> bool {
    text == "*"
        || ["*.", "*@"].iter().any(|start| text.starts_with(start))
        || ["/*", "/**"].iter().any(|end| text.ends_with(end))
        || ["@*.", "://*"].iter().any(|part| text.contains(part))
}

#[cfg(test)]
mod tests;
