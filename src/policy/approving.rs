//! May this person say yes to what people are asked about? It is asked of policies by an action of its own, beside what holds whatever
//! they say: who may answer, for whom a place is left, and how many it takes. Policy takes away and gives nothing. A bundle whose schema
//! does not declare the action says nothing of it, as those of earlier versions.

use cedar_policy_core::ast::{Context, Value};

use super::bundle::PolicyBundle;
use super::combine::{Finding, Sheet};
use super::context::{Members, flag, initiator, long, risk_record, text, texts};
use super::decide::{Asked, ask, enter, principals};
use super::names::{Action, Kind};
use super::reads::Reads;
use crate::model::approval::ApprovingFacts;
use crate::model::decision::Outcome;
use crate::model::facts::Facts;
use crate::model::reason::ReasonCode;
use crate::model::risk::Assessment;

/// What policies say of it. Whatever they find refuses: there is nobody else to be asked.
pub(in crate::policy) fn answering(bundle: &PolicyBundle, facts: &Facts, risk: &Assessment, sheet: &mut Sheet) {
    let Some(approving) = &facts.approving else {
        return sheet.findings.push(Finding::whole(Outcome::Denied, ReasonCode::InvalidArgument, "nothing to approve"));
    };
    if !bundle.speaks_of_approvals() {
        return;
    }
    let context = Some(context(facts, approving, risk, bundle.reads()));
    let resource = bundle.types().uid(Kind::Task, &facts.task.id.to_string());
    let asked = Asked { action: Action::Approve, resource, context, tool: None };
    let answer = ask(bundle, facts, &principals(bundle, facts), asked);
    enter(bundle, facts, answer, None, |_| String::new(), sheet);
}

fn context(facts: &Facts, approving: &ApprovingFacts, risk: &Assessment, reads: &Reads) -> Context {
    Members::of_context(reads)
        .with("approver", || approver(approving, reads))
        .with("initiator", || initiator(facts, reads))
        .with("depth", || long(u64::from(facts.task.depth)))
        .with("agent", || text(facts.task.agent.as_str()))
        .with("outcome", || text(approving.outcome.as_str()))
        .with("amendment", || flag(approving.amendment))
        .with("owners", || texts(approving.owners.iter().map(String::as_str)))
        .with("agent_owners", || texts(approving.agent_owners.iter().map(String::as_str)))
        .with("votes", || texts(approving.votes.iter().map(|person| person.as_str())))
        .with("votes_needed", || long(u64::from(approving.needed)))
        .with("settles", || flag(approving.settles))
        .with("independent", || flag(approving.independent))
        .with("risk", || risk_record(risk, reads))
        .context()
}

fn approver(approving: &ApprovingFacts, reads: &Reads) -> Value {
    Members::of("approver", reads)
        .with("name", || text(approving.by.as_str()))
        .with("initiated", || flag(approving.initiated))
        .with("voted", || flag(approving.votes.contains(&approving.by)))
        .with("answers_for_agents", || flag(approving.answers_for_agents))
        .record()
}

#[cfg(test)]
mod tests;
