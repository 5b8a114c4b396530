//! The form of the name that tokens are issued under.

use crate::token::claims::{Issuer, ParseIssuerError};

/// Checks the form of an issuer (RFC 8414 §2): it is compared byte for byte by every verifier, so it has one spelling.
pub(super) fn issuer_url(text: &str) -> Result<Issuer, String> {
    let problem = |what: &str| Err(format!("`{text}` {what}"));
    let Some(rest) = text.strip_prefix("https://") else { return problem("does not begin with `https://`") };
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || host.contains('@') {
        return problem("names no host, or a user");
    }
    if text.ends_with('/') || text.contains(['?', '#']) {
        return problem("has a query, a fragment or a trailing slash");
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return problem("holds white space or a character outside ASCII");
    }
    text.parse().map_err(|e: ParseIssuerError| e.to_string())
}
