//! Why a broker did not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::broker::open::OpenError;
use crate::entropy::EntropyError;
use crate::entropy::secret_file::SecretFileError;
use crate::grpc::door::ReflectionError;
use crate::identity::error::IdentityError;
use crate::journal::error::JournalError;
use crate::metrics::MetricsError;
use crate::mint::error::KeyRingError;
use crate::model::notice::WebhookName;
use crate::policy::error::BundleError;
use crate::policy::signers::{EndorsementError, SignersError};
use crate::seal::error::SealError;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A folder of a dev broker.
    #[error("`{}` holds the data of a dev broker, whose keys protect nothing", .0.display())]
    DevFolder(PathBuf),
    /// The folder for data cannot be used.
    #[error("the data folder cannot be used")]
    Folder(#[source] SecretFileError),
    /// A key is gone that the journal beside it was written with.
    #[error(
        "`{}` is gone, but the journal `{}` was written with it; put it back from a backup",
        path.display(),
        journal.display()
    )]
    KeyGone {
        /// The file or folder.
        path: PathBuf,
        /// The journal.
        journal: PathBuf,
    },
    /// The key that signs checkpoints cannot be used.
    #[error("the checkpoint key `{}` cannot be used", path.display())]
    CheckpointKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The keys of the words cannot be used.
    #[error("the keys that seal what is stored cannot be used")]
    Seal(#[from] SealError),
    /// The journal cannot be opened.
    #[error("the journal cannot be opened")]
    Journal(#[from] JournalError),
    /// The signing keys cannot be used.
    #[error("the signing keys cannot be used")]
    Keys(#[from] KeyRingError),
    /// The policy bundle does not load.
    #[error("the policy bundle does not load")]
    Policy(#[source] BundleError),
    /// The policy bundle fails its own tests.
    #[error("the policy bundle fails {failed} of its own tests; `carnet policy test` shows them")]
    PolicyTests {
        /// How many fail.
        failed: usize,
    },
    /// A public key that bundles are to be signed with cannot be used.
    #[error("the key of the signer `{name}` cannot be used")]
    SigningKey {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The signers do not go together.
    #[error("`policy.signing_keys`")]
    Signers(#[from] SignersError),
    /// A first start would put the bundle in force, and it is not signed as it must be.
    #[error("the policy bundle would not be put in force")]
    PolicySignatures(#[source] EndorsementError),
    /// A scorer cannot be asked as it is configured.
    #[error("the scorer `{name}` cannot be set up")]
    Scorer {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no identity, or TLS cannot be set up.
    #[error("no identity to serve with")]
    Identity(#[from] IdentityError),
    /// A door cannot be listened at.
    #[error("cannot listen at `{address}`")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The system allows too few open files for the connections that are allowed.
    #[error(
        "`workloads.connections_max` needs {needed} open files and the system allows {allowed}; raise its limit \
         (`ulimit -Hn`, LimitNOFILE=) or lower the setting"
    )]
    Descriptors {
        /// What all connections and files need.
        needed: u64,
        /// What the system allows.
        allowed: u64,
    },
    /// The operator's socket cannot be made.
    #[error("the operator's socket `{}`: {problem}", path.display())]
    Operator {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
        /// Why, where the system said so.
        #[source]
        cause: Option<io::Error>,
    },
    /// A receiver of webhooks cannot be told.
    #[error("the webhook `{name}` cannot be used")]
    Webhook {
        /// Its name.
        name: WebhookName,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The broker does not open.
    #[error("the broker does not open")]
    Open(#[from] OpenError),
    /// The services cannot be set up.
    #[error("the services cannot be set up")]
    Services(#[from] ReflectionError),
    /// The metrics cannot be set up.
    #[error("the metrics cannot be set up")]
    Metrics(#[from] MetricsError),
    /// The log cannot be set up.
    #[error("the log cannot be set up")]
    Log(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A thread that reads files died.
    #[error("a thread of the start-up died")]
    Thread(#[source] tokio::task::JoinError),
}
