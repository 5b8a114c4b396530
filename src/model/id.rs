//! Identifiers. What Carnet makes are UUIDv7 with a prefix that says what they name, so that they sort by time and cannot be
//! mistaken for each other; what callers choose is a bounded printable string.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::limits::{NAME_BYTES_MAX, REFERENCE_BYTES_MAX, REQUEST_ID_BYTES_MAX};
use super::time::Timestamp;

/// Why a string is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: {problem}")]
pub struct ParseIdError {
    /// What it was meant to name.
    pub kind: &'static str,
    /// Which rule it breaks.
    pub problem: &'static str,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix of the textual form.
            pub const PREFIX: &'static str = $prefix;

            /// A new id from a time and ten random bytes.
            #[must_use]
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid())
            }

            /// From the sixteen bytes behind the text, as a file of fixed-size records holds them.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The sixteen bytes behind the text.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The time that is part of the id, to the millisecond.
            #[must_use]
            pub fn timestamp(&self) -> Timestamp {
                let [a, b, c, d, e, f, ..] = *self.0.as_bytes();
                Timestamp::from_millis(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                let err = |problem| ParseIdError { kind: stringify!($name), problem };
                let rest = s.strip_prefix(concat!($prefix, "_")).ok_or_else(|| err("wrong prefix"))?;
                if rest.len() != 32 || !rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    return Err(err("not 32 lower-case hexadecimal digits"));
                }
                let uuid = Uuid::try_parse(rest).map_err(|_| err("not a UUID"))?;
                Ok(Self(uuid))
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(s: String) -> Result<Self, Self::Error> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

uuid_id!(
    /// Names a task.
    TaskId,
    "task"
);
uuid_id!(
    /// Names a grant; stays the same when the grant is renewed.
    GrantId,
    "grant"
);
uuid_id!(
    /// Names a decision.
    DecisionId,
    "decision"
);
uuid_id!(
    /// Names an approval that was asked for, whatever became of it.
    ApprovalId,
    "approval"
);
uuid_id!(
    /// Names what a person opened by break-glass, whatever became of it.
    GlassId,
    "glass"
);

uuid_id!(
    /// Names what a person said of a decision.
    LabelId,
    "label"
);
uuid_id!(
    /// Names an activation of policy that waits for a second person.
    PolicyProposalId,
    "proposal"
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $max:expr) => {
        text_id!($(#[$doc])* $name, $max, check_text);
    };
    // What is read from records is held to `check_text` alone, as it was when it was written; `$check` is for every door.
    ($(#[$doc:meta])* $name:ident, $max:expr, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Longest form, in bytes.
            pub const BYTES_MAX: usize = $max;

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                $check(s, stringify!($name), Self::BYTES_MAX)?;
                Ok(Self(s.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(s: String) -> Result<Self, Self::Error> {
                check_text(&s, stringify!($name), Self::BYTES_MAX)?;
                Ok(Self(s.into()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }
    };
}

text_id!(
    /// A request id that the caller chose. It is unique within its task (or, for a registration, its orchestrator).
    RequestId,
    REQUEST_ID_BYTES_MAX
);
text_id!(
    /// A tool, as the catalogue names it: letters, digits, `_`, `-`, `.` and `/`, as MCP has it. Whoever asks or reports names
    /// tools, and a name stands in sentences that people and models read: it must not be one itself.
    ToolName,
    NAME_BYTES_MAX,
    check_name
);
text_id!(
    /// A class of data, as the catalogue names it, e.g. `pii`. Its characters are those of a tool's name, for the same reason.
    DataClass,
    NAME_BYTES_MAX,
    check_name
);
text_id!(
    /// The name of a signal, as `risk.toml` knows it.
    SignalName,
    NAME_BYTES_MAX
);
text_id!(
    /// A policy's `@id`.
    PolicyId,
    NAME_BYTES_MAX
);
text_id!(
    /// The resource server that a token is for: compared byte for byte, never normalised (RFC 8707).
    Audience,
    REFERENCE_BYTES_MAX
);
text_id!(
    /// The person or group that answers for an identity or a tool.
    Owner,
    REFERENCE_BYTES_MAX
);
text_id!(
    /// The person on whose behalf a task runs.
    InitiatorName,
    REFERENCE_BYTES_MAX
);

/// The `jti` of one token: 128 random bits, base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Jti([u8; 16]);

impl Jti {
    /// A `jti` from sixteen random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl fmt::Display for Jti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::Engine as _;
        f.write_str(&base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Jti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Jti {
    type Err = ParseIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        use base64::Engine as _;
        let err = ParseIdError { kind: "Jti", problem: "not 128 bits of base64url" };
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(s).map_err(|_| err.clone())?;
        Ok(Self(bytes.try_into().map_err(|_| err)?))
    }
}

impl TryFrom<String> for Jti {
    type Error = ParseIdError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Jti> for String {
    fn from(jti: Jti) -> String {
        jti.to_string()
    }
}

fn check_text(s: &str, kind: &'static str, max: usize) -> Result<(), ParseIdError> {
    let err = |problem| ParseIdError { kind, problem };
    if s.is_empty() {
        return Err(err("empty"));
    }
    if s.len() > max {
        return Err(err("too long"));
    }
    if s.chars().any(char::is_control) {
        return Err(err("holds a control character"));
    }
    if s.starts_with(char::is_whitespace) || s.ends_with(char::is_whitespace) {
        return Err(err("begins or ends with white space"));
    }
    Ok(())
}

fn check_name(s: &str, kind: &'static str, max: usize) -> Result<(), ParseIdError> {
    check_text(s, kind, max)?;
    if s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/')) {
        return Ok(());
    }
    Err(ParseIdError { kind, problem: "holds something else than letters, digits, `_`, `-`, `.` and `/`" })
}

#[cfg(test)]
mod tests;
