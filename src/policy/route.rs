//! For whom a review is: whose business the tools are about which a policy wants to know it. Whether there is such a person, and who
//! that is, is not known here.

use std::collections::BTreeSet;

use super::bundle::PolicyBundle;
use super::rules::Route;
use crate::model::decision::{Decision, Outcome, Reason};
use crate::model::facts::Facts;
use crate::model::id::{Owner, ToolName};

/// The owners of the tools about which a policy that applied wants the owner asked; each of them counts. Of an amendment these are the
/// tools of which the task would have more. Empty when it is for whoever reviews: that a task is to live longer is nobody's business in
/// particular.
#[must_use]
pub fn owners(bundle: &PolicyBundle, facts: &Facts, decision: &Decision) -> BTreeSet<Owner> {
    if decision.outcome != Outcome::Review {
        return BTreeSet::new();
    }
    let wants_owner = |reason: &&Reason| {
        let rule = reason.policy.as_ref().and_then(|id| bundle.rule(id.as_str()));
        rule.is_some_and(|rule| rule.route == Route::Owner)
    };
    let amends = facts.registration.as_ref().and_then(|asked| asked.amends.as_ref());
    let gains = || amends.iter().flat_map(|amends| &amends.gains);
    let tools = |reason: &Reason| -> Vec<&ToolName> {
        match reason.entry {
            Some(at) => {
                usize::try_from(at).ok().and_then(|at| decision.entries.get(at)).map(|e| &e.tool).into_iter().collect()
            }
            None => gains().collect(),
        }
    };
    let owner = |tool: &ToolName| bundle.catalogue().tool(tool).and_then(|tool| tool.owner.clone());
    decision.reasons.iter().filter(wants_owner).flat_map(tools).filter_map(owner).collect()
}

#[cfg(test)]
mod tests;
