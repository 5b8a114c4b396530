//! From a permit to a token. A permit and a plan become a draft: claims and what is signed are fixed. The draft is what the
//! journal records; the token leaves only against the proof that it was.

use aws_lc_rs::digest;

use super::error::MintError;
use super::ring::{KeyRing, Signer};
use super::token::Token;
use crate::journal::entry::{Committed, Entry, EntryClass, Record};
use crate::journal::guards::Expect;
use crate::model::access::Access;
use crate::model::decision::EntryDecision;
use crate::model::id::{Audience, GrantId, Jti, TaskId};
use crate::model::limits::TOKEN_BYTES_MAX;
use crate::model::sink::SinkSpec;
use crate::model::spiffe_id::SpiffeId;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::policy::permit::Permit;
use crate::token::claims::{Actor, AuthorizationDetails, Claims, Confirmation, Issuer, TaskClaim};
use crate::token::detail::{Detail, scope};
use crate::token::header::signing_input;
use crate::token::life::Life;

/// What is to be granted, as the broker worked it out from the decision.
#[derive(Debug)]
pub struct Plan {
    /// The grant; stays the same when it is renewed.
    pub grant: GrantId,
    /// The token's own name.
    pub jti: Jti,
    /// The token that dies with a renewal.
    pub renews: Option<Jti>,
    /// Who issues it.
    pub issuer: Issuer,
    /// On whose behalf: the verified person, otherwise the SPIFFE ID of who registered the root task.
    pub subject: String,
    /// The agents of the tasks above, nearest first.
    pub agents_above: Vec<SpiffeId>,
    /// The one resource server that it is for.
    pub audience: Audience,
    /// Its times.
    pub life: Life,
    /// What was asked for, in the order of the decision's entries, with the sinks of each tool.
    pub entries: Vec<(Access, Vec<SinkSpec>)>,
    /// The task.
    pub task: TaskId,
    /// The task at the root of its family: the run that all tokens below it share.
    pub root: TaskId,
    /// `sha-256:` and the digest of the intent.
    pub intent_hash: String,
    /// `sha-256:` and the digest of the ceiling, when one is declared.
    pub authority_hash: Option<String>,
    /// The policy bundle that granted it.
    pub policy_version: String,
}

/// A token that is fixed to the last byte, and not signed yet. It is recorded, not copied.
#[derive(Debug)]
pub struct Draft {
    entry: Option<Entry>,
    signing_input: String,
    signer: Signer,
}

impl Draft {
    /// Fixes the claims, and completes the entry that records them: `event` is the decision on the request with a grant whose
    /// key, times, digest and sealed claims are filled in here. `seal` seals the claims.
    ///
    /// # Errors
    /// When the permit is not for what is planned, a sink cannot be bound, the token would be too long, there is no key, or the
    /// claims cannot be sealed.
    pub fn new(
        permit: Permit,
        plan: &Plan,
        keys: &KeyRing,
        mut event: pb::Event,
        expects: Vec<Expect>,
        seal: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Self, MintError> {
        let claims = claims(&permit, plan)?;
        // The permit ends here: one permit, one draft.
        drop(permit);
        let payload = zeroize::Zeroizing::new(claims.to_payload().map_err(MintError::Claims)?);
        let signer = keys.signer(&plan.audience, plan.life.issued.timestamp())?;
        let input = signer.input(&payload);
        if input.len() + SIGNATURE_BYTES_MAX > TOKEN_BYTES_MAX {
            return Err(MintError::TooLong { max: TOKEN_BYTES_MAX });
        }
        let Some(Payload::CredentialDecided(decided)) = &mut event.payload else { return Err(MintError::NoEvidence) };
        let grant = decided.grant.as_mut().ok_or(MintError::NoEvidence)?;
        grant.kid = signer.key_id();
        grant.issued_s = plan.life.issued.as_secs();
        grant.not_before_s = plan.life.not_before.as_secs();
        grant.expires_s = plan.life.expires.as_secs();
        grant.signing_input_sha256 = sha256(input.as_bytes()).into();
        grant.sealed_claims = seal(&payload).ok_or(MintError::NoEvidence)?.into();
        let entry = Entry { events: vec![event], expects, class: EntryClass::Ordinary };
        Ok(Self { entry: Some(entry), signing_input: input, signer })
    }
}

impl Record for Draft {
    fn entry(&mut self) -> Entry {
        // INVARIANT: the journal asks once; an entry without events is refused by it.
        self.entry.take().unwrap_or(Entry { events: Vec::new(), expects: Vec::new(), class: EntryClass::Ordinary })
    }
}

impl KeyRing {
    /// Signs what is durably recorded: the only way to a new token.
    ///
    /// # Errors
    /// When signing fails. The grant stands in the record then, and a retry signs it again.
    pub fn release(&self, committed: Committed<Draft>) -> Result<Token, MintError> {
        let draft = committed.into_record();
        draft.signer.sign(&draft.signing_input)
    }

