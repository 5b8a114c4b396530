//! The check of a call, in the order of its steps. Every step fails closed.
//!
//! 1–2. form and header · 3. the issuer's key · 4. signature, then claims · 5. issuer, audience, times · 6. the key of the
//! connection · 7. revocations · 8. what the token is good for, and how often · 9. one audit event. A caller learns of 1–7
//! only that the token is invalid.

use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use super::audit::{AuditSink, Checked};
use super::keys::{FetchKeys, IssuerKeys};
use super::refusal::Refusal;
use super::revocations::RevocationView;
use super::settings::{Binding, Settings};
use super::uses::{Use, Uses};
use crate::clock::Clock;
use crate::jose::jws::Unverified;
use crate::jose::times::{TimeRules, Times};
use crate::model::identity::Thumbprint;
use crate::model::spiffe_id::SpiffeId;
use crate::token::check::{Call, check_call};
use crate::token::claims::Claims;

/// Who is at the other end of the connection, as the TLS layer verified it; never what a header says.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'p> {
    /// SHA-256 of its certificate.
    pub certificate: Thumbprint,
    /// The SPIFFE ID in that certificate.
    pub spiffe_id: &'p SpiffeId,
}

/// Verifies tokens for one resource server.
pub struct Verifier {
    settings: Settings,
    keys: Arc<IssuerKeys>,
    view: Arc<RevocationView>,
    uses: Uses,
    audit: AuditSink,
    clock: Clock,
}

/// A token that holds: steps 1 to 7. What it is good for is not asked yet.
#[derive(Debug)]
pub struct Authenticated {
    claims: Claims,
}

/// A call that may be served, once.
#[derive(Debug)]
pub struct Accepted {
    claims: Claims,
    calls_left: Option<u32>,
}

impl Verifier {
    /// A verifier that knows no keys and no revocations yet, and so refuses everything. Grants from before it first hears of
    /// its issuer's revocations are counted as used up where uses are limited: nobody remembers.
    #[must_use]
    pub fn new(settings: Settings, clock: Clock, audit: AuditSink) -> Self {
        let keys = IssuerKeys::new(&settings, clock.clone());
        let view = RevocationView::new(settings.view_age_max, settings.skew, clock.clone());
        let uses = Uses::new(settings.uses_memory, settings.uses_max);
        Self { settings, keys: Arc::new(keys), view: Arc::new(view), uses, audit, clock }
    }

    /// The issuer's keys, to be kept fresh.
    #[must_use]
    pub const fn keys(&self) -> &Arc<IssuerKeys> {
        &self.keys
    }

    /// The view of revocations, to be followed.
    #[must_use]
    pub const fn revocations(&self) -> &Arc<RevocationView> {
        &self.view
    }

    /// Whether this call may be served. A use is taken when it may.
    ///
    /// # Errors
    /// Names the first step that fails.
    pub fn verify(&self, token: &str, peer: Option<Peer<'_>>, call: &Call<'_>) -> Result<Accepted, Refusal> {
        self.authorize(self.authenticate(token, peer)?, call)
    }

    /// As [`Verifier::verify`]; fetches the issuer's keys when the token names one that is not known.
    ///
    /// # Errors
    /// Names the first step that fails.
    pub async fn verify_fetching(
        &self,
        token: &str,
        peer: Option<Peer<'_>>,
        call: &Call<'_>,
        source: &dyn FetchKeys,
    ) -> Result<Accepted, Refusal> {
        let mut claims = None;
        match self.check_token(token, peer, &mut claims) {
            Err(Refusal::KeyUnknown | Refusal::KeysStale) if self.keys.refresh(source).await.is_ok() => {
                self.verify(token, peer, call)
            }
            checked => self.authorize(self.told(checked, claims)?, call),
        }
    }

    /// Steps 1 to 7, for hosts that read the call only from callers that they know.
    ///
    /// # Errors
    /// Names the first step that fails.
    pub fn authenticate(&self, token: &str, peer: Option<Peer<'_>>) -> Result<Authenticated, Refusal> {
        let mut claims = None;
        let checked = self.check_token(token, peer, &mut claims);
        self.told(checked, claims)
    }

