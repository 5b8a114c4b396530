//! Tokens that were verified already, by their digests: showing one again costs a look-up. Whether it still holds is asked anew
//! each time; what is kept only spares the signature.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::jwt_svid::JwtSvidRules;
use super::peer::VerifiedPeer;
use crate::model::identity::Thumbprint;
use crate::model::time::Timestamp;

/// Tokens that are remembered. Beyond it those that are over are forgotten, or all: that costs time and nothing else.
const KNOWN_MAX: usize = 16_384;

/// What was verified, by the digest of the token and of the rules that it was held against.
#[derive(Debug, Default)]
pub(in crate::identity) struct KnownTokens(Mutex<HashMap<[u8; 32], Arc<VerifiedPeer>>>);

/// A token, and what it was held against.
#[derive(Debug, Clone, Copy)]
pub(in crate::identity) struct Shown([u8; 32]);

impl Shown {
    pub(in crate::identity) fn of(token: &str, rules: &JwtSvidRules) -> Self {
        let life = rules.life_max.map(|life| life.as_millis());
        // A token has no NUL, so that no two of these are spelled alike.
        let text = Zeroizing::new(format!("{token}\0{life:?}\0{}", rules.audience));
        Self(*Thumbprint::of(text.as_bytes()).as_bytes())
    }
}

impl KnownTokens {
    /// Whom it named when it was verified, as somebody at this address shows it now.
    pub(in crate::identity) fn find(&self, shown: Shown, address: Option<SocketAddr>) -> Option<Arc<VerifiedPeer>> {
        let known = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&shown.0)?);
        Some(if known.address() == address { known } else { Arc::new(known.shown_from(address)?) })
    }

    /// Remembers it until its end.
    pub(in crate::identity) fn keep(&self, shown: Shown, peer: &Arc<VerifiedPeer>, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.retain(|_, peer| now < peer.expires_at());
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
        }
        known.insert(shown.0, Arc::clone(peer));
    }
}
