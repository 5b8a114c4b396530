//! Who calls: of a connection computed once, after the handshake, and carried by it; of a token with the request that shows it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls_pki_types::CertificateDer;

use super::jwt_svid::{AuthorityMark, JwtSvid};
use super::svid::UnverifiedLeaf;
use crate::model::identity::{Authentication, Thumbprint};
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::model::time::Timestamp;

/// A workload that proved its X.509-SVID in a TLS handshake, or showed a JWT-SVID. Whether that still holds is asked anew at
/// each request: [`super::trust::Trust::recheck`].
pub struct VerifiedPeer {
    spiffe_id: SpiffeId,
    trust_domain: TrustDomain,
    proof: Proof,
    not_before: Timestamp,
    not_after: Timestamp,
    expires_at: Timestamp,
    address: Option<SocketAddr>,
    /// The latest verdict and the revision of trust that it was given under: `revision << 2 | verdict`.
    verdict: AtomicU64,
}

/// What a workload showed.
pub(in crate::identity) enum Proof {
    /// A chain, leaf and intermediates, and that it holds the leaf's key.
    Certificate { thumbprint: Thumbprint, chain: Vec<CertificateDer<'static>> },
    /// A token, verified by this key of its trust domain. Whoever has it can show it.
    Token(AuthorityMark),
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
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            expires_at,
            address,
            proof: Proof::Certificate {
                thumbprint: Thumbprint::of(chain.first().map_or(&[], |leaf| leaf.as_ref())),
                chain,
            },
            verdict: AtomicU64::new(encode(revision, Verdict::Holds)),
        }
    }

    /// Asserts that a token held when it was shown, at `at`.
    pub(in crate::identity) fn token_assertion(svid: JwtSvid, address: Option<SocketAddr>, at: Timestamp) -> Self {
        Self {
            trust_domain: svid.spiffe_id.trust_domain(),
            spiffe_id: svid.spiffe_id,
            not_before: svid.issued.unwrap_or(at),
            not_after: svid.expires,
            expires_at: svid.expires,
            address,
            proof: Proof::Token(svid.key),
            verdict: AtomicU64::new(encode(0, Verdict::Holds)),
        }
    }

    /// The same token, shown from elsewhere; `None` of a certificate, which belongs to its connection.
    pub(in crate::identity) fn shown_from(&self, address: Option<SocketAddr>) -> Option<Self> {
        let Proof::Token(key) = &self.proof else { return None };
        Some(Self {
            spiffe_id: self.spiffe_id.clone(),
            trust_domain: self.trust_domain.clone(),
            proof: Proof::Token(key.clone()),
            not_before: self.not_before,
            not_after: self.not_after,
            expires_at: self.expires_at,
            address,
            verdict: AtomicU64::new(self.verdict.load(Ordering::Acquire)),
        })
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

    /// The thumbprint of its certificate: what a token is bound to. `None` when it proved no key.
    #[must_use]
    pub const fn certificate_thumbprint(&self) -> Option<&Thumbprint> {
        match &self.proof {
            Proof::Certificate { thumbprint, .. } => Some(thumbprint),
            Proof::Token(_) => None,
        }
    }

    /// How it proved who it is.
    #[must_use]
    pub const fn authentication(&self) -> Authentication {
        match &self.proof {
            Proof::Certificate { .. } => Authentication::X509Svid,
            Proof::Token(_) => Authentication::JwtSvid,
        }
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

    /// Until when it holds: until its SVID ends, or a certificate between it and the trust bundle. A connection ends then.
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

    /// What it showed.
    pub(in crate::identity) const fn proof(&self) -> &Proof {
        &self.proof
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
            .field("authentication", &self.authentication())
            .field("thumbprint", &self.certificate_thumbprint())
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
