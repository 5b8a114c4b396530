//! What people answered, applied to what was found, outside of Cedar: a yes takes away the doubts that were shown, a no to the
//! same question stands for a while. No answer takes away a denial, and none counts where policy asks nobody.

use std::collections::BTreeSet;

use super::bundle::PolicyBundle;
use super::combine::{Finding, Sheet};
use crate::catalogue::tool::Tool;
use crate::model::approval::{ApprovalFacts, Cure, Verdict};
use crate::model::decision::Outcome;
use crate::model::facts::Facts;
use crate::model::id::{ApprovalId, DataClass};
use crate::model::reason::ReasonCode;
use crate::model::risk::Assessment;

/// Applies what was answered when this was asked before. Gives the approval, when it is one without which more would stand against
/// granting.
pub(in crate::policy) fn apply(
    bundle: &PolicyBundle,
    facts: &Facts,
    risk: &Assessment,
    observes: bool,
    sheet: &mut Sheet,
) -> Option<ApprovalId> {
    let approval = facts.approval.as_ref()?;
    // Where policy only observes, what a person refused is not granted for what policy answers since.
    let refused = observes && approval.verdict == Verdict::Denied && sheet.is_lifted(facts.question);
    if !sheet.strictest().waits_for_people() && !refused {
        return None;
    }
    let code = match approval.verdict {
        Verdict::Approved => return cured(bundle, approval, facts, risk, sheet),
        Verdict::Denied => ReasonCode::ApprovalDenied,
        Verdict::Unanswered => ReasonCode::ApprovalUnanswered,
    };
    if facts.now < approval.until {
        // That nobody answered in time is nobody's word.
        let is_answer = approval.verdict == Verdict::Unanswered;
        sheet.findings.push(Finding { is_answer, ..Finding::whole(Outcome::Denied, code, approval.id.to_string()) });
    }
    None
}

/// Takes away what was shown, when that is all that stands against granting; otherwise nothing, so that who is asked next sees all
/// of it.
fn cured(
    bundle: &PolicyBundle,
    approval: &ApprovalFacts,
    facts: &Facts,
    risk: &Assessment,
    sheet: &mut Sheet,
) -> Option<ApprovalId> {
    // What was granted goes on with it, for as long as it is renewed.
    let over = !approval.used && approval.until <= facts.now;
    if over || approval.policy_digest != bundle.digest().as_str() || risk.band > approval.band {
        return None;
    }
    let all = sheet.findings.clone();
    // What a tool reads, and the classes that the request named, are known to who approves its use, and are carried as soon as it was
    // granted. What else is carried came from somewhere else.
    let catalogue = bundle.catalogue();
    let tools = facts.entries.iter().filter_map(|entry| catalogue.tool(&entry.tool));
    let named: Vec<DataClass> = facts
        .entries
        .iter()
        .flat_map(|entry| catalogue.carries_named(catalogue.tool(&entry.tool), &entry.data_classes))
        .collect();
    let known: BTreeSet<&str> = tools.flat_map(Tool::carries).chain(&named).map(DataClass::as_str).collect();
    let shown = |f: &Finding| approval.cures(&Cure::new(f.code, f.entry, f.policy.clone(), &f.detail), &known);
    sheet.findings.retain(|f| !f.outcome.waits_for_people() || !shown(f));
    if sheet.leaves_nothing() {
        sheet.findings.retain(|f| f.outcome != Outcome::Narrowed || f.keeps_entry || !shown(f));
    }
    if sheet.strictest().is_grant() {
        return Some(approval.id);
    }
    sheet.findings = all;
    None
}

#[cfg(test)]
mod tests;
