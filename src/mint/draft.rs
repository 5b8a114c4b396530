//! From a permit to a token: a draft fixes what will be signed and puts it into the entry that is to be recorded; releasing
//! signs it against the proof that the entry is durable. No step can be skipped, repeated or mixed up with another: each
//! consumes what the one before made.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::error::MintError;
use super::ring::{KeyRing, Signer};
use super::signing_key::SigningKey;
use super::terms;
use super::token::Token;
use crate::journal::entry::{Committed, Entry, EntryClass, Record};
use crate::model::access::Access;
use crate::model::id::{Audience, GrantId, Jti, TaskId};
use crate::model::limits::TOKEN_BYTES_MAX;
use crate::model::sink::SinkSpec;
use crate::model::spiffe_id::SpiffeId;
use crate::pb::journal::event::Payload;
use crate::pb::journal::{CredentialDecided, Grant};
use crate::policy::permit::Permit;
use crate::token::claims::{Claims, Issuer};
use crate::token::header::signing_input;
use crate::token::life::Life;

/// What a grant is to say beside what the permit says, as the broker worked it out.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The grant: a new id, or that of the grant that is renewed. Verifiers read its time.
    pub grant: GrantId,
    /// The token's own name.
    pub jti: Jti,
    /// The token that this one replaces.
    pub renews: Option<Jti>,
    /// Who issues it.
    pub issuer: Issuer,
    /// On whose behalf: the verified person, otherwise the SPIFFE ID of the orchestrator.
    pub subject: String,
    /// The agents of the tasks above, nearest first; empty for a task without a parent.
    pub agents_above: Vec<SpiffeId>,
    /// The one resource server that it is for.
    pub audience: Audience,
    /// Its times: from [`Life::new`], with every bound there is. The permit's own bounds are held against it again.
    pub life: Life,
    /// What was asked for, in the order of the request, each with every sink of its tool.
    pub entries: Vec<(Access, Vec<SinkSpec>)>,
    /// The task.
    pub task: TaskId,
    /// The task at the root of its family: what all tokens of the run share.
    pub root: TaskId,
    /// `sha-256:` and the digest of the intent.
    pub intent_hash: String,
    /// `sha-256:` and the digest of the ceiling, where the task declares one.
    pub authority_hash: Option<String>,
    /// The policy bundle that decided.
    pub policy_version: String,
}

/// A grant whose words are fixed to the last byte, with its record prepared. It becomes a token only by way of the journal.
pub struct Draft {
    claims: Claims,
    // What agents wrote stands in it.
    signing_input: Zeroizing<String>,
    key: Arc<SigningKey>,
    entry: Option<Entry>,
}

impl Draft {
    /// Fixes claims, header and key, and completes the entry that will record them. One event of the entry is a
    /// `CredentialDecided` about this task, agent and audience; into its grant goes everything that this room knows, and what
    /// else stands there is left alone. `seal` seals the claims.
    ///
    /// # Errors
    /// When plan and decision are not about the same, a sink can't be bound, the token would live or be too long, there is no
    /// key, the claims can't be sealed, or the entry has no place for the grant.
    pub fn new(
        permit: Permit,
        plan: &Plan,
        keys: &KeyRing,
        mut entry: Entry,
        seal: impl FnOnce(&[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<Self, MintError> {
        let claims = terms::claims(&permit, plan)?;
        // The later of the two: `iat` is rounded down to a second in which the key may not have been there yet.
        let now = permit.caller().at().max(plan.life.issued.timestamp());
        // Used up: one permit, one draft.
        drop(permit);
        let payload = Zeroizing::new(claims.to_payload().map_err(MintError::Claims)?);
        let Signer { key, kind } = keys.signer(&plan.audience, now)?;
        let published = key.published();
        let signing_input = Zeroizing::new(signing_input(kind, published.algorithm(), published.id(), &payload));
        if signing_input.len() + SIGNATURE_CHARACTERS_MAX > TOKEN_BYTES_MAX {
            return Err(MintError::TooLong { max: TOKEN_BYTES_MAX });
        }
        let place = place(&mut entry, plan, &claims)?;
        let tools = claims.authorization_details.entries().map_err(MintError::Claims)?;
        let rest = place.take().unwrap_or_default();
        *place = Some(Grant {
            grant_id: plan.grant.to_string(),
            jti: plan.jti.to_string(),
            kid: published.id().to_string(),
            subject: claims.sub.clone(),
            agent: claims.client_id.to_string(),
            audience: claims.aud.to_string(),
            issued_s: claims.iat.as_secs(),
            not_before_s: claims.nbf.as_secs(),
            expires_s: claims.exp.as_secs(),
            certificate_thumbprint: claims.cnf.map(|cnf| cnf.certificate.to_string()).unwrap_or_default(),
            unbound: claims.cnf.is_none(),
            signing_input_sha256: sha256(&signing_input).into(),
            renews_jti: plan.renews.map(|jti| jti.to_string()).unwrap_or_default(),
            sealed_claims: seal(&payload).map_err(MintError::Seal)?.into(),
            tools: tools.iter().map(|detail| detail.identifier.to_string()).collect(),
            ..rest
        });
        Ok(Self { claims, signing_input, key, entry: Some(entry) })
    }

    /// The claims as they will be signed.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }
}

impl Record for Draft {
    /// The entry, once. Asked again, it is empty, which no journal takes: one draft, one record.
    fn entry(&mut self) -> Entry {
        let empty = Entry { events: Vec::new(), expects: Vec::new(), class: EntryClass::Ordinary };
        self.entry.take().unwrap_or(empty)
    }
}

impl KeyRing {
    /// Signs what was recorded: the only way to a new token.
    ///
    /// # Errors
    /// When the key was distrusted or removed meanwhile, or signing fails. The grant stands in the record all the same.
    pub fn release(&self, committed: Committed<Draft>) -> Result<Token, MintError> {
        let draft = committed.into_record();
        self.find(draft.key.published().id().as_str())?;
        let signature = draft.key.sign(draft.signing_input.as_bytes()).map_err(|_| MintError::Signing)?;
        Ok(Token::assertion(&draft.signing_input, &signature))
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({}, {})", self.claims.jti, self.key.published().id())
    }
}

/// The one place in the entry that waits for this grant.
fn place<'e>(entry: &'e mut Entry, plan: &Plan, claims: &Claims) -> Result<&'e mut Option<Grant>, MintError> {
    let mut waiting = None;
    for event in &mut entry.events {
        if let Some(Payload::CredentialDecided(decided)) = &mut event.payload
            && waiting.replace(decided).is_some()
        {
            return Err(MintError::NoEvidence);
        }
    }
    let CredentialDecided { task_id, audience, agent, grant, .. } = waiting.ok_or(MintError::NoEvidence)?;
    let same = *task_id == plan.task.to_string() && audience == plan.audience.as_str();
    let filled = grant.as_ref().is_some_and(|grant| !grant.signing_input_sha256.is_empty());
    if same && agent == claims.client_id.as_str() && !filled { Ok(grant) } else { Err(MintError::NoEvidence) }
}

pub(super) fn sha256(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

/// A dot and the signature of the longest key (RSA 2048) in base64url.
const SIGNATURE_CHARACTERS_MAX: usize = 1 + 342;

#[cfg(test)]
mod tests;
