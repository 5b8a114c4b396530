//! For whom a review is: whose business the tools are about which a policy wants to know it. Whether there is such a person, and who
//! that is, is not known here.

use std::collections::BTreeSet;

use super::bundle::PolicyBundle;
use super::rules::Route;
use crate::model::decision::{Decision, Outcome, Reason};
use crate::model::id::Owner;

/// The owners of the tools about which a policy that applied wants the owner asked; each of them counts. Empty when it is for whoever
/// reviews, and of what is about no tool: tasks are nobody's business in particular.
#[must_use]
pub fn owners(bundle: &PolicyBundle, decision: &Decision) -> BTreeSet<Owner> {
    if decision.outcome != Outcome::Review {
        return BTreeSet::new();
    }
    let owner = |reason: &Reason| {
        let rule = bundle.rule(reason.policy.as_ref()?.as_str())?;
        let entry = decision.entries.get(usize::try_from(reason.entry?).ok()?)?;
        let tool = bundle.catalogue().tool(&entry.tool)?;
        tool.owner.clone().filter(|_| rule.route == Route::Owner)
    };
    decision.reasons.iter().filter_map(owner).collect()
}

#[cfg(test)]
mod tests;
