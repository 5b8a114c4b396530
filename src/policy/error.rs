//! Why a policy bundle is refused: every problem at once, each with its file.

use std::fmt;

use crate::model::limits::NAME_BYTES_MAX;

/// Longest path that a problem names, in bytes: that of every file that can be in a bundle is shorter.
const PATH_BYTES_MAX: usize = 4 * NAME_BYTES_MAX;
/// Longest sentence of a problem, in bytes. With its path it stands in a status, whose room is that of HTTP/2 headers.
const MESSAGE_BYTES_MAX: usize = 2 << 10;

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
        Self { path: cut(path.to_owned(), PATH_BYTES_MAX), message: cut(message.into(), MESSAGE_BYTES_MAX) }
    }
}

/// Its beginning, where it is longer.
fn cut(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.len() + c.len_utf8() > bytes_max {
            break;
        }
        short.push(c);
    }
    short + "…"
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "`{}`: {}", self.path, self.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_between_characters() {
        let problem = Problem::new(&"ä".repeat(1 << 20), "y".repeat(1 << 20));
        assert_eq!(problem.path, "ä".repeat(PATH_BYTES_MAX / 2) + "…");
        assert_eq!(problem.message, "y".repeat(MESSAGE_BYTES_MAX) + "…");
        let told = BundleError::Invalid(vec![problem]).to_string();
        assert!(told.len() < PATH_BYTES_MAX + MESSAGE_BYTES_MAX + 100, "{}", told.len());
        let whole = Problem::new("a.cedar", "short");
        assert_eq!(whole.to_string(), "`a.cedar`: short");
    }
}