    /// Step 8, and the use that the call takes.
    ///
    /// # Errors
    /// When the token does not cover the call, or its calls were made.
    pub fn authorize(&self, token: Authenticated, call: &Call<'_>) -> Result<Accepted, Refusal> {
        let Authenticated { claims } = token;
        let taken = self.take(&claims, call);
        let told = Checked::new(self.clock.now(), Some(&claims), Some(call.tool), taken.as_ref().err());
        (self.audit)(&told);
        Ok(Accepted { calls_left: taken?, claims })
    }

    fn told(&self, checked: Result<(), Refusal>, claims: Option<Claims>) -> Result<Authenticated, Refusal> {
        match (checked, claims) {
            (Ok(()), Some(claims)) => Ok(Authenticated { claims }),
            (checked, claims) => {
                let refusal = checked.err().unwrap_or(Refusal::NoToken);
                (self.audit)(&Checked::new(self.clock.now(), claims.as_ref(), None, Some(&refusal)));
                Err(refusal)
            }
        }
    }

    /// Leaves the claims in `verified` as soon as the signature holds, so that a refusal can say whose token it was.
    fn check_token(&self, token: &str, peer: Option<Peer<'_>>, verified: &mut Option<Claims>) -> Result<(), Refusal> {
        let unverified = Unverified::parse(token, self.settings.kind.profile()).map_err(Refusal::Form)?;
        let key = self.keys.find(unverified.key_id().unwrap_or_default())?;
        let signed = unverified.verify(&key).map_err(Refusal::Signature)?;
        let claims = &*verified.insert(Claims::parse(signed.payload()).map_err(Refusal::Claims)?);
        if claims.iss != self.settings.issuer {
            return Err(Refusal::Issuer);
        }
        if claims.aud != self.settings.audience {
            return Err(Refusal::Audience);
        }
        let times = Times {
            issued: Some(claims.iat.timestamp()),
            not_before: Some(claims.nbf.timestamp()),
            expires: claims.exp.timestamp(),
        };
        times.check(self.clock.now(), &self.settings.time_rules()).map_err(Refusal::Time)?;
        self.check_binding(claims, peer)?;
        self.view.check(&claims.jti)
    }

    fn check_binding(&self, claims: &Claims, peer: Option<Peer<'_>>) -> Result<(), Refusal> {
        match (claims.cnf, peer) {
            (None, _) if self.settings.binding == Binding::Required => return Err(Refusal::Unbound),
            (None, _) => {}
            (Some(_), None) => return Err(Refusal::NoCertificate),
            (Some(bound), Some(peer)) => {
                if !bool::from(bound.certificate.as_bytes().ct_eq(peer.certificate.as_bytes())) {
                    return Err(Refusal::OtherCertificate);
                }
            }
        }
        // `act.sub` is `client_id`: claims are not read otherwise.
        match peer {
            Some(peer) if *peer.spiffe_id != claims.client_id => Err(Refusal::OtherCaller),
            _ => Ok(()),
        }
    }

    fn take(&self, claims: &Claims, call: &Call<'_>) -> Result<Option<u32>, Refusal> {
        let details = claims.authorization_details.entries().map_err(Refusal::Details)?;
        let detail = check_call(details, &self.settings.audience, call).map_err(Refusal::Constraint)?;
        let Some(calls_max) = detail.constraints.max_calls else {
            return Ok(None);
        };
        let one = Use { grant: claims.task.grant, key: detail.use_key(), calls_max, expires: claims.exp.timestamp() };
        self.uses.take(one, self.view.heard_since(), self.clock.now()).map(Some)
    }
}

impl Settings {
    const fn time_rules(&self) -> TimeRules {
        TimeRules { ahead_max: self.skew, grace: std::time::Duration::ZERO, life_max: Some(self.life_max) }
    }
}

impl Authenticated {
    /// What the token says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }
}

impl Accepted {
    /// What the token says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// How many more calls the grant is good for; `None` when there is no limit.
    #[must_use]
    pub const fn calls_left(&self) -> Option<u32> {
        self.calls_left
    }
}

#[cfg(test)]
mod tests;
