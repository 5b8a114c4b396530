//! Who opened a connection: computed once, after the handshake, and carried by the connection.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls_pki_types::CertificateDer;

use super::svid::UnverifiedLeaf;
use crate::model::identity::Thumbprint;
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::model::time::Timestamp;

/// A workload that proved its X.509-SVID in a TLS handshake. Whether it still holds is asked anew at each request:
/// [`super::trust::Trust::recheck`].
pub struct VerifiedPeer {
    spiffe_id: SpiffeId,
    trust_domain: TrustDomain,
    thumbprint: Thumbprint,
    not_before: Timestamp,
    not_after: Timestamp,
    expires_at: Timestamp,
    address: Option<SocketAddr>,
    chain: Vec<CertificateDer<'static>>,
    /// The latest verdict and the revision of trust that it was given under: `revision << 2 | verdict`.
    verdict: AtomicU64,
}

/// What a chain was found to be under one revision of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::identity) enum Verdict {
    Holds,
    TrustWithdrawn,
    ChainBroken,
}

impl VerifiedPeer {
    /// Asserts that the handshake proved possession of the leaf's key, and that the chain held under `revision`.
    pub(in crate::identity) fn assertion(
        leaf: UnverifiedLeaf,
        chain: Vec<CertificateDer<'static>>,
        expires_at: Timestamp,
        address: Option<SocketAddr>,
        revision: u64,
    ) -> Self {
        Self {
            trust_domain: leaf.spiffe_id.trust_domain(),
            spiffe_id: leaf.spiffe_id,
            thumbprint: Thumbprint::of(chain.first().map_or(&[], |leaf| leaf.as_ref())),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            expires_at,
            address,
            chain,
            verdict: AtomicU64::new(encode(revision, Verdict::Holds)),
        }
    }

    /// Its SPIFFE ID.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// Its trust domain.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The thumbprint of its certificate: what a token is bound to.
    #[must_use]
    pub const fn certificate_thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// Since when its SVID is valid.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Until when its SVID is valid.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// When the connection ends at the latest: when its SVID does, or a certificate between it and the trust bundle.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Where it connected from, when it came over a network.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The revision of trust under which it was last verified.
    #[must_use]
    pub fn trust_revision(&self) -> u64 {
        self.verdict.load(Ordering::Acquire) >> 2
    }

    /// Leaf and intermediates as it presented them.
    pub(in crate::identity) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// What the chain was found to be under `revision`; `None` when it was not looked at since.
    pub(in crate::identity) fn verdict_under(&self, revision: u64) -> Option<Verdict> {
        let seen = self.verdict.load(Ordering::Acquire);
        match (seen >> 2 == revision, seen & 3) {
            (false, _) => None,
            (true, 0) => Some(Verdict::Holds),
            (true, 1) => Some(Verdict::TrustWithdrawn),
            (true, _) => Some(Verdict::ChainBroken),
        }
    }

    /// Keeps a verdict. Of two revisions the later one stays; under one revision the stricter one.
    pub(in crate::identity) fn keep(&self, revision: u64, verdict: Verdict) {
        self.verdict.fetch_max(encode(revision, verdict), Ordering::AcqRel);
    }
}

impl fmt::Debug for VerifiedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedPeer")
            .field("spiffe_id", &self.spiffe_id)
            .field("thumbprint", &self.thumbprint)
            .field("not_after", &self.not_after)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

const fn encode(revision: u64, verdict: Verdict) -> u64 {
    let verdict = match verdict {
        Verdict::Holds => 0,
        Verdict::TrustWithdrawn => 1,
        Verdict::ChainBroken => 2,
    };
    revision << 2 | verdict
}

#[cfg(test)]
mod tests;
