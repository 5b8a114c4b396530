//! The token out of a request's headers: one `Authorization` header, the scheme `Bearer`, one token (RFC 6750 §2.1).

use super::refusal::Refusal;
use crate::model::limits::TOKEN_BYTES_MAX;

/// The token that these values of `Authorization` carry.
///
/// # Errors
/// When there is none, more than one, or another scheme.
pub fn bearer<'h>(values: impl IntoIterator<Item = &'h [u8]>) -> Result<&'h str, Refusal> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(Refusal::NoToken)?;
    if values.next().is_some() || value.len() > TOKEN_BYTES_MAX + SCHEME.len() + 1 {
        return Err(Refusal::Authorization);
    }
    let value = std::str::from_utf8(value).map_err(|_| Refusal::Authorization)?;
    let (scheme, token) = value.split_once(' ').ok_or(Refusal::Authorization)?;
    let one = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/' | '=');
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.is_empty() || !token.chars().all(one) {
        return Err(Refusal::Authorization);
    }
    Ok(token)
}

const SCHEME: &str = "Bearer";

#[cfg(test)]
mod tests;
