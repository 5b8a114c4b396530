//! What a grant comes to: how long it lives, what its token says, and how both stand in the record.

use crate::broker::Broker;
use crate::broker::answer::Difference;
use crate::broker::asking::Pending;
use crate::broker::draws::Draws;
use crate::broker::error::BrokerError;
use crate::broker::gather::View;
use crate::broker::question::answered_by;
use crate::broker::record;
use crate::broker::request::Asking;
use crate::broker::words::{self, Context, DecisionWords};
use crate::mint::draft::Plan;
use crate::mint::error::MintError;
use crate::model::access::Access;
use crate::model::decision::Decision;
use crate::model::facts::Facts;
use crate::model::id::{DecisionId, GrantId, Jti};
use crate::model::reason::ReasonCode;
use crate::model::time::Ttl;
use crate::pb::journal as pb;
use crate::token::life::{Bounds, Life};

impl Broker {
    /// The shortest life of what was asked, and what operator, policy, ceiling, deadline and SVID allow.
    pub(in crate::broker) fn life(
        &self,
        asking: &Asking<'_>,
        view: &View,
        facts: &Facts,
        decision: &Decision,
    ) -> Result<Granted, BrokerError> {
        let settings = &self.0.settings;
        let glass = facts.glass.as_ref().filter(|glass| decision.glass == Some(glass.id));
        let bounds_of_ttl = [
            Some(decision.ttl_max),
            Some(settings.ttl_max),
            view.ceiling_ttl(),
            glass.map(|_| settings.glass.ttl_max),
            self.trailing_life(asking, view),
        ];
        let wanted = asking.ttl.unwrap_or(settings.ttl_default);
        let ttl = bounds_of_ttl.into_iter().flatten().fold(wanted, Ttl::min);
        // What was granted through a glass is over when that is.
        let deadline = glass.map_or(view.deadline, |glass| glass.until.min(view.deadline));
        let bounds = Bounds { deadline, svid_not_after: asking.workload.peer.expires_at() };
        let over = |_| BrokerError::Precondition { code: ReasonCode::DeadlinePassed, decision: None };
        let life = Life::new(view.now, ttl, bounds).map_err(over)?;
        Ok(Granted { ttl: life.expires.as_secs().saturating_sub(life.issued.as_secs()), life })
    }

    pub(in crate::broker) fn plan(
        &self,
        asking: &Asking<'_>,
        view: &View,
        words: &DecisionWords,
        life: &Granted,
    ) -> Result<Plan, BrokerError> {
        let random = || self.0.entropy.bytes::<10>().map_err(BrokerError::unavailable);
        let jti = Jti::new(self.0.entropy.bytes().map_err(BrokerError::unavailable)?);
        let grant = match asking.renews {
            Some((grant, _)) => grant,
            None => GrantId::new(view.now, random()?),
        };
        let sinks = |access: &Access| {
            let tool = view.bundle.catalogue().tool(&access.tool);
            tool.map(|t| t.sinks.clone()).unwrap_or_default()
        };
        let entries = words.access.iter().map(|access| (access.clone(), sinks(access)));
        let subject =
            if view.initiator.verified { view.initiator.name.to_string() } else { view.orchestrator.to_string() };
        Ok(Plan {
            grant,
            jti,
            renews: asking.renews.map(|(_, jti)| jti),
            issuer: self.0.settings.issuer.clone(),
            subject,
            agents_above: view.agents_above.clone(),
            audience: asking.audience.clone(),
            life: life.life,
            entries: entries.collect(),
            task: asking.task,
            root: view.root,
            intent_hash: view.intent_hash.to_string(),
            authority_hash: view.authority_hash.as_deref().map(str::to_owned),
            policy_version: view.policy.digest.clone(),
        })
    }

