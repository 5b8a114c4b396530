//! The claims that a permit and a plan come to. Who asked, what key it proved, what was decided and how risky that was are the
//! permit's to say; nothing here may go beyond what was asked or decided.

use super::draft::Plan;
use super::error::MintError;
use crate::model::access::Access;
use crate::model::decision::{Decision, EntryDecision};
use crate::model::limits::{TTL_SECONDS_MAX, UNBOUND_TTL_SECONDS_MAX};
use crate::model::spiffe_id::SpiffeId;
use crate::policy::permit::Permit;
use crate::token::claims::{Actor, AuthorizationDetails, Claims, Confirmation, TaskClaim};
use crate::token::detail::{Detail, scope};

pub(super) fn claims(permit: &Permit, plan: &Plan) -> Result<Claims, MintError> {
    let (caller, decision) = (permit.caller(), permit.decision());
    let certificate = caller.certificate_thumbprint().copied();
    if certificate.is_none() && !decision.unbound {
        return Err(MintError::KeyNotProven);
    }
    let life = plan.life;
    let ttl = life.expires.as_secs().saturating_sub(life.issued.as_secs());
    let longest = if certificate.is_some() { TTL_SECONDS_MAX } else { UNBOUND_TTL_SECONDS_MAX };
    if life.expires.timestamp() > caller.expires_at() || ttl > decision.ttl_max.as_secs().min(longest) {
        return Err(MintError::LifeTooLong);
    }
    let details = details(plan, decision)?;
    let agent = caller.spiffe_id();
    // Who asks on its own behalf delegates nothing.
    let delegated = agent.as_str() != plan.subject;
    Ok(Claims {
        iss: plan.issuer.clone(),
        sub: plan.subject.clone(),
        client_id: agent.clone(),
        act: delegated.then(|| Actor { sub: agent.clone(), act: actors(&plan.agents_above) }),
        aud: plan.audience.clone(),
        iat: life.issued,
        nbf: life.not_before,
        exp: life.expires,
        jti: plan.jti,
        txn: plan.root.to_string(),
        scope: scope(&details),
        authorization_details: AuthorizationDetails::new(details),
        cnf: certificate.map(|certificate| Confirmation { certificate }),
        task: TaskClaim {
            id: plan.task,
            grant: plan.grant,
            intent_hash: plan.intent_hash.clone(),
            authority_hash: plan.authority_hash.clone(),
            risk_band: decision.risk.band,
            policy_version: plan.policy_version.clone(),
            observed_only: decision.observed_only(),
            break_glass: decision.glass,
        },
    })
}

/// One entry for each access that the decision includes.
fn details(plan: &Plan, decision: &Decision) -> Result<Vec<Detail>, MintError> {
    if plan.entries.len() != decision.entries.len() {
        return Err(MintError::Mismatch("another number of accesses was decided"));
    }
    let mut details = Vec::new();
    for ((access, sinks), decided) in plan.entries.iter().zip(&decision.entries) {
        check_asked(access, decided)?;
        if decided.included {
            details.push(Detail::grant(&plan.audience, access, decided, sinks).map_err(MintError::Detail)?);
        }
    }
    if details.is_empty() { Err(MintError::Mismatch("nothing was granted")) } else { Ok(details) }
}

/// A grant is never more than was asked (invariant 4).
fn check_asked(access: &Access, decided: &EntryDecision) -> Result<(), MintError> {
    if access.tool != decided.tool {
        return Err(MintError::Mismatch("another tool was decided"));
    }
    // An access without actions asks for the tool's own.
    let asked = |action: &String| access.actions.is_empty() || access.actions.contains(action);
    if (decided.included && decided.actions.is_empty()) || !decided.actions.iter().all(asked) {
        return Err(MintError::Mismatch("an action was decided that nobody asked for, or none"));
    }
    if !decided.resources.iter().all(|resource| access.resources.contains(resource)) {
        return Err(MintError::Mismatch("a resource was decided that nobody asked for"));
    }
    Ok(())
}

/// The agents above, nearest outermost: history, which decides nothing.
fn actors(above: &[SpiffeId]) -> Option<Box<Actor>> {
    above.iter().rev().fold(None, |inner, agent| Some(Box::new(Actor { sub: agent.clone(), act: inner })))
}
