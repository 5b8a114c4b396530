//! Why a run came to nothing. What goes wrong with single requests is counted, not an error.

use std::path::PathBuf;

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A number of the plan is out of its bounds.
    #[error("{what} must be between {min} and {max}")]
    Bounds {
        /// Which.
        what: &'static str,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// A file or folder cannot be used.
    #[error("`{}` cannot be used", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The folder holds no socket of such an identity.
    #[error("`{}` holds no Workload API socket of {wanted}", path.display())]
    NoSocket {
        /// The folder.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// Something that the run is built from did not start.
    #[error("{what} did not start")]
    Start {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The first requests failed, so there is nothing to measure.
    #[error("{what} failed: {problem}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What came back.
        problem: String,
    },
    /// Nothing was answered in the whole time.
    #[error("nothing was answered")]
    Nothing,
    /// A thread of the run ended early.
    #[error("a thread of the load generator ended early")]
    Ended,
}

impl BenchError {
    pub(in crate::bench) fn start<E>(what: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |cause| Self::Start { what, cause: cause.into() }
    }
}
