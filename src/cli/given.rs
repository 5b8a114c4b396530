//! What people type: spans of time, deadlines, JSON in place or from a file, and secrets from files that only their owner
//! may read.

use std::io::Read as _;
use std::path::Path;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use crate::cli::error::CliError;
use crate::clock::Clock;
use crate::config::quantity::Span;
use crate::entropy::{Entropy, secret_file};
use crate::model::time::Timestamp;

/// Largest file or standard input that is read as an argument.
const GIVEN_BYTES_MAX: u64 = 16 << 20;
/// Largest file that holds a task handle or a token.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// A length of time: `90s`, `15m`, `2h`, `1d`.
pub(in crate::cli) fn span(text: &str) -> Result<std::time::Duration, String> {
    Span::try_from(text.to_owned()).map(|Span(span)| span).map_err(|error| error.to_string())
}

/// A point in time.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum When {
    At(Timestamp),
    In(std::time::Duration),
}

impl When {
    /// The point in time, now being now.
    pub(in crate::cli) fn timestamp(self) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::In(span) => Clock::system().now().after(span),
        }
    }

    /// As the API has it.
    pub(in crate::cli) fn wire(self) -> prost_types::Timestamp {
        wire_time(self.timestamp())
    }

    /// As the API has it, that long ago.
    pub(in crate::cli) fn wire_ago(self) -> prost_types::Timestamp {
        match self {
            Self::At(at) => wire_time(at),
            Self::In(span) => {
                let now = Clock::system().now().as_millis();
                let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
                wire_time(Timestamp::from_millis(now.saturating_sub(span)))
            }
        }
    }
}

/// A point in time: RFC 3339, or how far it is from now: `30m`.
pub(in crate::cli) fn when(text: &str) -> Result<When, String> {
    if let Ok(span) = span(text) {
        return Ok(When::In(span));
    }
    let problem = || format!("`{text}` is neither a time such as `2027-01-31T12:00:00Z` nor a span such as `30m`");
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| problem())?;
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(|_| problem())?;
    Ok(When::At(Timestamp::from_millis(millis)))
}

/// A point in time for eyes and machines: RFC 3339 in UTC, to the millisecond.
pub(in crate::cli) fn rfc3339(at: Timestamp) -> String {
    let nanos = i128::from(at.as_millis()) * 1_000_000;
    let written = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().and_then(|at| at.format(&Rfc3339).ok());
    written.unwrap_or_else(|| format!("{} ms", at.as_millis()))
}

/// A point in time as the API has it.
pub(in crate::cli) fn wire_time(at: Timestamp) -> prost_types::Timestamp {
    let millis = at.as_millis();
    prost_types::Timestamp {
        seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(millis % 1000).unwrap_or(0) * 1_000_000,
    }
}

/// A length of time as the API has it.
pub(in crate::cli) fn wire_span(span: std::time::Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

/// Text in place, from a file (`@path`), or from standard input (`@-`).
///
/// # Errors
/// When the file cannot be read, is too large, or is no UTF-8.
pub(in crate::cli) fn text(given: &str) -> Result<String, CliError> {
    let Some(path) = given.strip_prefix('@') else { return Ok(given.to_owned()) };
    let mut bytes = Vec::new();
    let read = if path == "-" {
        std::io::stdin().lock().take(GIVEN_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(GIVEN_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| CliError::because(format!("`{path}` cannot be read"), error))?;
    if bytes.len() as u64 > GIVEN_BYTES_MAX {
        return Err(CliError::local(format!("`{path}` is larger than {GIVEN_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| CliError::because(format!("`{path}` is no text"), error))
}

/// A request id: the one that was chosen, otherwise a random one.
///
/// # Errors
/// When the system has no randomness.
pub(in crate::cli) fn request_id(chosen: Option<&str>) -> Result<String, CliError> {
    if let Some(id) = chosen {
        return Ok(id.to_owned());
    }
    let random: [u8; 12] =
        Entropy::system().bytes().map_err(|error| CliError::because("no request id can be made", error))?;
    Ok(random.iter().fold("cli-".to_owned(), |id, byte| id + &format!("{byte:02x}")))
}

/// Keeps a secret in a file that only its owner may read.
///
/// # Errors
/// When it cannot be written.
pub(in crate::cli) fn keep_secret(path: &Path, secret: &str) -> Result<(), CliError> {
    secret_file::replace(path, secret.as_bytes())
        .map_err(|error| CliError::because(format!("`{}` cannot be written", path.display()), error))
}

/// Reads a secret from a file that only its owner may read.
///
/// # Errors
/// When there is none, others may read it, or it is no text.
pub(in crate::cli) fn kept_secret(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let unusable = || format!("`{}` cannot be used", path.display());
    let bytes = secret_file::read(path, SECRET_BYTES_MAX).map_err(|error| CliError::because(unusable(), error))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| CliError::because(unusable(), error))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests;
