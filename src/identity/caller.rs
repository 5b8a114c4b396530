//! The witness that a request comes from a workload whose identity holds now: the first of the chain that ends in a token.

use std::sync::Arc;
use std::time::Duration;

use super::peer::VerifiedPeer;
use crate::model::identity::{Authentication, Thumbprint};
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;

/// The caller of one request, verified at its time. It is neither cloned nor made elsewhere, and what needs it consumes it.
#[derive(Debug)]
pub struct VerifiedCaller {
    peer: Arc<VerifiedPeer>,
    at: Timestamp,
}

impl VerifiedCaller {
    /// Asserts that the peer's identity holds at this time, under the present revision of trust.
    pub(in crate::identity) const fn assertion(peer: Arc<VerifiedPeer>, at: Timestamp) -> Self {
        Self { peer, at }
    }

    /// Who it is.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        self.peer.spiffe_id()
    }

    /// How that was proven.
    #[must_use]
    pub fn authentication(&self) -> Authentication {
        self.peer.authentication()
    }

    /// Whom that was proven of.
    #[must_use]
    pub const fn peer(&self) -> &Arc<VerifiedPeer> {
        &self.peer
    }

    /// The thumbprint of the certificate whose key it proved; `None` when it proved no key.
    #[must_use]
    pub fn certificate_thumbprint(&self) -> Option<&Thumbprint> {
        self.peer.certificate_thumbprint()
    }

    /// Until when its identity holds.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.peer.expires_at()
    }

    /// When it was verified for this request.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// How long ago its SVID was issued.
    #[must_use]
    pub fn svid_age(&self) -> Duration {
        self.at.since(self.peer.not_before())
    }

    /// A caller for unit tests of the rooms that consume one.
    #[cfg(test)]
    pub(crate) fn stand_in(spiffe_id: &str) -> Self {
        let leaf = super::svid::UnverifiedLeaf {
            spiffe_id: spiffe_id.parse().unwrap(),
            not_before: Timestamp::EPOCH,
            not_after: Timestamp::MAX,
            authority_key: None,
        };
        let chain = vec![rustls_pki_types::CertificateDer::from(spiffe_id.as_bytes().to_vec())];
        let peer = VerifiedPeer::assertion(leaf, chain, Timestamp::MAX, None, 0);
        Self::assertion(Arc::new(peer), Timestamp::EPOCH)
    }

    /// One that showed a token.
    #[cfg(test)]
    pub(crate) fn stand_in_with_token(spiffe_id: &str) -> Self {
        let svid = super::jwt_svid::JwtSvid::stand_in(spiffe_id.parse().unwrap());
        Self::assertion(Arc::new(VerifiedPeer::token_assertion(svid, None, Timestamp::EPOCH)), Timestamp::EPOCH)
    }
}
