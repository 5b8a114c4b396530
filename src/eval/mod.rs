//! Folders of tasks and calls, judged by the same code that a broker judges requests with. Knows no suite, tool or task by
//! name: what a tool is, it takes from the folder's own catalogue, by the rules in [`infer`].

pub mod folder;
pub mod infer;
pub mod run;

use std::io;
use std::path::PathBuf;

/// Why a folder could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A file can't be read.
    #[error("`{}` can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than [`folder::FILE_BYTES_MAX`].
    #[error("`{}` is larger than {} bytes", path.display(), folder::FILE_BYTES_MAX)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line is not of the form that `docs/eval.md` says.
    #[error("`{}`, line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Something names what is not there, or is no such name.
    #[error("{what} `{name}` is named and not there")]
    Missing {
        /// What it is.
        what: &'static str,
        /// How it is named.
        name: String,
    },
    /// The tools of a suite make no catalogue.
    #[error("the tools of suite `{suite}` make no catalogue: {problem}")]
    Catalogue {
        /// The suite.
        suite: String,
        /// What is wrong.
        problem: String,
    },
    /// The policy bundle does not load together with the catalogue of a suite.
    #[error("the policy bundle does not load with the tools of suite `{suite}`: {problems}")]
    Bundle {
        /// The suite.
        suite: String,
        /// Every problem.
        problems: String,
    },
}
