//! Verdicts: the latest revision counts, and within one the strictest.

use super::*;
use crate::identity::caller::VerifiedCaller;

#[test]
fn a_verdict_is_kept_for_its_revision_alone() {
    let caller = VerifiedCaller::stand_in("spiffe://example.org/agent");
    let peer = caller.peer();
    assert_eq!(peer.verdict_under(0), Some(Verdict::Holds));
    assert_eq!(peer.verdict_under(1), None);
    peer.keep(3, Verdict::TrustWithdrawn);
    assert_eq!(peer.verdict_under(3), Some(Verdict::TrustWithdrawn));
    peer.keep(2, Verdict::ChainBroken);
    peer.keep(3, Verdict::Holds);
    assert_eq!(peer.verdict_under(3), Some(Verdict::TrustWithdrawn), "neither an older nor a milder one replaces it");
    peer.keep(4, Verdict::Holds);
    assert_eq!((peer.verdict_under(4), peer.trust_revision()), (Some(Verdict::Holds), 4));
}

#[test]
fn a_peer_and_its_caller_tell_the_same() {
    let caller = VerifiedCaller::stand_in("spiffe://example.org/agent");
    assert_eq!(caller.spiffe_id().as_str(), "spiffe://example.org/agent");
    assert_eq!(caller.certificate_thumbprint(), caller.peer().certificate_thumbprint());
    assert_eq!(caller.expires_at(), Timestamp::MAX);
    assert!(!format!("{caller:?}").contains("chain"));
}
