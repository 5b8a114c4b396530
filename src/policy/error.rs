//! Why a policy bundle is refused: every problem at once, each with its file.

use std::fmt;

/// Why a policy bundle does not load.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file or folder cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file or folder.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It breaks rules; never empty.
    #[error("{} problems, the first in {}", .0.len(), .0.first().map_or_else(String::new, ToString::to_string))]
    Invalid(Vec<Problem>),
}

impl BundleError {
    /// Every problem with its path.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Read { path, source } => vec![Problem::new(path, source.to_string())],
            Self::Invalid(problems) => problems.clone(),
        }
    }
}

/// One thing that is wrong with a policy bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, relative to the bundle; empty when it concerns the whole.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl Problem {
    pub(in crate::policy) fn new(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "`{}`: {}", self.path, self.message) }
    }
}