    /// The event, with everything but what the draft adds: key, claims and the digest of what is signed.
    pub(in crate::broker) fn decided_event(
        &self,
        asking: &Asking<'_>,
        view: &View,
        id: DecisionId,
        words: &DecisionWords,
        (grant, pending): (Option<pb::Grant>, Option<&Pending>),
    ) -> Result<pb::CredentialDecided, BrokerError> {
        let sealed = self.seal_decision(view.root, id, words)?;
        let sealed_profile = if view.is_shown_first(asking.profile) {
            let context = Context { kind: "profile", id: &id.to_string() };
            words::seal(&self.0.sealer, view.root, context, asking.profile)?
        } else {
            bytes::Bytes::new()
        };
        Ok(pb::CredentialDecided {
            task_id: asking.task.to_string(),
            request_id: asking.request_id.to_string(),
            audience: asking.audience.to_string(),
            decision: Some(record::decision(id, &words.decision, &words.facts, &view.policy, &view.bundle, sealed)),
            grant,
            asked_digest: self.keyed(view.root, asking.asked)?.to_vec().into(),
            agent: view.agent.to_string(),
            initiator: view.initiator.name.to_string(),
            agents_above: view.agents_above.iter().map(ToString::to_string).collect(),
            goes_on_from: self.goes_on_from(asking, view, words, pending)?,
            answered_by: answered_by(words),
            sealed_profile,
            ..pb::CredentialDecided::default()
        })
    }

    pub(in crate::broker) fn grant_event(
        &self,
        asking: &Asking<'_>,
        view: &View,
        access: &[Access],
        plan: &Plan,
        draws: &Draws,
    ) -> Result<pb::Grant, BrokerError> {
        let sealed_draws = if draws.is_empty() || plan.renews.is_some() {
            bytes::Bytes::new()
        } else {
            let context = Context { kind: "draws", id: &plan.jti.to_string() };
            words::seal(&self.0.sealer, view.root, context, draws)?
        };
        Ok(pb::Grant {
            grant_id: plan.grant.to_string(),
            jti: plan.jti.to_string(),
            subject: plan.subject.clone(),
            agent: view.agent.to_string(),
            audience: plan.audience.to_string(),
            certificate_thumbprint: asking
                .workload
                .peer
                .certificate_thumbprint()
                .map(ToString::to_string)
                .unwrap_or_default(),
            renews_jti: plan.renews.map(|jti| jti.to_string()).unwrap_or_default(),
            tools: access.iter().map(|a| a.tool.to_string()).collect(),
            sealed_draws,
            resources: if plan.renews.is_some() { Vec::new() } else { self.resources_of(&view.agent, access)? },
            ..pb::Grant::default()
        })
    }
}

/// How long a token lives, also in seconds.
pub(in crate::broker) struct Granted {
    pub(in crate::broker) life: Life,
    pub(in crate::broker) ttl: u64,
}

/// What was granted of what was asked.
pub(in crate::broker) fn differences(asking: &Asking<'_>, decision: &Decision, ttl: u64) -> Vec<Difference> {
    let mut out = Vec::new();
    for (i, (access, decided)) in asking.access.iter().zip(&decision.entries).enumerate() {
        let entry = u32::try_from(i).ok();
        let mut differ = |what: &str, asked: String, granted: String| {
            out.push(Difference { what: what.to_owned(), entry, asked, granted });
        };
        if !decided.included {
            differ("access", access.tool.to_string(), String::new());
            continue;
        }
        if !access.actions.is_empty() && access.actions != decided.actions {
            differ("actions", access.actions.join(" "), decided.actions.join(" "));
        }
        if access.resources != decided.resources {
            differ("resources", access.resources.join(" "), decided.resources.join(" "));
        }
    }
    if let Some(asked) = asking.ttl.filter(|asked| asked.as_secs() > ttl) {
        out.push(Difference {
            what: "ttl".to_owned(),
            entry: None,
            asked: asked.to_string(),
            granted: format!("{ttl}s"),
        });
    }
    out
}

/// No token can be made of what was decided.
pub(in crate::broker) fn unminted(error: MintError) -> BrokerError {
    match error {
        MintError::TooLong { max } => {
            BrokerError::above_limit("access", format!("its token would be longer than {max} bytes"))
        }
        MintError::Detail(cause) => BrokerError::invalid("access", cause.to_string()),
        MintError::Mismatch(_) | MintError::NoEvidence => BrokerError::internal(error),
        error => BrokerError::unavailable(error),
    }
}
