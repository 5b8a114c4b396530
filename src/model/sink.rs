//! Sinks: the arguments that decide where something goes or what is touched, and the canonical form in which their values
//! are judged, recorded, written into tokens and compared by verifiers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use super::json::Json;
use super::limits::{AMOUNT_PLACES_MAX, NUMBER_DIGITS_MAX, SINK_VALUE_BYTES_MAX, SINK_VALUES_MAX};

pub mod alike;
pub mod carried;

/// What a sink's values are, which decides how they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkKind {
    /// A person or mailbox that receives something.
    Address,
    /// An account that money or goods go to.
    Account,
    /// A URL.
    Url,
    /// A file or folder.
    Path,
    /// An id of an object that is touched.
    Id,
    /// An amount of money or goods.
    Amount,
    /// Any other value that decides what is touched.
    Other,
}

impl SinkKind {
    /// The name in catalogues and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account => "account",
            Self::Url => "url",
            Self::Path => "path",
            Self::Id => "id",
            Self::Amount => "amount",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for SinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A sink of a tool: where in the arguments its values stand, and what they are.
///
/// Canonical form, by kind. Only spellings that every target treats as the same are merged:
/// * `amount`: the decimal number without exponent or trailing zeros, read from a JSON number or a string that is one.
/// * `address`: white space around it (ASCII) is dropped and the part after the last `@` is in lower case.
/// * all others: the string as it stands; a JSON number as it was spelled; `true` or `false`.
///
/// `null`, an empty string and an empty array are the absence of a value. A value that stands where the path would go on is
/// one all the same: a tool that takes an object may take its text as well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkSpec {
    /// Path from the top of the arguments: member names joined by dots. Arrays on the way are entered, so
    /// `attachments.file_id` names that member of every attachment.
    pub name: String,
    /// What its values are.
    pub kind: SinkKind,
}

/// Why the sinks of a call could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// A value that should be a decimal number is none, or all of them together have more than [`NUMBER_DIGITS_MAX`] digits.
    #[error("sink `{name}` holds no decimal number of at most {NUMBER_DIGITS_MAX} digits")]
    NotAnAmount {
        /// The sink.
        name: String,
    },
    /// An amount has more than [`AMOUNT_PLACES_MAX`] places behind its point, where amounts are added up.
    #[error("sink `{name}` holds an amount with more than {AMOUNT_PLACES_MAX} places behind its point")]
    TooManyPlaces {
        /// The sink.
        name: String,
    },
    /// A value is longer than [`SINK_VALUE_BYTES_MAX`].
    #[error("sink `{name}` holds a value of more than {SINK_VALUE_BYTES_MAX} bytes")]
    TooLong {
        /// The sink.
        name: String,
    },
    /// A member is spelled so that some readers of the call would take it for the sink.
    #[error("a member that is not sink `{name}` is spelled almost like it")]
    LookAlike {
        /// The sink.
        name: String,
    },
    /// More than [`SINK_VALUES_MAX`] values in one call.
    #[error("more than {SINK_VALUES_MAX} sink values in one call")]
    TooMany,
}

impl SinkSpec {
    /// The canonical values that `arguments` carry for this sink, in their order; none when the sink is absent. They are
    /// those of [`carried::carried`], so that what is judged is what is bound.
    ///
    /// # Errors
    /// As [`carried::carried`].
    pub fn values(&self, arguments: &Json) -> Result<Vec<String>, SinkError> {
        let mut out = Vec::new();
        carried::flat(carried::carried(self, arguments)?, &mut out);
        Ok(out)
    }

    /// The canonical form of one value.
    ///
    /// # Errors
    /// When the value is no amount where one is due, or too long.
    pub fn canonical(&self, value: &Json) -> Result<String, SinkError> {
        let text = match value {
            Json::String(s) => s.clone(),
            other => other.to_text(),
        };
        self.canonical_text(&text)
    }

    /// The canonical form of a value that is given as text, as in a ceiling.
    ///
    /// # Errors
    /// As [`SinkSpec::canonical`].
    pub fn canonical_text(&self, text: &str) -> Result<String, SinkError> {
        if text.len() > SINK_VALUE_BYTES_MAX {
            return Err(SinkError::TooLong { name: self.name.clone() });
        }
        match self.kind {
            SinkKind::Amount => {
                let amount = text.trim_ascii().parse::<Decimal>();
                amount.map(|a| a.to_string()).map_err(|_| SinkError::NotAnAmount { name: self.name.clone() })
            }
            SinkKind::Address => {
                let text = text.trim_ascii();
                Ok(match text.rsplit_once('@') {
                    Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
                    None => text.to_owned(),
                })
            }
            _ => Ok(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
