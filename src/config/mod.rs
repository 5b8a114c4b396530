//! Settings of `carnet serve`: first as they were written, then as what they mean. A value that exists is within its bounds;
//! secrets are named by path only; the environment is passed in. What policy says is in the policy bundle and not here.

pub mod approvals;
pub mod break_glass;
mod file;
mod issuer;
pub mod people;
pub mod policy;
pub mod quantity;
pub mod scorers;
pub mod settings;
pub mod webhooks;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::config::settings::Settings;

/// The variables of the environment that settings may be taken from. Only those that are listed in [`ENVIRONMENT`] are read.
pub type Environment = BTreeMap<String, String>;

/// The variables that are read: the address of the Workload API, as the SPIFFE standard names it.
pub const ENVIRONMENT: [&str; 1] = [ENDPOINT_SOCKET];

/// SPIFFE Workload Endpoint §4.
const ENDPOINT_SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";

/// Largest configuration file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file is no TOML, or names a setting that there is not.
    #[error("the configuration is malformed")]
    Syntax(#[source] SyntaxError),
    /// Settings are missing or out of bounds: all of them at once.
    #[error("the configuration is refused:{}", Listed(.0))]
    Refused(Vec<Problem>),
}

/// Where a file is malformed, and how. What stands there is not repeated: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
}

impl SyntaxError {
    fn new(text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        Self { line, column, problem: without_texts(error.message()) }
    }
}

/// The message without the texts of the file that it repeats: serde puts them between quotes.
fn without_texts(message: &str) -> String {
    let quoted = message.split_once('"').and_then(|(before, rest)| Some((before, rest.rsplit_once('"')?.1)));
    quoted.map_or_else(|| message.to_owned(), |(before, after)| format!("{before}\"..\"{after}"))
}

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting, as the file names it.
    pub setting: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Reads the settings in that file.
///
/// # Errors
/// When the file cannot be read, is malformed, or a setting is missing or out of bounds.
pub fn read(path: &Path, environment: &Environment) -> Result<Settings, ConfigError> {
    let io = |cause| ConfigError::Read { path: path.to_owned(), cause };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > FILE_BYTES_MAX {
        return Err(io(std::io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes"))));
    }
    parse(&std::fs::read_to_string(path).map_err(io)?, environment)
}

/// Reads settings from text.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str, environment: &Environment) -> Result<Settings, ConfigError> {
    let written: file::File = toml::from_str(text).map_err(|e| ConfigError::Syntax(SyntaxError::new(text, &e)))?;
    settings::from_file(written, environment).map_err(ConfigError::Refused)
}

/// Problems for eyes: one a line.
struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|p| write!(f, "\n  {}: {}", p.setting, p.problem))
    }
}

#[cfg(test)]
mod tests;
