//! Break-glass, in both of its questions. Whether a person may open a glass is asked of policies, by an action of its own. What an
//! open one is good for is applied to what was found, outside of Cedar: it takes away what asks people first, and the denials that
//! say that they yield to it. Whatever else denies stands: the task's end, blocks, unknown identities, tools and ceilings, a missing
//! permit, and policies that cannot be evaluated.

use std::collections::BTreeSet;

use cedar_policy_core::ast::{Context, EntityUID, Value};

use super::bundle::PolicyBundle;
use super::combine::{Finding, Sheet};
use super::context::{Members, flag, initiator, long, risk_record, text, texts};
use super::decide::{Asked, ask, enter, principals};
use super::names::{Action, Kind};
use super::structure;
use crate::catalogue::tool::Tool;
use crate::model::decision::Outcome;
use crate::model::facts::{Facts, Question};
use crate::model::glass::OpeningFacts;
use crate::model::id::GlassId;
use crate::model::limits::{GLASS_SECONDS_MAX, GLASS_USES_MAX};
use crate::model::reason::ReasonCode;
use crate::model::risk::Assessment;
use crate::policy::reads::Reads;

/// May this person open a glass for this access?
pub(in crate::policy) fn opening(bundle: &PolicyBundle, facts: &Facts, risk: &Assessment, sheet: &mut Sheet) {
    let Some(opening) = &facts.opening else {
        return sheet.findings.push(Finding::whole(Outcome::Denied, ReasonCode::InvalidArgument, "nothing to open"));
    };
    let lasts = (1..=GLASS_SECONDS_MAX).contains(&opening.life_s);
    if !lasts || !(1..=GLASS_USES_MAX).contains(&opening.uses_max) {
        sheet.findings.push(Finding::whole(Outcome::Denied, ReasonCode::LimitExceeded, "its life or its uses"));
    }
    let mut tools = Vec::new();
    for (number, entry) in facts.entries.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let offer = match structure::tool(number, entry, facts, bundle.catalogue()) {
            Ok(tool) => {
                tools.push(tool);
                let mut found = Vec::new();
                let offer = structure::offer(number, entry, tool, &mut found);
                sheet.findings.extend(found.into_iter().filter_map(refuses));
                offer
            }
            Err(finding) => {
                sheet.findings.push(finding);
                Default::default()
            }
        };
        sheet.offers.push(offer);
    }
    let context = Some(context(bundle, facts, opening, risk, &tools));
    let resource = bundle.types().uid(Kind::Task, &facts.task.id.to_string());
    let asked = Asked { action: Action::BreakGlass, resource, context, tool: None };
    let answer = ask(bundle, facts, &principals(bundle, facts), asked);
    enter(bundle, facts, answer, None, |_| String::new(), sheet);
}

/// What of an access would deny its use, or is beyond a ceiling. What else would leave it out is what a glass is opened for.
fn refuses(finding: Finding) -> Option<Finding> {
    let beyond = finding.code == ReasonCode::CeilingExceeded && !finding.keeps_entry;
    (beyond || finding.outcome == Outcome::Denied).then_some(Finding { outcome: Outcome::Denied, ..finding })
}

/// Applies a glass that stands open for this. Gives its id, when it is one without which nothing would be granted.
pub(in crate::policy) fn apply(bundle: &PolicyBundle, facts: &Facts, sheet: &mut Sheet) -> Option<GlassId> {
    let of_use = matches!(facts.question, Question::Request | Question::Retain);
    let glass = facts.glass.as_ref().filter(|_| of_use)?;
    let is_good = facts.now < glass.until && glass.policy_digest == bundle.digest().as_str();
    if !is_good || !is_who_it_was_opened_for(facts) || sheet.strictest().is_grant() {
        return None;
    }
    let all = sheet.findings.clone();
    sheet.findings.retain(|finding| !yields(bundle, finding));
    if sheet.strictest().is_grant() {
        return Some(glass.id);
    }
    sheet.findings = all;
    None
}

/// True for the agent as people know it, from where it should be, and with its key: who opened the glass was shown nothing else.
fn is_who_it_was_opened_for(facts: &Facts) -> bool {
    let principal = &facts.principal;
    principal.profile_changes.is_empty() && principal.network_declared && principal.authentication.proves_key()
}

/// True for what break-glass goes before.
fn yields(bundle: &PolicyBundle, finding: &Finding) -> bool {
    match finding.outcome {
        // A ceiling is nobody's to widen but by an amendment, whatever the tool does.
        _ if finding.code == ReasonCode::CeilingExceeded => false,
        Outcome::StepUp | Outcome::Review => true,
        Outcome::Narrowed => !finding.keeps_entry,
        Outcome::Denied => {
            let rule = finding.policy.as_ref().and_then(|id| bundle.rule(id.as_str()));
            // An evaluation that failed says nothing about what the policy would have said.
            finding.code != ReasonCode::PolicyError && rule.is_some_and(|rule| rule.yields_to_glass)
        }
        Outcome::Granted => false,
    }
}

fn context(
    bundle: &PolicyBundle,
    facts: &Facts,
    opening: &OpeningFacts,
    risk: &Assessment,
    tools: &[&Tool],
) -> Context {
    let reads = bundle.reads();
    let uids = tools.iter().map(|t| Value::from(EntityUID::from(bundle.types().uid(Kind::Tool, t.name.as_str()))));
    let effects: BTreeSet<_> = tools.iter().map(|t| t.effect.as_str()).collect();
    let sensitive: BTreeSet<_> = tools.iter().flat_map(|t| &t.sensitive).map(|c| c.as_str()).collect();
    let privilege = tools.iter().map(|t| t.privilege).max().unwrap_or(0);
    Members::of_context(reads)
        .with("opener", || opener(opening, reads))
        .with("initiator", || initiator(facts, reads))
        .with("depth", || long(u64::from(facts.task.depth)))
        .with("agent", || text(facts.task.agent.as_str()))
        .with("agent_class", || text(opening.agent_class.map_or("", |c| c.as_str())))
        .with("audience", || text(facts.audience.as_ref().map_or("", |a| a.as_str())))
        .with("tools", || Value::set(uids, None))
        .with("effects", || texts(effects))
        .with("sensitive", || texts(sensitive))
        .with("privilege", || long(u64::from(privilege)))
        .with("life_s", || long(opening.life_s))
        .with("uses_max", || long(u64::from(opening.uses_max)))
        .with("denied_before", || flag(opening.denied_before))
        .with("risk", || risk_record(risk, reads))
        .context()
}

fn opener(opening: &OpeningFacts, reads: &Reads) -> Value {
    Members::of("opener", reads)
        .with("name", || text(opening.by.as_str()))
        .with("initiated", || flag(opening.initiated))
        .record()
}

#[cfg(test)]
mod tests;
