//! Tools, effects, identity classes and owners, as loaded from a policy bundle. Knows nothing of tasks, requests or
//! decisions.

mod accounts;
mod carries;
pub mod identities;
pub mod network;
pub mod tool;

use std::fmt;

/// Why a catalogue or a list of identities does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// It is not TOML of the documented form.
    #[error("line {line}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// It breaks rules; every problem is listed.
    #[error("{} problems, the first: {}", .0.len(), .0.first().map_or_else(String::new, ToString::to_string))]
    Invalid(Vec<Problem>),
}

/// One rule that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The tool or pattern that it concerns; empty when it concerns the whole.
    pub at: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() { f.write_str(&self.message) } else { write!(f, "`{}`: {}", self.at, self.message) }
    }
}

impl CatalogueError {
    /// Every problem, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Syntax { .. } => vec![self.to_string()],
            Self::Invalid(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    fn syntax(text: &str, error: &toml::de::Error) -> Self {
        let end = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(end).filter(|b| *b == b'\n').count() + 1;
        Self::Syntax { line, message: error.message().replace('\n', " ") }
    }
}

/// Collects problems while a file is read.
#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, at: &str, message: impl Into<String>) {
        self.0.push(Problem { at: at.to_owned(), message: message.into() });
    }

    fn check(&mut self, at: &str, ok: bool, message: impl Into<String>) {
        if !ok {
            self.add(at, message);
        }
    }

    /// The parsed value, or a problem.
    fn parse<T: std::str::FromStr<Err: fmt::Display>>(&mut self, at: &str, what: &str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(e) => {
                self.add(at, format!("{what} `{text}`: {e}"));
                None
            }
        }
    }

    fn finish<T>(self, value: T) -> Result<T, CatalogueError> {
        if self.0.is_empty() { Ok(value) } else { Err(CatalogueError::Invalid(self.0)) }
    }
}
