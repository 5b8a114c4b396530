//! Claims of a token whose kind leaves room for more than we know: no member twice at any depth, and readers for the
//! registered claims that refuse every shape but the right one.

use super::error::{ClaimError, JoseError, Part};
use super::jws;
use crate::model::json::Json;
use crate::model::limits::TOKEN_BYTES_MAX;
use crate::model::time::Timestamp;

/// The claims of one token.
pub struct ClaimSet(Json);

impl ClaimSet {
    /// Reads a payload.
    ///
    /// # Errors
    /// When it is no JSON object, or an object in it names a member twice.
    pub fn parse(payload: &[u8]) -> Result<Self, JoseError> {
        jws::object(payload, Part::Payload, TOKEN_BYTES_MAX).map(Self)
    }

    /// The claim as it stands.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Json> {
        self.0.member(name)
    }

    /// A claim that is a string, and not an empty one.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, ClaimError> {
        match self.0.member(name) {
            None => Ok(None),
            Some(Json::String(s)) if !s.is_empty() => Ok(Some(s)),
            Some(_) => Err(ClaimError::Shape(name)),
        }
    }

    /// The values of `aud`: one string, or an array of strings that is not empty (RFC 7519 §4.1.3).
    ///
    /// # Errors
    /// When it is absent or anything else.
    pub fn audiences(&self) -> Result<Vec<&str>, ClaimError> {
        let wrong = ClaimError::Shape("aud");
        let one = |value: &'_ Json| matches!(value, Json::String(s) if !s.is_empty());
        match self.0.member("aud") {
            None => Err(ClaimError::Absent("aud")),
            Some(Json::Array(items)) if items.is_empty() || !items.iter().all(one) => Err(wrong),
            Some(Json::Array(items)) => Ok(items.iter().filter_map(as_text).collect()),
            Some(value) => as_text(value).filter(|s| !s.is_empty()).map(|s| vec![s]).ok_or(wrong),
        }
    }

    /// A claim that is a NumericDate: whole seconds, from 1970 to the year 9999. Fractions, exponents, signs and strings are
    /// refused, so that no two readers round differently.
    ///
    /// # Errors
    /// When it is something else.
    pub fn numeric_date(&self, name: &'static str) -> Result<Option<Timestamp>, ClaimError> {
        match self.0.member(name) {
            None => Ok(None),
            Some(Json::Number(digits)) => match digits.parse::<u64>() {
                Ok(secs) if secs <= NUMERIC_DATE_MAX => Ok(Some(Timestamp::from_secs(secs))),
                _ => Err(ClaimError::Shape(name)),
            },
            Some(_) => Err(ClaimError::Shape(name)),
        }
    }
}

fn as_text(value: &Json) -> Option<&str> {
    match value {
        Json::String(s) => Some(s),
        _ => None,
    }
}

/// The last second of the year 9999: what lies behind it is a mistake or an attack on somebody's arithmetic.
pub const NUMERIC_DATE_MAX: u64 = 253_402_300_799;

#[cfg(test)]
mod tests;