    /// Signs recorded claims again, for a retry: the same `jti`, times and key.
    ///
    /// # Errors
    /// When the key is gone or distrusted, or the claims are not those that were recorded.
    pub fn reissue(&self, grant: &pb::Grant, claims: &[u8]) -> Result<Token, MintError> {
        let audience: Audience = grant.audience.parse().map_err(|_| MintError::NotRecorded)?;
        let signer = Signer { key: self.find(&grant.kid)?, kind: self.kind(&audience) };
        let input = signer.input(claims);
        if sha256(input.as_bytes()).as_slice() != grant.signing_input_sha256.as_ref() {
            return Err(MintError::NotRecorded);
        }
        signer.sign(&input)
    }
}

impl Signer {
    fn input(&self, payload: &[u8]) -> String {
        let key = self.key.published();
        signing_input(self.kind, key.algorithm(), key.id(), payload)
    }

    fn key_id(&self) -> String {
        self.key.published().id().to_string()
    }

    fn sign(&self, input: &str) -> Result<Token, MintError> {
        let signature = self.key.sign(input.as_bytes()).map_err(|_| MintError::Signing)?;
        Ok(Token::assertion(input, &signature))
    }
}

fn claims(permit: &Permit, plan: &Plan) -> Result<Claims, MintError> {
    let (caller, decision) = (permit.caller(), permit.decision());
    if plan.entries.len() != decision.entries.len() {
        return Err(MintError::Mismatch("entries"));
    }
    let details = plan.entries.iter().zip(&decision.entries).filter(|(_, decided)| decided.included);
    let details = details.map(|((access, sinks), decided)| detail(plan, access, sinks, decided));
    let details = details.collect::<Result<Vec<_>, _>>()?;
    if details.is_empty() {
        return Err(MintError::Mismatch("nothing is included"));
    }
    let agent = caller.spiffe_id();
    let certificate = caller.certificate_thumbprint();
    Ok(Claims {
        iss: plan.issuer.clone(),
        sub: plan.subject.clone(),
        client_id: agent.clone(),
        act: (plan.subject != agent.as_str()).then(|| actors(agent, &plan.agents_above)),
        aud: plan.audience.clone(),
        iat: plan.life.issued,
        nbf: plan.life.not_before,
        exp: plan.life.expires,
        jti: plan.jti,
        txn: plan.root.to_string(),
        scope: scope(&details),
        authorization_details: AuthorizationDetails::new(details),
        cnf: certificate.map(|thumbprint| Confirmation { certificate: *thumbprint }),
        task: TaskClaim {
            id: plan.task,
            grant: plan.grant,
            intent_hash: plan.intent_hash.clone(),
            authority_hash: plan.authority_hash.clone(),
            risk_band: decision.risk.band,
            policy_version: plan.policy_version.clone(),
            observed_only: decision.observed_only,
        },
    })
}

fn detail(plan: &Plan, access: &Access, sinks: &[SinkSpec], decided: &EntryDecision) -> Result<Detail, MintError> {
    if access.tool != decided.tool {
        return Err(MintError::Mismatch("tool"));
    }
    Detail::grant(&plan.audience, access, decided, sinks).map_err(MintError::Detail)
}

/// The agent acts; above it stands the agent that gave it the sub-task, and so on. Only the outermost decides anything.
fn actors(agent: &SpiffeId, above: &[SpiffeId]) -> Actor {
    let mut chain: Option<Box<Actor>> = None;
    for one in above.iter().rev() {
        chain = Some(Box::new(Actor { sub: one.clone(), act: chain }));
    }
    Actor { sub: agent.clone(), act: chain }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// RS256 with 2048 bits, in base64url, and the dot before it.
const SIGNATURE_BYTES_MAX: usize = 343;
