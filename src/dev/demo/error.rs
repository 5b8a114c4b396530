//! Why the demo could not be played.

use std::io;

use crate::audit::note::NoteError;
use crate::audit::verify::VerifyError;
use crate::dev::error::DevError;
use crate::entropy::EntropyError;
use crate::identity::error::IdentityError;
use crate::model::spiffe_id::ParseSpiffeIdError;

/// Why the demo could not be played.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The broker and its world.
    #[error("the dev broker cannot be used")]
    Dev(#[from] DevError),
    /// A member has no identity, or cannot reach the broker.
    #[error("a member cannot take part")]
    Identity(#[from] IdentityError),
    /// A SPIFFE ID is malformed.
    #[error("a SPIFFE ID is malformed")]
    SpiffeId(#[from] ParseSpiffeIdError),
    /// No request id can be made.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The broker could not answer.
    #[error("the broker could not answer: {:?}: {}", .0.code(), .0.message())]
    Status(Box<tonic::Status>),
    /// The broker's answer lacks something.
    #[error("the broker's answer lacks {0}")]
    Incomplete(&'static str),
    /// The process of the resource server.
    #[error("the resource server {problem}")]
    ResourceServer {
        /// What is wrong with it.
        problem: &'static str,
        /// Why, where something said so.
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The export cannot be written.
    #[error("the export cannot be written")]
    Export(#[source] io::Error),
    /// The log's public key is none.
    #[error("the log's public key is none")]
    LogKey(#[source] NoteError),
    /// The export does not hold, though nobody touched it.
    #[error("the record does not hold")]
    Record(#[source] VerifyError),
}

impl From<tonic::Status> for DemoError {
    fn from(status: tonic::Status) -> Self {
        Self::Status(Box::new(status))
    }
}
