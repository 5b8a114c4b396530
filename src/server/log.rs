//! The log: lines on standard error, for eyes or for machines. What is secret never reaches it, because nothing that is secret
//! can be formatted.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::EnvFilter;

use crate::config::settings::{LogFormat, LogSettings};
use crate::server::error::ServerError;

/// Begins to log. Once in a process.
///
/// # Errors
/// When the filter is malformed, or somebody logs already.
pub fn begin(settings: &LogSettings) -> Result<(), ServerError> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|e| ServerError::Log(Box::new(e)))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(ServerError::Log)
}
