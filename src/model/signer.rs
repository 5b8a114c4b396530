//! Who signs policy bundles.

use serde::{Deserialize, Serialize};

/// A key by the name of whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signer {
    /// As the configuration calls its owner.
    pub name: String,
    /// Its thumbprint (RFC 7638), base64url.
    pub key_id: String,
}
