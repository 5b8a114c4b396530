//! Why development came to nothing.

use std::io;
use std::path::PathBuf;

use crate::dev::ca::CaError;
use crate::dev::ca::saved::SavedCaError;
use crate::entropy::EntropyError;
use crate::entropy::secret_file::SecretFileError;
use crate::identity::error::IdentityError;
use crate::model::spiffe_id::ParseSpiffeIdError;
use crate::policy::error::BundleError;
use crate::server::error::ServerError;
use crate::token::claims::ParseIssuerError;

/// Why development came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The folder cannot be used.
    #[error("the folder cannot be used")]
    Folder(#[from] SecretFileError),
    /// A folder that is no dev broker's.
    #[error("`{}` holds something that no dev broker has made", .0.display())]
    NotOurs(PathBuf),
    /// No name for a temporary folder can be made.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A certificate cannot be made.
    #[error("an identity cannot be issued")]
    Ca(#[from] CaError),
    /// The certificate authority cannot be kept or found again.
    #[error("the certificate authority cannot be used")]
    SavedCa(#[from] SavedCaError),
    /// A SPIFFE ID is malformed.
    #[error("a SPIFFE ID is malformed")]
    SpiffeId(#[from] ParseSpiffeIdError),
    /// The issuer is malformed.
    #[error("the issuer is malformed")]
    Issuer(#[from] ParseIssuerError),
    /// A person's name is malformed.
    #[error("a person's name is malformed")]
    Name(#[source] crate::model::id::ParseIdError),
    /// A Workload API cannot be served.
    #[error("the Workload API `{}` cannot be served", path.display())]
    Socket {
        /// Its socket.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A port cannot be listened at.
    #[error("cannot listen at `{address}`")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The policy bundle does not load.
    #[error("the policy bundle does not load")]
    Policy(#[from] BundleError),
    /// There is no identity.
    #[error("no identity")]
    Identity(#[from] IdentityError),
    /// The broker does not start.
    #[error("the broker does not start")]
    Server(#[from] ServerError),
    /// A thread of the start-up died.
    #[error("a thread of the start-up died")]
    Thread(#[source] tokio::task::JoinError),
}
