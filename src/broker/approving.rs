//! What policy says of who would approve: asked beside what holds whatever policy says, so that a bundle can take away from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::broker::approvals::{About, Approval};
use crate::broker::approve::agent_owners;
use crate::broker::principal::absent;
use crate::broker::routing::{Directory, approvers};
use crate::broker::state::State;
use crate::model::approval::ApprovingFacts;
use crate::model::facts::{FACTS_VERSION, Facts, InitiatorFacts, Question, SessionFacts, TaskFacts};
use crate::model::id::InitiatorName;
use crate::model::reason::ReasonCode;
use crate::policy::bundle::PolicyBundle;
use crate::policy::decide::decide;

/// What policy is to say of a yes: all that it takes, so that who looks at many asks it while nobody waits for the state.
#[derive(Debug)]
pub(in crate::broker) struct PolicyWord {
    bundle: Arc<PolicyBundle>,
    /// `None` when what it would be asked about is gone.
    facts: Option<Box<Facts>>,
}

impl PolicyWord {
    /// What is to be asked about this person's yes. `None` where no bundle has a word in it.
    pub(in crate::broker) fn about(
        (state, directory): (&State, &Directory),
        person: &InitiatorName,
        approval: &Approval,
        settles: bool,
    ) -> Option<Self> {
        let bundle = state.policy.as_ref()?.bundle.as_ref().filter(|bundle| bundle.speaks_of_approvals())?;
        let facts = facts((state, directory), bundle, person, approval, settles).map(Box::new);
        Some(Self { bundle: bundle.clone(), facts })
    }

    /// Asks it: why it would not have that.
    pub(in crate::broker) fn refusal(&self) -> Option<ReasonCode> {
        let Some(facts) = &self.facts else { return Some(ReasonCode::NoPermit) };
        let decision = decide(&self.bundle, facts);
        let first = || decision.reasons.first().map_or(ReasonCode::NoPermit, |reason| reason.code);
        (!decision.outcome.is_grant()).then(first)
    }
}

/// Why policy would not have this person say yes, or would not have it approved by that. Without a bundle it says nothing, and then
/// nothing is approved for good.
pub(in crate::broker) fn refused_by_policy(
    state_and_directory: (&State, &Directory),
    person: &InitiatorName,
    approval: &Approval,
    settles: bool,
) -> Option<ReasonCode> {
    PolicyWord::about(state_and_directory, person, approval, settles)?.refusal()
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
        principal: absent(bundle, &approval.agent),
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

#[cfg(test)]
mod tests;
