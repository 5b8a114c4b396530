//! Patterns of ceilings: sets of values and of resources, compared by whole labels and whole segments. A value that two readers could
//! take for different ones is in no pattern: to name it, a ceiling lists it as it stands.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use read::{are_plain, domain_name, is_unseen, port};

use super::limits::{NAME_BYTES_MAX, REFERENCE_BYTES_MAX, SINK_VALUE_BYTES_MAX};
use super::sink::SinkKind;
use super::spiffe_pattern::Reach;

mod above;
mod read;

pub use read::Read;

/// A set of texts.
pub trait Pattern: Clone + PartialEq + fmt::Display {
    /// True when the text is in it.
    fn holds(&self, text: &Read<'_>) -> bool;
    /// The same, of a text that is held against no other pattern.
    fn lets(&self, text: &str) -> bool {
        self.holds(&Read::of(text))
    }
    /// True when everything that is in it is surely in `other` too.
    fn is_within(&self, other: &Self) -> bool;
    /// The one text that is in it, where there is only one.
    fn only(&self) -> Option<String>;
    /// What it is a pattern of, in words.
    fn noun(&self) -> &'static str;
    /// The patterns that a text could be in, the narrowest first; sets of accounts are not among them.
    fn around(text: &str) -> Vec<Self>;
    /// The other patterns that it could be within, the narrowest first.
    fn above(&self) -> Vec<Self>;
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
    fn holds(&self, text: &Read<'_>) -> bool {
        match self {
            Self::Domain(domain) => text.domain().is_some_and(|name| domain.has(name)),
            Self::Host(own) => text.host().is_some_and(|(name, port)| port == own.port && own.domain.has(name)),
            Self::PathPrefix(prefix) => text.text() == prefix.0 || text.below(prefix.folder()).is_some(),
            Self::AccountSet(_) => false,
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Domain(own), Self::Domain(other)) => own.is_within(other),
            (Self::Host(own), Self::Host(other)) => own.port == other.port && own.domain.is_within(&other.domain),
            // What is below a folder is read as one thing: each of its segments was when the pattern was.
            (Self::PathPrefix(own), Self::PathPrefix(other)) => {
                own == other || Read::of(&own.0).below(other.folder()).is_some()
            }
            (Self::AccountSet(own), Self::AccountSet(other)) => own == other,
            _ => false,
        }
    }

    fn only(&self) -> Option<String> {
        None
    }

    fn around(text: &str) -> Vec<Self> {
        above::of_value(text)
    }

    fn above(&self) -> Vec<Self> {
        above::of_pattern(self)
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
    fn folder(&self) -> &str {
        self.0.strip_suffix('/').unwrap_or(&self.0)
    }

    /// As it stands in a record: what was a pattern when it was written stays one.
    fn recorded(text: &str) -> Result<Self, PatternError> {
        let folder = seen(text);
        if folder != "/" && !are_plain(folder.strip_prefix('/').unwrap_or(&folder)) {
            return Err(PatternError(NOT_PLAIN));
        }
        if text.len() > SINK_VALUE_BYTES_MAX {
            return Err(PatternError("is too long"));
        }
        if text.ends_with("/*") || text.ends_with("/**") {
            return Err(PatternError("a folder stands without `/*`: what lies below it is meant as well"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for PathPrefix {
    type Err = PatternError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let folder = Self::recorded(s)?;
        if is_unseen_in(s) { Err(PatternError(UNSEEN)) } else { Ok(folder) }
    }
}

const NOT_PLAIN: &str =
    "holds an empty segment, `.`, `..`, a `%`, a backslash, or what some reader takes for one of them";

const UNSEEN: &str = "holds a letter that nobody sees";

/// With a letter in the place of what nobody sees, which records of before may hold.
fn seen(text: &str) -> Cow<'_, str> {
    match is_unseen_in(text) {
        true => Cow::Owned(text.chars().map(|c| if is_unseen(c) { 'x' } else { c }).collect()),
        false => Cow::Borrowed(text),
    }
}

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
    fn holds(&self, text: &Read<'_>) -> bool {
        let rest = || text.below(&self.prefix);
        match self.reach {
            Reach::Exact => text.text() == self.prefix,
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

    fn around(text: &str) -> Vec<Self> {
        above::of_resource(text)
    }

    fn above(&self) -> Vec<Self> {
        above::of_resources(self)
    }
}

impl ResourcePattern {
    /// As it stands in a record: what was a pattern when it was written stays one.
    fn recorded(s: &str) -> Result<Self, PatternError> {
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
        let path = prefix.split_once("://").map_or(prefix, |(_, path)| path);
        if reach != Reach::Exact && !are_plain(&seen(path.strip_prefix('/').unwrap_or(path))) {
            return Err(PatternError(NOT_PLAIN));
        }
        Ok(Self { prefix: prefix.to_owned(), reach })
    }
}

impl FromStr for ResourcePattern {
    type Err = PatternError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let pattern = Self::recorded(s)?;
        if is_unseen_in(s) { Err(PatternError(UNSEEN)) } else { Ok(pattern) }
    }
}

/// True when a text holds letters that nobody sees, so that it reads as another one.
#[must_use]
pub fn is_unseen_in(text: &str) -> bool {
    text.chars().any(is_unseen)
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
    ($($name:ident by $read:path),*) => {$(
        impl TryFrom<String> for $name {
            type Error = PatternError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                $read(&text)
            }
        }

        impl From<$name> for String {
            fn from(pattern: $name) -> Self {
                pattern.to_string()
            }
        }
    )*};
}
written_as_text!(
    DomainPattern by FromStr::from_str,
    HostPattern by FromStr::from_str,
    PathPrefix by Self::recorded,
    AccountSet by FromStr::from_str,
    ResourcePattern by Self::recorded
);

/// True for a text that is surely meant as a pattern, where only texts as they stand are compared.
#[must_use]
pub fn looks_like_one(text: &str) -> bool {
    let text = text.trim();
    text == "*"
        || ["*.", "*@"].iter().any(|start| text.starts_with(start))
        || ["/*", "/**", "@*"].iter().any(|end| text.ends_with(end))
        || ["@*.", "://*"].iter().any(|part| text.contains(part))
}

/// True where a `*` in a value of that kind means nothing: who writes one means a pattern.
#[must_use]
pub fn is_misplaced_in(kind: SinkKind, value: &str) -> bool {
    match kind {
        SinkKind::Address | SinkKind::Account => value.contains('*'),
        // Behind the host and the path it may be what is searched for.
        SinkKind::Url => value.split(['?', '#']).next().is_some_and(|url| url.contains('*')),
        // A file may be named so, but for one that is named by nothing else.
        SinkKind::Path => value.split('/').any(|segment| matches!(segment, "*" | "**")),
        SinkKind::Id | SinkKind::Amount | SinkKind::Other => false,
    }
}

#[cfg(test)]
mod tests;
