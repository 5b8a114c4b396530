//! What policy says of who would approve: asked beside what holds whatever policy says, so that a bundle can take away from it.

use std::collections::BTreeSet;

use crate::broker::approvals::{About, Approval};
use crate::broker::approve::agent_owners;
use crate::broker::routing::{Directory, approvers};
use crate::broker::state::State;
use crate::model::approval::ApprovingFacts;
use crate::model::facts::{FACTS_VERSION, Facts, InitiatorFacts, PrincipalFacts, Question, SessionFacts, TaskFacts};
use crate::model::id::InitiatorName;
use crate::model::identity::{Authentication, IdentityClass};
use crate::model::reason::ReasonCode;
use crate::policy::bundle::PolicyBundle;
use crate::policy::decide::decide;

/// Why policy would not have this person say yes, or would not have it approved by that. Without a bundle it says nothing, and then
/// nothing is approved for good.
pub(in crate::broker) fn refused_by_policy(
    (state, directory): (&State, &Directory),
    person: &InitiatorName,
    approval: &Approval,
    settles: bool,
) -> Option<ReasonCode> {
    let bundle = state.policy.as_ref()?.bundle.as_ref().filter(|bundle| bundle.speaks_of_approvals())?;
    let Some(facts) = facts((state, directory), bundle, person, approval, settles) else {
        return Some(ReasonCode::NoPermit);
    };
    let decision = decide(bundle, &facts);
    let first = || decision.reasons.first().map_or(ReasonCode::NoPermit, |reason| reason.code);
    (!decision.outcome.is_grant()).then(first)
}

fn facts(
    (state, directory): (&State, &Directory),
    bundle: &PolicyBundle,
    person: &InitiatorName,
    approval: &Approval,
    settles: bool,
) -> Option<Facts> {
    let task = state.tasks.get(&approval.task)?;
    let root = state.tasks.get(&task.root)?;
    let identity = bundle.identities().identify(&approval.agent);
    let agent_owners = agent_owners(state, approval)?;
    let answers_for_agents = |person: &InitiatorName| agent_owners.iter().any(|owner| directory.is_of(person, owner));
    let votes: BTreeSet<InitiatorName> = approvers(directory, approval).cloned().collect();
    let independent = !votes.iter().chain([person]).all(answers_for_agents);
    let approving = ApprovingFacts {
        by: person.clone(),
        initiated: approval.initiator == *person,
        answers_for_agents: answers_for_agents(person),
        outcome: approval.asks(),
        band: approval.band,
        amendment: matches!(approval.about, About::Amendment(_)),
        owners: approval.owners.clone(),
        independent,
        votes,
        needed: approval.needed,
        settles,
        agent_owners,
    };
    Some(Facts {
        version: FACTS_VERSION,
        question: Question::Approve,
        now: approval.asked,
        principal: PrincipalFacts {
            id: approval.agent.clone(),
            known: identity.is_some(),
            class: identity.map_or(IdentityClass::AiAgent, |identity| identity.class),
            owner: identity.and_then(|identity| identity.owner.clone()),
            authentication: Authentication::X509Svid,
            svid_age_s: 0,
            network_declared: true,
            profile_changes: Vec::new(),
        },
        initiator: InitiatorFacts { name: approval.initiator.clone(), verified: task.initiator.verified },
        task: TaskFacts {
            id: approval.task,
            root: task.root,
            orchestrator: root.orchestrator.clone(),
            agent: approval.agent.clone(),
            depth: task.depth,
            ceiling_declared: false,
            age_s: 0,
            remaining_s: 0,
            outlived: false,
            state: task.state,
            blocks: Vec::new(),
            audience_allowed: true,
        },
        audience: None,
        entries: Vec::new(),
        session: SessionFacts::default(),
        behaviour: None,
        signals: Vec::new(),
        ttl_asked: None,
        registration: None,
        approval: None,
        glass: None,
        opening: None,
        approving: Some(approving),
        observing: None,
    })
}
